"""The page of the mathematics by hand, written from the docstrings of `snellen/byhand`.

A docstring's indented formulas are code blocks in Markdown as they stand; its examples are fenced,
and pytest runs them on the page as well, so each topic begins with what they import.
"""

import inspect
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

from snellen.byhand import __main__ as room


def contents() -> str:
    """The topics by chapter, each a link to its derivation."""
    lines = []
    for chapter, heading in room.CHAPTERS.items():
        lines.append(f"- {heading}")
        for name, topic in room.topics().items():
            if vars(topic)["PLACE"][0] == chapter:
                lines.append(f"  - [{name}](#{name}): {room.title(topic).partition(': ')[2]}")
    return "\n".join(lines)


def derivations() -> str:
    """Every topic: its idea, and each function with its formulas, sources and examples."""
    return "\n\n".join(_topic(name, topic) for name, topic in room.topics().items())


def _topic(name: str, topic: ModuleType) -> str:
    parts = [f"## {name}", _markdown(inspect.getdoc(topic) or ""),
             f"Walk through it: `python -m snellen.byhand {name}`", _imports(topic)]  # fmt: skip
    for thing in room.functions(topic).values():
        parts += [f"### `{_signature(thing)}`", _markdown(inspect.getdoc(thing) or "")]
    return "\n\n".join(parts)


def _signature(function: Callable[..., Any]) -> str:
    """Names and defaults, without the types."""
    whole = inspect.signature(function)
    plain = [one.replace(annotation=one.empty) for one in whole.parameters.values()]
    signature = whole.replace(parameters=plain, return_annotation=whole.empty)
    return f"{function.__name__}{signature}"


def _imports(topic: ModuleType) -> str:
    names = "".join(f"...     {name},\n" for name in room.functions(topic))
    lines = f">>> import numpy as np\n>>> from {topic.__name__} import (\n{names}... )\n"
    return f"```pycon\n{lines}\n```"


def _markdown(text: str) -> str:
    """A docstring as Markdown: its examples fenced, each until the next blank line."""
    return re.sub(r"^(>>> (?:.+\n?)+)", _fenced, text, flags=re.MULTILINE).rstrip()


def _fenced(found: re.Match[str]) -> str:
    return f"```pycon\n{found[1].rstrip()}\n\n```\n"
