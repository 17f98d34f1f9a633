"""`snellen models`: the networks that can be named, and what one is made of."""

import warnings
from ast import literal_eval
from collections.abc import Iterator
from typing import Any

import click

from ..core.errors import LeftOut, UsageError
from ._output import print_json, print_table
from ._verbs import HELP, KEY, Verb


@click.command(cls=Verb, context_settings=HELP)
@click.argument("name", required=False)
@click.argument("words", nargs=-1, metavar="[OPTION=VALUE ...]")
@click.option("--json", "as_json", is_flag=True, help="For programs; sizes are integers.")
def command(name: str | None, words: tuple[str, ...], as_json: bool) -> None:
    """List the networks, or the layers of one.

    params and macs (multiply-adds) are for the paper's own input and classes, or for what you say:
    imgsz=32, classes=10, channels=1, and the options that are printed below the layers.
    """
    from ..models import describe, layer_table, listing, models

    if name is None:
        rows = list(_described(models() if as_json else listing(None)))
        print_json(rows, 1) if as_json else _print_lists(rows)
        return
    given = dict(map(_read, words))
    if as_json:
        print_json(describe(name, **given), 1)
    else:
        _print_layers(describe(name, **given), layer_table(name, **given))


def _described(names: list[str]) -> Iterator[dict[str, Any]]:
    """The facts of each network; a plug-in's that cannot be counted is left out and said."""
    from ..models import describe

    for name in names:
        try:
            yield describe(name)
        except UsageError as error:
            warnings.warn(f"{name} is left out: {error}", LeftOut, stacklevel=2)


def _read(word: str) -> tuple[str, Any]:
    """A typed option -> its name and value: a number, a list of them, yes, no, or a word."""
    from ..train.values import SWITCH

    match = KEY.fullmatch(word.removeprefix("--"))
    if match is None:
        raise UsageError(f"{word!r} is one word too many; options are written imgsz=32")
    key, text = match[1].replace("-", "_"), match[2]
    if text.lower() in SWITCH and not text.isdigit():
        return key, SWITCH[text.lower()]
    try:
        return key, literal_eval(text)
    except (ValueError, SyntaxError):
        return key, text


def _print_lists(rows: list[dict[str, Any]]) -> None:
    """A table for each task's networks, those that classify first."""
    keys = ("name", "family", "params", "macs", "input", "top1", "paper")
    tasks = sorted({row["task"] for row in rows}, key=lambda task: (task != "classify", task))
    for task in tasks:
        click.echo(f"for {task}" if task == tasks[0] else f"\nfor {task}")
        shown = [key for key in keys if key != "top1" or task == "classify"]
        of_task = [[row.get(key) for key in shown] for row in rows if row["task"] == task]
        print_table(shown, of_task)


def _print_layers(facts: dict[str, Any], layers: list[dict[str, Any]]) -> None:
    print_table(list(layers[0]), [list(layer.values()) for layer in layers])
    size = "x".join(map(str, facts["input"]))
    aux = facts["params"] - facts["params_without_aux"]
    beside = f" ({aux:,} of them in auxiliary heads, which are not above)" if aux else ""
    click.echo(f"{facts['name']}: {facts['params']:,} parameters{beside}, {facts['macs']:,} "
               f"multiply-adds at {size}; {facts['paper']}")  # fmt: skip
    stored = sum(layer["activation_bytes"] for layer in layers)
    click.echo(f"activations of one image: {stored / 2**20:.1f} MiB")
    click.echo("options: " + " ".join(f"{k}={_said(v)}" for k, v in facts["options"].items()))


def _said(value: Any) -> str:
    """A value as it can be typed."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(_said, value)) if isinstance(value, tuple) else str(value)
