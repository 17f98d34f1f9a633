"""`snellen ensemble`: several runs as one, their answers or their weights averaged."""

from collections.abc import Mapping, Sequence

import click

from ..core.words import printable
from ._output import print_json, print_table, progress
from ._verbs import HELP, Verb


@click.command(cls=Verb, context_settings=HELP)
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN..")
@click.option("--data", metavar="PATH", help="Judge all by these; else by what all held out.")
@click.option(
    "--average",
    metavar="predictions|weights",
    default="predictions",
    show_default=True,
    help="weights: one network of checkpoints of one training, batch norms computed anew.",
)
@click.option("--name", help="Of the ensemble's run folder; the first run's if not said.")
@click.option("--project", metavar="FOLDER", default="runs", show_default=True, help="Where to.")
def command(
    runs: tuple[str, ...], data: str | None, average: str, name: str | None, project: str
) -> None:
    """Make one run of several: the mean of their answers.

    RUN is a run, whose best weights count, or a checkpoint: RUN/weights/last,
    RUN/weights/previous. Each and the ensemble are scored on the same samples. The ensemble is a
    run folder of its own, which eval, predict, export and verify take as any other; it holds
    copies, so the runs may be deleted. The last line is one JSON object {metric: value}.
    """
    from ..improve.ensemble import ensemble

    with progress("scoring") as tell:
        made = ensemble(runs, data, average, name=name, project=project, say=_note, tell=tell)
    print_scores({**made.members, str(made.path): made.scores})
    print_json(made.scores)


def print_scores(named: Mapping[str, Mapping[str, float]]) -> None:
    """A row for each network, a column for each score that is no class's own."""
    heads = [name for name in next(iter(named.values())) if "/" not in name]
    rows: Sequence[Sequence[object]] = [
        [printable(name), *(float(f"{scores[head]:.4f}") for head in heads)]
        for name, scores in named.items()
    ]
    print_table(["", *heads], rows)


def _note(text: str) -> None:
    click.echo(printable(text), err=True)
