"""The door of the command line: `snellen VERB ...` and `python -m snellen VERB ...`."""

import contextlib
import signal
import sys
from types import FrameType

from click.exceptions import Exit

from .cli._errors import ending, plain_warnings
from .cli._verbs import snellen
from .core.errors import SnellenError


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code, and shows no traceback.

    >>> main(["--version"]) # doctest: +ELLIPSIS
    snellen ...
    0
    """
    _take_odd_file_names()
    stopped = _note_interrupts()
    try:
        words = list(sys.argv[1:] if argv is None else argv)
        with plain_warnings(), snellen.make_context("snellen", words) as context:
            return int(snellen.invoke(context) or 0)
    except Exit as done:  # --help and --version
        return done.exit_code
    except BaseException as error:
        # A Ctrl-C while a library is being imported may come out as any error of that library.
        broken = bool(stopped) and not isinstance(error, SnellenError)
        return ending(KeyboardInterrupt() if broken else error)


def _note_interrupts() -> list[int]:
    """Let Ctrl-C raise KeyboardInterrupt as ever, and remember that it came."""
    seen: list[int] = []
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return seen

    def handler(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        signal.default_int_handler(number, frame)

    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, handler)
    return seen


def _take_odd_file_names() -> None:
    """File names need not be UTF-8; printing one must not end a training."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            is_utf8 = stream.encoding.lower().replace("-", "") == "utf8"
            how = "surrogateescape" if is_utf8 else "backslashreplace"
            stream.reconfigure(errors=how)  # type: ignore[union-attr]


if __name__ == "__main__":
    sys.exit(main())
