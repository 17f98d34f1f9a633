"""`snellen runs`: what was trained, read from the run folders alone."""

import os

import click

from ..core.runs import run_folders, summary
from ._output import existing, print_json, print_table
from ._verbs import HELP, Verb


@click.command(cls=Verb, context_settings=HELP)
@click.argument("folder", default="runs")
@click.option("--json", "as_json", is_flag=True, help="For programs, with every metric.")
def command(folder: str, as_json: bool) -> None:
    """List the runs of a folder (runs), the newest last."""
    if folder == "runs" and not os.path.isdir(folder):
        click.echo("no runs here yet: `snellen train digits` makes the first", err=True)
        folders = []
    else:
        folders = run_folders(existing(folder))
    rows = sorted((summary(one) for one in folders), key=lambda row: row["started"])
    if as_json:
        print_json(rows, 1)
        return
    keys = ("run", "task", "model", "data", "best", "epochs", "status", "started")
    print_table(keys, [[row[key] for key in keys] for row in rows])
