"""`snellen eval`: how well a run's best network does on its own or other data."""

import click

from ._output import print_json
from ._verbs import HELP, Verb


@click.command(cls=Verb, context_settings=HELP)
@click.argument("run")
@click.option("--data", metavar="PATH", help="Other data than the run's own validation part.")
def command(run: str, data: str | None) -> None:
    """Score the best network of a run.

    The last line is one JSON object {metric: value}.
    """
    from ..core.runfolder import find

    find(run)
    from ..api import load

    print_json(load(run).evaluate(data))
