"""The door of the command line: `snellen VERB ...` and `python -m snellen VERB ...`."""

import contextlib
import sys

from click.exceptions import Exit

from .cli._errors import ending
from .cli._verbs import snellen


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code, and shows no traceback.

    >>> main(["--version"]) # doctest: +ELLIPSIS
    snellen ...
    0
    """
    _take_odd_file_names()
    try:
        words = list(sys.argv[1:] if argv is None else argv)
        with snellen.make_context("snellen", words) as context:
            return int(snellen.invoke(context) or 0)
    except Exit as done:  # --help and --version
        return done.exit_code
    except BaseException as error:
        return ending(error)


def _take_odd_file_names() -> None:
    """File names need not be UTF-8; printing one must not end a training."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            is_utf8 = stream.encoding.lower().replace("-", "") == "utf8"
            how = "surrogateescape" if is_utf8 else "backslashreplace"
            stream.reconfigure(errors=how)  # type: ignore[union-attr]


if __name__ == "__main__":
    sys.exit(main())
