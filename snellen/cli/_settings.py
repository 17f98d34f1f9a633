"""The words of `snellen train`: DATA, and settings as `k=v`, `--k v`, `--k=v` or a bare `--k`.

The recipe's fields are the list of settings: their names, aliases, types, choices and help.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, get_args, get_type_hints

from ..core.errors import UnknownName, UsageError, nearest
from ..train.recipe import Recipe, aliases, parse, refuse_empty, resolve_name, settings
from ..train.values import SWITCH, WORDS
from ._verbs import KEY

OWN = {  # words of the command that are no settings of a recipe
    "recipe": "start from a recipe; typed settings win over it",
    "resume": "go on with a run that was interrupted: its folder",
}
NUMBER = re.compile(r"-[\d.].*|-(inf|nan)")


@dataclass
class Typed:
    """What the user typed, read: settings by name, and what is worth a note."""

    settings: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    words: dict[str, str] = field(default_factory=dict)  # setting -> the text it came from


def read_words(words: list[str]) -> Typed:
    """The words after `train` -> settings of their types.

    >>> read_words(["pets/", "epochs=5", "--lr", "0.1", "--amp"]).settings
    {'data': 'pets/', 'epochs': 5, 'lr': 0.1, 'amp': 'bf16'}
    >>> read_words(["--batch-size=8"]).notes
    ['batch-size is called batch here']
    """
    typed = Typed()
    for word, value in pairs(words):
        if word is None:
            _take_data(typed, str(value))
            continue
        name, is_alias = name_of(word)
        if is_alias:
            typed.notes.append(f"{word} is called {name} here")
        _take(typed, name, value)
    return typed


def pairs(words: list[str]) -> Iterator[tuple[str | None, Any]]:
    """(word, value) of each setting as it was typed; a bare word comes with None before it.

    >>> list(pairs(["digits", "lr=1", "--compile", "--epochs", "3", "--no-doctor"]))
    [(None, 'digits'), ('lr', '1'), ('compile', True), ('epochs', '3'), ('doctor', False)]
    """
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if match := KEY.fullmatch(word.removeprefix("--")):
            yield match[1], match[2]
        elif word.startswith("-") and not NUMBER.fullmatch(word):
            yield _dashed(word, rest)
        else:
            yield None, word


def _dashed(word: str, rest: list[str]) -> tuple[str, Any]:
    """`--k v`, a bare `--k` or `--no-k`; takes the value off `rest`."""
    name = word.lstrip("-")
    if name.startswith("no-") and _is_switch(name[3:]):
        return name[3:], False
    following = rest[0] if rest else None
    if _is_switch(name):
        takes = following is not None and following.lower() in _switch_words(name)
        return name, rest.pop(0) if takes else True
    if following is None or (following.startswith("-") and not NUMBER.fullmatch(following)):
        known, _ = name_of(name)
        raise UsageError(f"{word} needs a value: {known}=...")
    return name, rest.pop(0)


def name_of(word: str) -> tuple[str, bool]:
    """A typed word -> (setting, whether it was an alias), the command's own words included.

    >>> name_of("resume"), name_of("bs")
    (('resume', False), ('batch', True))
    """
    plain = word.replace("-", "_").lower()
    if plain in OWN:
        return plain, False
    near = nearest(plain, [*OWN, *aliases(), *(f.name for f in settings())], 1)
    if near and near[0] in OWN:
        raise UnknownName(word, near, "settings")
    name, is_alias = resolve_name(plain)
    return name, is_alias


def _is_switch(word: str) -> bool:
    """Whether the setting can be typed without a value: yes or no, or off among its choices."""
    try:
        name, _ = name_of(word)
    except UnknownName:
        return False
    return name not in OWN and (bool in _types(name) or "off" in _choices(name))


def _switch_words(word: str) -> set[str]:
    name, _ = name_of(word)
    return {*SWITCH, *_choices(name), *WORDS.get(name, ()), "auto", "none"}


def _choices(name: str) -> tuple[str, ...]:
    return next(f.metadata["choices"] for f in settings() if f.name == name)


def _types(name: str) -> tuple[Any, ...]:
    hint = get_type_hints(Recipe)[name]
    return get_args(hint) or (hint,)


def _take(typed: Typed, name: str, value: Any) -> None:
    """Note a setting; typed twice with different values is an error that shows both."""
    refuse_empty(name, value)
    read = str(value) if name in OWN else parse(name, value)
    if name in typed.settings and typed.settings[name] != read:
        raise UsageError(
            f"{name} is typed twice, {typed.words[name]} and {value}; keep the one you mean"
        )
    typed.settings[name], typed.words[name] = read, str(value)


def _take_data(typed: Typed, word: str) -> None:
    """A bare word is DATA; a second one is most likely a setting that lacks its `=`."""
    first = typed.words.get("data")
    if first is None or first == word:
        _take(typed, "data", word)
        return
    names = [f.name for f in settings()]
    hint = f"did you mean {word}=...?" if word in names else "settings are written epochs=5"
    raise UsageError(f"{word!r} is one word too many: the data are {first!r} already; {hint}")
