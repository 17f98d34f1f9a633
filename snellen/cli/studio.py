"""`snellen studio`: the local page over run folders."""

import os

import click

from ..core.words import printable
from ._output import existing
from ._verbs import HELP, Verb


@click.command(cls=Verb, context_settings=HELP)
@click.argument("runs", default="runs")
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N",
              help="Where it listens; else on a free port.")  # fmt: skip
@click.option("--open", "in_browser", is_flag=True, help="Open the address in the browser too.")
def command(runs: str, port: int, in_browser: bool) -> None:
    """Show runs in the browser.

    All runs of a folder (runs), or one: live curves, the doctor's findings, settings, pictures,
    runs side by side, and what to do when. It prints an address that holds on this machine alone
    and until it ends, with a key that every request needs. It reads, and never writes. Ctrl-C is
    how it ends: exit code 0.
    """
    if runs != "runs" or os.path.exists(runs):
        existing(runs)
    from ..core.errors import DataError
    from ..studio.server import Studio

    if os.path.isfile(runs):
        raise DataError(f"{runs} is a file; a run or a folder of runs is wanted")
    studio = Studio(runs, port)
    click.echo(printable(studio.url))
    click.echo("Ctrl-C ends it", err=True)
    if in_browser:
        import webbrowser

        webbrowser.open(studio.url)
    studio.run()
