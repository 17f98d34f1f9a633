"""`snellen predict`: what a run's network says of pictures."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.errors import DataError, UsageError
from ..core.words import printable
from ._output import print_json
from ._verbs import HELP, Number, Verb

if TYPE_CHECKING:
    from ..data.sample import Prediction
    from ..serve.keep import Keeper
    from ..serve.predict import Predictor

LEAST = 0.3  # the least score of a thing that is printed, as of one that is drawn
SHOWN = 5  # files that are named on the screen


@click.command(cls=Verb, context_settings=HELP)
@click.argument("run")
@click.argument("files", nargs=-1, required=True)
@click.option("--via", metavar="onnx|openvino", help="Use the run's exported file.")
@click.option("--masks", metavar="FOLDER", help="Write each map of classes as a PNG there.")
@click.option("--out", metavar="FOLDER", help="Keep drawings, predictions.csv and coco.json there.")
@click.option("--ids", metavar="JSON", help="COCO's json whose numbers coco.json takes.")
@click.option(
    "--score",
    "least",
    type=Number(0, 1),
    metavar="SCORE",
    help="Print things from this score on; 0.3, and all with --json. --out keeps all.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, all fields.")
def command(
    run: str, files: tuple[str, ...], via: str | None, masks: str | None, as_json: bool,
    out: str | None, ids: str | None, least: float | None,
) -> None:  # fmt: skip
    """Predict pictures with the best network of a run.

    RUN may be a file that `snellen export` wrote. FILES are pictures, or folders of them. A line a
    picture, or one for each thing found in it: file, label, score. A file that cannot be read is
    named, the others are predicted all the same, and the exit code is 3. The error output says
    which drawings and maps are numbered, as pictures have the same name, and at the end how many
    pictures a second were predicted.
    """
    failed: list[str] = []
    count, is_several = 0, True
    shown = least if least is not None else 0.0 if as_json else LEAST
    predictor = _predictor(run, via)
    keeper = _keeper(predictor, out, ids)
    began = time.perf_counter()

    def tell(path: str, found: "Prediction") -> None:
        nonlocal count, is_several
        count, is_several = count + 1, found.label is None
        if keeper is not None:
            _tell_renamed(path, keeper.take(path, found))
        if not as_json and not _shows(found, shown):
            click.echo(f"{printable(path)}\tnothing of score {shown:g} or more")

    last = ""
    for answer in predictor.rows(files, masks, tell=tell):
        if "mask" in answer and answer["mask"] != last:
            last = answer["mask"]
            _tell_renamed(answer["file"], Path(last))
        if "error" in answer:
            failed.append(printable(_named(answer["file"], answer["error"])))
        elif not is_several or "box" not in answer or answer["score"] >= shown:
            _print(answer, as_json)
    if count:
        click.echo(_pace(count, time.perf_counter() - began), err=True)
    for file in keeper.finish(*_data(run)) if keeper else ():
        whose = f", numbers of {keeper.numbers}" if keeper and file.name == "coco.json" else ""
        click.echo(f"wrote {file}{whose}", err=True)
    if failed:
        some = "\n".join(failed[:SHOWN])
        more = f"\nand {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
        count += len(failed)
        raise DataError(f"{len(failed)} of {count} files not predicted:\n{some}{more}")


def _pace(count: int, seconds: float) -> str:
    """How many pictures a second were predicted: read, answered, printed and kept.

    >>> _pace(1, 0.25), _pace(600, 2.0)
    ('1 picture in 0.25 s: 4 a second', '600 pictures in 2 s: 300 a second')
    """
    pictures = f"{count} picture{'s' if count > 1 else ''}"
    return f"{pictures} in {seconds:.3g} s: {count / max(seconds, 1e-9):.3g} a second"


def _shows(found: "Prediction", least: float) -> bool:
    """Whether a prediction is more than things below a score; one answer a picture always is."""
    if found.label is not None or found.boxes_N4 is None or found.scores_N is None:
        return True
    return bool((found.scores_N >= least).any())


def _predictor(run: str, via: str | None) -> "Predictor":
    """A run's own network, or an exported one."""
    from ..core.runfolder import find
    from ..serve.runtime import by_suffix, exported_in, reader, refuse_part

    file = Path(run)
    if via is not None or not file.suffix or file.is_dir() or by_suffix(file) is None:
        refuse_part(file)
        find(run)
        if via is None:
            from ..api import load

            return load(run).predictor
        file = exported_in(file, reader(via))
    from ..serve.exported import open_exported

    return open_exported(file)


def _keeper(predictor: "Predictor", out: str | None, ids: str | None) -> "Keeper | None":
    """What takes predictions for --out; all that can be wrong with it is said before the work."""
    if out is None:
        if ids is not None:
            raise UsageError("--ids says which numbers --out's coco.json takes; give --out too")
        return None
    from ..serve.keep import Ids, Keeper, open_folder

    numbers = Ids.read(ids) if ids is not None else None
    return Keeper(open_folder(out), predictor.task, numbers)


def _data(run: str) -> list[str | None]:
    """The paths of the data that a run was judged and trained on; none for an exported file."""
    if not os.path.isdir(run):
        return []
    from ..api import load

    config = load(run).config
    said = {**config["recipe"], **config.get("places", {})}
    return [said.get("val"), said.get("data")]


def _tell_renamed(path: str, kept: Path) -> None:
    """Say where a picture's file is that is not called as the picture: another one's is."""
    stem = Path(path).stem
    if kept.stem not in (stem, f"{stem}_mask"):
        click.echo(f"{printable(path)} is kept as {printable(str(kept))}", err=True)


def _named(file: str, error: str) -> str:
    return error if file in error else f"{file}: {error}"


def _print(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    label = answer.get("label", answer.get("text", ""))
    score = [f"{answer['score']:.4f}"] if "score" in answer else []
    click.echo("\t".join([printable(answer["file"]), printable(str(label)), *score]))
