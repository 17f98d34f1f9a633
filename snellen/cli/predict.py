"""`snellen predict`: what a run's network says of pictures."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ..core.errors import DataError
from ._output import existing, print_json
from ._verbs import HELP, Verb

BLOCK = 256  # files at once: answers are seen early, and memory is bounded in any folder


@click.command(cls=Verb, context_settings=HELP)
@click.argument("run")
@click.argument("files", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, all fields.")
def command(run: str, files: tuple[str, ...], as_json: bool) -> None:
    """Predict pictures with the best network of a run.

    FILES are pictures, or folders of them. A line a picture: file, label, score. A file that cannot be read is named, the others are
    predicted all the same, and the exit code is 3.
    """
    from ..core.runfolder import find

    find(run)
    from ..api import load

    loaded = load(run)
    failed: list[str] = []
    good = 0
    every = list(_expand(files))
    for start in range(0, len(every), BLOCK):
        for answer in _predict(loaded, every[start : start + BLOCK], failed):
            good += 1
            _print(answer, as_json)
    if failed:
        some = "\n".join(failed[:5])
        more = f"\nand {len(failed) - 5} more" if len(failed) > 5 else ""
        raise DataError(f"{len(failed)} of {good + len(failed)} files not predicted:\n{some}{more}")


def _expand(files: tuple[str, ...]) -> Iterator[str]:
    """The files, and in place of a folder the pictures in it, in order."""
    for file in files:
        if not os.path.isdir(file):
            yield file
            continue
        from ..data.images import SUFFIXES

        inside = sorted(p for p in Path(file).rglob("*") if p.suffix.lower() in SUFFIXES)
        if not inside:
            raise DataError(f"{file} holds no picture ({', '.join(sorted(SUFFIXES))})")
        yield from map(str, inside)


def _predict(run: Any, files: list[str], failed: list[str]) -> list[dict[str, Any]]:
    """The predictions of the files that can be read; the others are named in `failed`."""
    try:
        for file in files:
            existing(file)
        return list(run.predict_files(files))
    except DataError as error:
        if len(files) == 1:
            text = str(error)
            failed.append(text if files[0] in text else f"{files[0]}: {text}")
            return []
        return [answer for file in files for answer in _predict(run, [file], failed)]


def _print(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    score = answer.get("score")
    label = answer.get("label", answer.get("text", ""))
    click.echo("\t".join([answer["file"], str(label), *([f"{score:.4f}"] if score else [])]))
