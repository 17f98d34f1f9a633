"""`snellen verify`: whether the files of a run are whole."""

import click

from ..core.errors import DataError
from ._output import existing
from ._verbs import HELP, Verb

SHOWN = 6  # damages named on the screen; a broken disk can have thousands


@click.command(cls=Verb, context_settings=HELP)
@click.argument("path", metavar="RUN|FILE")
def command(path: str) -> None:
    """Check that the files of a run are whole.

    Recounts the checksums of a RUN's files, or of one FILE; of a RUN that was killed, its weights',
    and reads the rest. Exits with 3 where one is wrong, with 2 where there is nothing to judge it
    by.
    """
    there = existing(path)
    from ..train.checkpoint import verify

    damages = verify(there)
    if damages:
        lines = [str(damage) for damage in damages[:SHOWN]]
        lines += [f"and {len(damages) - SHOWN} more"] if len(damages) > SHOWN else []
        raise DataError("\n".join([f"{path} is damaged:", *lines]))
    click.echo(f"{path}: whole")
