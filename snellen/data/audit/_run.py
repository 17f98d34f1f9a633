"""The audit as a whole: open, look through each part once, ask every check, sum up."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...core import registry
from ...core.errors import DataError, shortlist
from ..open import open_data
from ..source import Problem, Source
from ._album import look_through

HARMS = ("harmful", "suspect", "harmless")
FILES = ("segment", "instances", "pose", "caption")  # tasks that read files of their own
MANY = 100  # more of one kind are told in one line


def audit_source(data: Any, progress: Callable[[int, int], None] | None = None) -> list[Problem]:
    """Data or a Source -> its problems, harmful ones first."""
    source = data if isinstance(data, Source) else open_data(data, split=0.0)
    named = ((name, getattr(source, name)) for name in ("train", "val", "test"))
    parts = [(name, part) for name, part in named if part is not None]
    total, done, albums = sum(len(part) for _, part in parts), 0, []
    for name, part in parts:
        before = done
        tell = None if progress is None else (lambda n, b=before: progress(b + n, total))
        albums.append(look_through(name, part, tell))
        done += len(part)
    problems = [
        *source.problems,
        *_beside(source),
        *(p for album in albums for p in album.problems),
    ]
    for check in registry.collect("snellen.data.audit", "AUDITS").values():
        problems += check(albums, source.classes)
    return sorted(_sum_up(problems), key=lambda problem: HARMS.index(problem.harm))


def _beside(source: Source) -> list[Problem]:
    """What is wrong with files that only some tasks read: masks, captions, key points; without what
    has been said already, or does no harm.
    """
    said = {(p.id, p.message, p.file, p.line) for p in source.problems}
    found: list[Problem] = []
    is_files = Path(source.name).exists()
    for task in FILES if is_files else ():
        if task not in source.variants:
            continue
        try:
            more = source.of(task).problems
        except DataError as error:
            more = (Problem("label-unreadable", f"task={task} cannot read these data: {error}"),)
        for problem in more:
            key = (problem.id, problem.message, problem.file, problem.line)
            if key not in said and problem.harm != "harmless":
                said.add(key)
                found.append(replace(problem, samples=()))  # rows of another source
    return found


def _sum_up(problems: list[Problem]) -> list[Problem]:
    """Where one kind is found very often in a part, one problem says it for all."""
    kinds = defaultdict(list)
    for problem in problems:
        kinds[problem.id, problem.part, problem.harm].append(problem)
    result = []
    for group in kinds.values():
        if len(group) <= MANY:
            result += group
            continue
        names = shortlist(dict.fromkeys(Path(p.file or "").name or p.message for p in group), 5)
        message = f"{len(group)} times: {group[0].message} ({names})"
        rows = tuple(row for p in group for row in p.samples)
        result.append(replace(group[0], message=message, file=None, line=None, samples=rows))
    return result
