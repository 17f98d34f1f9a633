"""What a check says of itself: `snellen doctor --explain ID` and the catalogue page."""

from textwrap import wrap

from ..core.errors import UnknownName
from .check import Check, all_checks


def explain(id: str) -> str:
    """One check -> its text: what it looks at, what decides, what to do, a bad and a good line.

    Raises UnknownName with the nearest right ids.

    >>> explain("lr-too-low").splitlines()[0]
    'lr-too-low (warning)'
    """
    checks = all_checks()
    if id not in checks:
        raise UnknownName(id, checks, "checks")
    check = checks[id]
    title = (type(check).__doc__ or "").splitlines()[0]
    return "\n".join([f"{id} ({check.level})", title, "", *_lines(check)])


def facts(check: Check) -> list[tuple[str, str]]:
    """What a check says of itself: (name, words), without those that it has nothing to say to."""
    rows = [
        ("looks at", check.signal),
        ("decides", _threshold(check.threshold)),
        ("source", check.source),
        ("why", check.why),
        ("do", check.do),
        ("bad", check.bad),
        ("good", check.good),
        ("explains", ", ".join(check.explains)),
    ]
    return [(name, words) for name, words in rows if words]


def _lines(check: Check) -> list[str]:
    lines = []
    for name, words in facts(check):
        first, *rest = [words] if name in ("bad", "good") else wrap(words, 84)
        lines += [f"{name:<9} {first}", *(" " * 10 + line for line in rest)]
    return lines


def _threshold(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_threshold(number)}" for key, number in value.items())
    if isinstance(value, tuple):
        return " to ".join(_threshold(number) for number in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
