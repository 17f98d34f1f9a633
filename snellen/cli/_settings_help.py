"""The settings of `snellen train --help`, read off the recipe's fields."""

import textwrap
from dataclasses import Field
from typing import Any, get_args, get_type_hints

from ..train.recipe import Recipe, settings
from ._settings import OWN

HEADINGS = {  # the field that a group begins with; a new field falls into the group it stands in
    "data": "What is learned",
    "epochs": "How",
    "seed": "On which machine",
    "weights": "From where to when",
    "name": "Where to",
}

VALUES = {"data": "PATH", "val": "PATH", "weights": "FILE", "project": "FOLDER", "resume": "RUN"}


def settings_help() -> str:
    """Every setting with its values, meaning, default and other names, in groups."""
    lines: list[str] = []
    for field in settings():
        if field.name in HEADINGS:
            lines += ["", f"{HEADINGS[field.name]}:"]
        lines.append(_line(field))
    lines += ["", "Instead of data:"]
    lines += [_columns(f"{name}={VALUES.get(name, 'NAME')}", text) for name, text in OWN.items()]
    return "\n".join(lines).strip("\n")


def _line(field: Field[Any]) -> str:
    choices, names = field.metadata["choices"], field.metadata["aliases"]
    text = field.metadata["help"] + (f": {', '.join(choices)}" if choices else "")
    extra = []
    if field.default is not None:
        extra.append(f"default {_word(field.default)}")
    if names:
        extra.append(f"also {', '.join(names)}")
    right = f"{text} ({'; '.join(extra)})" if extra else text
    return _columns(f"{field.name}={_kind(field.name)}", right)


def _columns(left: str, right: str) -> str:
    indent = " " * 23
    return textwrap.fill(right, 100, initial_indent=f"  {left:<20} ", subsequent_indent=indent)


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _kind(name: str) -> str:
    if name in VALUES:
        return VALUES[name]
    hint = get_type_hints(Recipe)[name]
    kind = (get_args(hint) or (hint,))[0]
    return {int: "N", float: "X", bool: "yes|no", str: "WORD"}.get(kind, "WORD")
