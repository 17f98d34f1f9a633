"""A finding: what is wrong, how sure we are, where, which samples, and what to do first."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from typing import Any

LEVELS = ("advice", "warning", "error")


@dataclass(frozen=True, repr=False)
class Finding:
    """One disease. Its symptoms are folded under it and not reported beside it.

    >>> Finding("lr-too-high", "error", "the loss rose from 2.3 to 4e7", do="divide lr by 10").id
    'lr-too-high'
    """

    id: str
    level: str  # advice | warning | error
    message: str  # what was seen, with its numbers
    why: str = ""
    do: str = ""
    where: dict[str, Any] = field(default_factory=dict)  # module, parameter, file, line, operation
    samples: tuple[int, ...] = ()  # rows of the innermost data set
    samples_of: str = ""  # "train", "val", or "batch" where there was no DataLoader to ask
    paths: tuple[str, ...] = ()
    since: int = 0  # completed optimiser steps
    settings: dict[str, Any] = field(default_factory=dict)  # the fix, where it can be one
    confidence: float = 0.9
    evidence: dict[str, Any] = field(default_factory=dict)
    symptoms: tuple["Finding", ...] = ()
    # What this one leads to, where that is less than its check says; the judge's own business.
    explains: tuple[str, ...] | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        samples = f", samples={self.samples[:5]}" if self.samples else ""
        return f"Finding({self.id!r}, {self.level!r}, {self.message!r}{samples})"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON, symptoms nested; what findings.json holds."""
        return _told(asdict(self))

    @staticmethod
    def from_dict(data: dict[str, Any]) -> "Finding":
        """The inverse of `as_dict`; unknown keys of a later version are ignored."""
        known = {k: v for k, v in data.items() if k in Finding.__dataclass_fields__}
        known["symptoms"] = tuple(Finding.from_dict(s) for s in known.get("symptoms", ()))
        for name in ("samples", "paths"):
            known[name] = tuple(known.get(name, ()))
        return Finding(**known)


def at_or_above(findings: tuple[Finding, ...], level: str) -> tuple[Finding, ...]:
    """The findings at a level or above.

    >>> at_or_above((Finding("a", "advice", ""), Finding("b", "error", "")), "warning")[0].id
    'b'
    """
    return tuple(f for f in findings if LEVELS.index(f.level) >= LEVELS.index(level))


def fold(
    findings: list[Finding],
    explains: dict[str, tuple[str, ...]],
    opposites: Collection[frozenset[str]] = (),
) -> tuple[Finding, ...]:
    """Put symptoms under their roots; the surest and gravest root first.

    `explains` maps an id to the ids that it causes. A finding goes under the surest root that
    explains it, also over others that are there; of two that explain each other the surer stays. A
    root is as grave as the gravest of its symptoms. Of two opposites only the surer is told.
    """
    ranked: list[Finding] = []
    for finding in sorted(findings, key=_rank):
        if not any(frozenset((finding.id, told.id)) in opposites for told in ranked):
            ranked.append(finding)
    told_ids = {f.id for f in ranked}
    explains = {id: tuple(e for e in explains.get(id, ()) if e in told_ids) for id in told_ids}
    roots: list[Finding] = []
    for finding in ranked:
        above = [r for r in ranked if _is_above(r, finding, explains)]
        if not above:
            roots.append(finding)
    placed = []
    for root in roots:
        under = [f for f in ranked if f not in roots and _causes(root.id, f.id, explains)]
        mine = [f for f in under if next(r for r in roots if _causes(r.id, f.id, explains)) is root]
        gravest = max([root, *mine], key=lambda f: LEVELS.index(f.level)).level
        placed.append(replace(root, symptoms=tuple(mine), level=gravest))
    return tuple(sorted(placed, key=_rank))


def _told(fields: dict[str, Any]) -> dict[str, Any]:
    for symptom in fields["symptoms"]:
        _told(symptom)
    del fields["explains"]
    return fields


def _rank(finding: Finding) -> tuple[int, float, int]:
    return -LEVELS.index(finding.level), -finding.confidence, finding.since


def _is_above(root: Finding, finding: Finding, explains: dict[str, tuple[str, ...]]) -> bool:
    """Whether `finding` folds under `root`; of two that explain each other the surer stays."""
    if root is finding or not _causes(root.id, finding.id, explains):
        return False
    return not _causes(finding.id, root.id, explains) or _rank(root) < _rank(finding)


def _causes(root: str, symptom: str, explains: dict[str, tuple[str, ...]]) -> bool:
    """Whether `root` leads to `symptom`, over any number of links."""
    seen, todo = {root}, list(explains.get(root, ()))
    while todo:
        name = todo.pop()
        if name == symptom:
            return True
        if name not in seen:
            seen.add(name)
            todo.extend(explains.get(name, ()))
    return False
