"""`python -m snellen.byhand [TOPIC]`: lists the ideas, or walks a reader through one.

A topic is a file of this room; the list is the folder.
"""

import difflib
import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ._page import Page

CHAPTERS = {
    "layers": "Layers",
    "activations": "Activations",
    "losses": "Losses and what is added to them",
    "networks": "Layers in a chain",
    "recurrent": "Recurrent cells, backward through time",
    "optimisers": "Optimisers",
    "gradients": "Checking",
}


def main(words: list[str]) -> int:
    """Words of the command line -> exit code: 0, or 2 for an unknown topic."""
    known = topics()
    if not words or words[0] in ("-h", "--help"):
        print(listing(known))
        return 0
    if len(words) > 1:
        print(f"one topic is wanted, not {' '.join(words)!r}", file=sys.stderr)
        return 2
    name = words[0].lower().replace("-", "_").removesuffix(".py")
    if name not in known:
        said = f"no {words[0]!r} among the topics; did you mean {nearest(name, known)}?"
        print(f"{said} `python -m snellen.byhand` lists them", file=sys.stderr)
        return 2
    print(walked(known[name]))
    return 0


def topics() -> dict[str, ModuleType]:
    """Name -> file, in the order of the chapters.

    >>> list(topics())[-1]
    'gradients'
    """
    room = importlib.import_module("snellen.byhand")
    names = [info.name for info in pkgutil.iter_modules(room.__path__) if info.name[0] != "_"]
    files = {name: importlib.import_module(f"snellen.byhand.{name}") for name in names}
    order = list(CHAPTERS)

    def place(name: str) -> tuple[int, int]:
        chapter, rank = files[name].PLACE
        return order.index(chapter), rank

    return {name: files[name] for name in sorted(files, key=place)}


def functions(topic: ModuleType) -> dict[str, Callable[..., Any]]:
    """The public functions of a topic's own, in the order of its file, without its walk.

    >>> list(functions(topics()["softmax"]))
    ['log_softmax', 'softmax_forward', 'softmax_backward']
    """
    return {
        name: thing
        for name, thing in vars(topic).items()
        if inspect.isfunction(thing) and thing.__module__ == topic.__name__
        if name[0] != "_" and name != "walk"
    }


def title(topic: ModuleType) -> str:
    """What a topic is, the first line of its file."""
    return (topic.__doc__ or "").splitlines()[0].rstrip(".")


def nearest(word: str, known: dict[str, ModuleType]) -> str:
    """A word -> the topic it may mean, by the topics' names, headings and functions.

    >>> nearest("sigmiod", topics()), nearest("convolution", topics())
    ('activations', 'conv')
    """
    means: dict[str, str] = {}
    for name, topic in known.items():
        own = functions(topic)
        stems = [key.rpartition("_")[0] for key in own if key.endswith(("_forward", "_step"))]
        means |= dict.fromkeys([*own, *stems], name)
    for name, topic in known.items():  # later ones win
        means |= {title(topic).partition(":")[0].lower().replace(" ", "_"): name}
    means |= {name: name for name in known}
    near = difflib.get_close_matches(word, means, n=1, cutoff=0.0)
    return means[near[0]]


def listing(known: dict[str, ModuleType]) -> str:
    """The topics by chapter, as the command prints them."""
    lines = ["The notes' mathematics by hand: python -m snellen.byhand TOPIC"]
    for chapter, heading in CHAPTERS.items():
        lines += ["", heading]
        lines += [
            f"  {name:15} {title(topic).partition(': ')[2]}"
            for name, topic in known.items()
            if vars(topic)["PLACE"][0] == chapter
        ]
    return "\n".join(lines)


def walked(topic: ModuleType) -> str:
    """A topic -> its walk as text."""
    page = Page()
    page.lines += [title(topic), "=" * min(len(title(topic)), 80)]
    topic.walk(page)
    return page.text


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
