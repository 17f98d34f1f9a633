"""`snellen eval`: how well a run's best network does on its own or other data."""

from collections.abc import Mapping

import click

from ..core.words import printable
from ._coco_table import coco_table
from ._output import print_json
from ._verbs import HELP, Verb


@click.command(cls=Verb, context_settings=HELP)
@click.argument("run")
@click.option("--data", metavar="PATH", help="Other data than the run's own validation part.")
@click.option("--json", "as_json", is_flag=True, help="The last line alone.")
def command(run: str, data: str | None, as_json: bool) -> None:
    """Score the best network of a run.

    COCO's table where things are found, and the scores by class come first; the last line is one
    JSON object {metric: value}.
    """
    from ..core.runfolder import find

    find(run)
    from ..api import load

    metrics = load(run).evaluate(data)
    for line in () if as_json else (*coco_table(metrics), *by_class(metrics)):
        click.echo(line)
    print_json(metrics)


def by_class(metrics: Mapping[str, float]) -> list[str]:
    """The scores that are called METRIC/CLASS, in columns.

    >>> by_class({"mIoU": 0.75, "IoU/cat": 0.9, "IoU/grey dog": 0.6})
    ['IoU  cat       0.9000', 'IoU  grey dog  0.6000']
    """
    found = [(*name.partition("/")[::2], value) for name, value in metrics.items() if "/" in name]
    rows = [(metric, printable(name), f"{value:.4f}") for metric, name, value in found]
    wide = max((len(name) for _, name, _ in rows), default=0)
    return [f"{metric}  {name:<{wide}}  {value}" for metric, name, value in rows]
