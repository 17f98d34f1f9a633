"""`snellen bench`: how fast a run's network answers, in every runtime that is installed."""

from typing import TYPE_CHECKING

import click

from ._output import print_json, print_table, progress, writable, write_json_file
from ._verbs import HELP, Number, Verb

if TYPE_CHECKING:
    from ..serve.bench import Row

HEADS = ["", "median ms", "p99 ms", "images/s", "times faster", "quartiles", "difference"]


@click.command(cls=Verb, context_settings=HELP)
@click.argument("run")
@click.option(
    "--batch",
    type=click.IntRange(1),
    default=32,
    show_default=True,
    metavar="N",
    help="Pictures at a time where throughput is measured.",
)
@click.option(
    "--seconds",
    type=Number(0.1),
    default=10.0,
    show_default=True,
    metavar="X",
    help="How long single pictures are measured, all runtimes together.",
)
@click.option(
    "--compile", "compiled", is_flag=True, help="torch.compile as well; it takes a while."
)
@click.option("--data", metavar="PATH", help="Other pictures than the run's own.")
@click.option("--json", "file", metavar="FILE", help="Write the figures there; - is stdout.")
def command(
    run: str, batch: int, seconds: float, compiled: bool, data: str | None, file: str | None
) -> None:
    """Measure how fast the best network of a run answers.

    Eager PyTorch, and each format of `snellen export` that is installed, on one thread, from bytes
    to raw outputs. They take turns, so that a busy machine slows all alike. Nothing is written
    into the run; the files that are measured are made for it and removed.
    """
    from ..core.runfolder import find

    find(run)
    where = file if file == "-" else writable(file)
    from dataclasses import asdict

    from ..api import load

    with progress("measuring") as tell:
        rows, notes = load(run).bench(
            batch=batch, seconds=seconds, compiled=compiled, data=data, tell=tell
        )
    found = {"run": run, "batch": batch, "threads": 1, "rows": [asdict(row) for row in rows],
             "notes": notes}  # fmt: skip
    if where == "-":
        print_json(found, 1)
        return
    write_json_file(where, found)
    print_table(HEADS, [_cells(row) for row in rows])
    click.echo(f"images/s: {batch} at a time; times faster: than {rows[0].name}, in processor time")
    click.echo("difference: of its largest output, on the pictures that `snellen export` compares")
    for note in notes:
        click.echo(note)


def _cells(row: "Row") -> list[str | float]:
    """A row as the table shows it."""
    times = [float(f"{1e3 * seconds:.3g}") for seconds in (row.median, row.p99)]
    quartiles = f"{row.low:.2f}..{row.high:.2f}"
    return [row.name, *times, round(row.throughput), round(row.faster, 2), quartiles,
            float(f"{row.difference:.2g}")]  # fmt: skip
