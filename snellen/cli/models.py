"""`snellen models`: the networks that can be named, and what one is made of."""

from typing import Any

import click

from ._output import print_json, print_table
from ._verbs import HELP, Verb


@click.command(cls=Verb, context_settings=HELP)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs; sizes are integers.")
def command(name: str | None, as_json: bool) -> None:
    """List the networks, or the layers of one.

    params and macs (multiply-adds) are for the paper's own input and classes.
    """
    from ..models import describe, layer_table, listing, models

    if name is None:
        rows = [describe(each) for each in (models() if as_json else listing())]
        print_json(rows, 1) if as_json else _print_list(rows)
    elif as_json:
        print_json(describe(name), 1)
    else:
        _print_layers(describe(name), layer_table(name))


def _print_list(rows: list[dict[str, Any]]) -> None:
    keys = ("name", "family", "params", "macs", "input", "paper")
    print_table(keys, [[row.get(key) for key in keys] for row in rows])


def _print_layers(facts: dict[str, Any], layers: list[dict[str, Any]]) -> None:
    print_table(list(layers[0]), [list(layer.values()) for layer in layers])
    size = "x".join(map(str, facts["input"]))
    click.echo(f"{facts['name']}: {facts['params']:,} parameters, {facts['macs']:,} multiply-adds "
               f"at {size}; {facts['paper']}")  # fmt: skip
