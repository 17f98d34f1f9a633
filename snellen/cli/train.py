"""`snellen train`: words in, a run folder out."""

from typing import TYPE_CHECKING

import click

from ..core.errors import Diverged, Interrupted
from ._verbs import HELP

if TYPE_CHECKING:
    from ..api import Run

EXAMPLES = """
Examples:
  snellen train digits
  snellen train pets/ model=resnet18 epochs=20 batch=64
  snellen train photos.csv val=held_out.csv --imgsz 96 --amp
  snellen train resume=runs/pets-1
"""


def _help(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        from ._settings_help import settings_help

        click.echo(ctx.get_help() + "\n\n" + settings_help() + "\n" + EXAMPLES.rstrip())
        ctx.exit()


@click.command(
    context_settings={**HELP, "ignore_unknown_options": True, "help_option_names": []},
    options_metavar="",
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[DATA] [SETTING=VALUE ...]")
@click.option(
    "-h", "--help", is_flag=True, is_eager=True, expose_value=False, hidden=True, callback=_help
)
def command(words: tuple[str, ...]) -> None:
    """Train a network.

    DATA is a path, or a word such as digits. Settings are written batch=64, --batch 64 or
    --batch=64. What you type is never overridden; what you leave out Snellen chooses, says and
    records. The last line printed is the run folder.
    """
    from ._settings import read_words

    typed = read_words(list(words))
    for note in typed.notes:
        click.echo(f"note: {note}", err=True)
    from ..api import train

    # what was typed to be chosen; in Python None is a word that was not said
    said = {name: "auto" if value is None else value for name, value in typed.settings.items()}
    run = train(**said)
    click.echo(str(run.path))
    if run.status == "interrupted":
        raise Interrupted(f"interrupted; its checkpoint is saved: snellen train resume={run.path}")
    if run.status == "diverged":
        raise Diverged(_diagnosis(run))


def _diagnosis(run: "Run") -> str:
    """What the doctor makes of a training that broke down, in three lines."""
    lines = ["the training diverged: its loss or its weights are no longer finite"]
    for finding in run.findings[:1]:
        lines += [f"{finding.id}: {finding.message}", f"do: {finding.do}"]
    return "\n".join([*lines, f"more in {run.path}"])
