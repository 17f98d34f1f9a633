"""`snellen explain`: what a run's network sees in a picture."""

import io
import os
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.errors import SnellenError, UsageError
from ..core.words import printable
from ..explain import methods as room
from ._output import existing, print_json, progress
from ._verbs import HELP, KEY, Verb

if TYPE_CHECKING:
    from ..explain.look import Explanation

METHODS = ", ".join(info.name for info in pkgutil.iter_modules(room.__path__))


@click.command(cls=Verb, context_settings=HELP, epilog=f"Methods: {METHODS}")
@click.argument("run")
@click.argument("image")
@click.option(
    "--method", default="gradcam", show_default=True, metavar="A,B|all",
    help="How to look; all: each that works on this network.",
)  # fmt: skip
@click.option("--target", metavar="NAME|N", help="Of which answer; else the likeliest.")
@click.option("--layer", default="", metavar="NAME", help="Where; else the last that gives maps.")
@click.option("--style", metavar="IMAGE", help="The picture whose style is taken.")
@click.option("--data", metavar="PATH", help="Other pictures than the run's own.")
@click.option("--set", "settings", multiple=True, metavar="NAME=X", help="A setting of a method.")
@click.option("--out", metavar="FOLDER", help="Where to; else RUN/plots.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a method.")
def command(
    run: str, image: str, method: str, settings: tuple[str, ...], out: str | None, as_json: bool,
    **how: Any,
) -> None:  # fmt: skip
    """Show what the best network of a run sees in a picture.

    Each method writes a picture: a map over the original (yellow to red speaks for the answer, blue
    against it), or what the method made. A line says what was explained and where, and under it
    stands the path; no file is ever overwritten.
    """
    from ..core.runfolder import find

    folder = find(run)
    names = _names(method, how["style"] is not None)
    given = _settings(names, settings)
    existing(image)
    if how["style"] is not None:
        existing(how["style"])
    where = Path(out) if out else folder.plots
    if where.exists() and not where.is_dir():
        raise UsageError(f"{where} is a file; --out wants a folder")
    from ..api import load

    known = load(run)
    for name in names:
        try:
            with progress(name) as tell:
                found = known.explain(image, name, tell=tell, **how, **given[name])
        except SnellenError as error:
            if method != "all":
                raise
            click.echo(f"{name} is left out: {printable(str(error))}", err=True)
            continue
        where.mkdir(parents=True, exist_ok=True)
        _say(found, _save(found, where / f"explain-{Path(image).stem}-{name}.png"), as_json)


def _names(method: str, has_style: bool) -> list[str]:
    """`a,b` or `all` -> names of methods, each once."""
    from ..explain.look import without
    from ..explain.method import pick

    if method == "all":
        return without(style=has_style, data=True)
    words = [word.strip() for word in method.split(",") if word.strip()]
    if not words:
        raise UsageError(f"--method is empty; it takes one or more of {METHODS}, or all")
    names = list(dict.fromkeys(pick(word).name for word in words))
    if not has_style and (needy := [n for n in names if pick(n).needs == "style"]):
        raise UsageError(f"{needy[0]} needs a second picture: --style IMAGE")
    return names


def _settings(names: list[str], words: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """NAME=X words -> for each method those that are its own; none's is an error."""
    from ..core.errors import UnknownName
    from ..explain.look import settings_of

    known = {name: settings_of(name) for name in names}
    given: dict[str, dict[str, str]] = {name: {} for name in names}
    for word in words:
        match = KEY.fullmatch(word)
        if match is None:
            raise UsageError(f"--set {word}: NAME=X is wanted")
        takers = [name for name in names if match[1] in known[name]]
        if not takers:
            every = sorted({s for own in known.values() for s in own})
            raise UnknownName(match[1], every, f"the settings of {', '.join(names)}")
        for name in takers:
            given[name][match[1]] = match[2]
    return given


def _save(found: "Explanation", path: Path) -> Path:
    """Write a picture under that name, or the next one that is free."""
    data = io.BytesIO()
    found.picture.save(data, "PNG")
    stem, turn = path.stem, 1
    while True:
        try:
            with open(path, "xb") as file:
                file.write(data.getvalue())
            return path
        except FileExistsError:
            turn += 1
            path = path.with_name(f"{stem}-{turn}.png")


def _say(found: "Explanation", path: Path, as_json: bool) -> None:
    if as_json:
        own = ("method", "target", "name", "score", "layer", "words", "facts")
        print_json({**{name: getattr(found, name) for name in own}, "path": os.fspath(path)})
        return
    click.echo(printable(str(found)))
    click.echo(printable(str(path)))
