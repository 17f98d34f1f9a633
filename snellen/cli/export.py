"""`snellen export`: a run's network in a file for other programs."""

import click

from ..core.words import printable
from ._output import print_json, progress
from ._verbs import HELP, Number, Verb


@click.command(cls=Verb, context_settings=HELP)
@click.argument("run")
@click.option(
    "--format",
    metavar="onnx|openvino|torch",
    default="onnx",
    show_default=True,
    help="What reads it: onnxruntime and most others, OpenVINO, torch.export.load.",
)
@click.option(
    "--precision",
    metavar="fp32|bf16|int8",
    default="fp32",
    show_default=True,
    help="int8 is calibrated on the run's own training pictures.",
)
@click.option(
    "--batch",
    metavar="N|dynamic",
    default="dynamic",
    show_default=True,
    help="How many pictures at a time.",
)
@click.option("--out", metavar="FILE", help="Where to; else RUN/export/NAME-PRECISION.SUFFIX.")
@click.option("--data", metavar="PATH", help="Other data than the run's own, to check it on.")
@click.option(
    "--tolerance",
    type=Number(0),
    metavar="X",
    help="Largest difference that passes, over the network's largest output; else "
    "0.001 for fp32, 0.05 for bf16, 0.2 for int8.",
)
@click.option(
    "--calibration",
    type=click.IntRange(1),
    default=128,
    show_default=True,
    metavar="N",
    help="Training pictures that int8 looks at.",
)
@click.option("--json", "as_json", is_flag=True, help="What was found, for programs.")
def command(run: str, format: str, as_json: bool, **wish: str | float | None) -> None:
    """Write the best network of a run for other programs.

    The file takes pictures as bytes (or the floats that were trained on), normalises them inside,
    and gives the network's raw outputs: logits, for a classifier. The class names are in its
    metadata. Before it stays, it is opened again, compared with the network on 64 pictures of the
    run's data, and scored. The last line is its path.
    """
    from ..core.runfolder import find
    from ..serve.runtime import pick

    find(run)
    pick(format, str(wish["precision"]))
    from dataclasses import asdict

    from ..api import load

    with progress("exporting") as tell:
        done = load(run).export(format, tell=tell, **wish)  # type: ignore[arg-type]
    if as_json:
        print_json({**asdict(done), "path": str(done.path)})
        return
    click.echo(printable(str(done), keep="\n"))
