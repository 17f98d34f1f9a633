"""What a function's code names of the globals around it."""

from collections.abc import Iterator
from functools import cache
from types import CodeType, ModuleType
from typing import Any

from .holdings import is_library


@cache
def names_of(code: CodeType) -> frozenset[str]:
    """Code -> the names that it looks up, those of functions inside it too.

    >>> sorted(names_of((lambda x: [len(y) for y in x]).__code__))
    ['len']
    """
    inner = [names_of(part) for part in code.co_consts if isinstance(part, CodeType)]
    return frozenset(code.co_names).union(*inner)


def bound(names: frozenset[str], home: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, Any]]:
    """Names -> (whose, name, value) of the globals among them, through modules of the user's."""
    todo, seen = [home], {id(home)}
    while todo:
        space = todo.pop()
        for name in names & space.keys():
            value = space[name]
            if not isinstance(value, ModuleType):
                yield space, name, value
            elif not is_library(value.__name__) and id(value.__dict__) not in seen:
                seen.add(id(value.__dict__))
                todo.append(value.__dict__)
