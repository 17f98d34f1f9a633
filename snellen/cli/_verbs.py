"""The frame of the command line: a verb is a file of this folder, found by its name.

Each file holds one click command called `command`; files with a leading underscore are no verbs.
Nothing heavy may be imported at the top of any of them: `snellen --help` reads them all.
"""

import importlib
import math
import os
import pkgutil
import re
from typing import Any

import click

from ..core.errors import UnknownName, UsageError, nearest
from ..version import __version__

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
KEY = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)=(.*)", re.DOTALL)


class Number(click.FloatRange):
    """A number in a range; NaN, which lies in every one, and infinity are refused."""

    def convert(self, value: Any, param: Any, ctx: click.Context | None) -> float:
        """Text -> the number, or click's own words of what is wrong."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a number that can be used", param, ctx)
        return number


FAIL_ON = click.option(
    "--fail-on", type=click.Choice(("never", "advice", "warning", "error")), default="error",
    show_default=True, help="Exit with 1 where a finding is at least as grave.",
)  # fmt: skip


class Verbs(click.Group):
    """Finds the verbs by their files."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the files."""
        package = importlib.import_module(__package__)
        names = (info.name for info in pkgutil.iter_modules(package.__path__))
        return sorted(name for name in names if not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a file; an unknown name is an error with the nearest right one."""
        known = self.list_commands(ctx)
        if cmd_name not in known:
            raise UnknownName(cmd_name, known, "the verbs of snellen")
        return importlib.import_module(f"{__package__}.{cmd_name}").command


class Verb(click.Command):
    """A command whose options may be written `k=v` as well as `--k v`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Turn `k=v` into `--k=v` where k is an option, then let click read the words."""
        ctx.token_normalize_func = lambda word: word.replace("_", "-")
        return super().parse_args(ctx, self._dashed(args))

    def _dashed(self, words: list[str]) -> list[str]:
        options = {opt[2:]: p for p in self.params if isinstance(p, click.Option)
                   for opt in p.opts if opt.startswith("--")}  # fmt: skip
        takes_script = not self.context_settings.get("allow_interspersed_args", True)
        out: list[str] = []
        folder: list[str] = []  # a run: unlike a script it has no words of its own
        rest = iter(words)
        for word in rest:
            option = options.get(word[2:].replace("_", "-")) if word.startswith("--") else None
            if option and not option.is_flag:
                out += [word, *([value] if (value := next(rest, None)) is not None else [])]
            elif match := KEY.fullmatch(word):
                out += self._option(match, options, word)
            elif takes_script and os.path.isdir(word):
                folder.append(word)
            else:
                out.append(word)
                if takes_script and not word.startswith("-"):  # the rest is the script's
                    break
        return [*out, *rest, *folder]

    def _option(
        self, match: re.Match[str], options: dict[str, click.Option], word: str
    ) -> list[str]:
        """The words that click reads for `k=v`."""
        key, value = match[1].replace("_", "-"), match[2]
        if key not in options:
            near = nearest(key, options, 1)
            if near and not os.path.exists(word):
                raise UsageError(
                    f"{self.name} has no {match[1]!r}; did you mean {near[0]}={value}?"
                )
            return [word]
        if not options[key].is_flag:
            return [f"--{key}={value}"]
        from ..train.values import SWITCH

        if (switch := SWITCH.get(value.lower())) is None:
            raise UsageError(f"{match[1]}={value!r} is not yes or no")
        return [f"--{key}"] if switch else []


def _version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"snellen {__version__}")
        ctx.exit()


@click.group(
    cls=Verbs,
    context_settings=HELP,
    invoke_without_command=True,
    subcommand_metavar="VERB ...",
    epilog="`snellen VERB --help` says more. First try: snellen train digits",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
    help="Print the version.",
)  # fmt: skip
@click.pass_context
def snellen(ctx: click.Context) -> None:
    """Train vision networks on PyTorch, and test their sight."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
