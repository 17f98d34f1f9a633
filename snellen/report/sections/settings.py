"""Every value and who set it, what speed=auto chose and why, and the machine."""

from ..facts import ReportFacts
from ..section import Piece, Section, table, text

WHO = {"you": "you", "recipe": "the recipe", "speed": "speed=auto", "default": "default"}


def build(facts: ReportFacts) -> Piece | None:
    """Settings with who set them and why, then the machine; what is at its default is folded."""
    found = [part for part in (_recipe(facts), _environment(facts)) if part]
    return Piece("\n".join(found)) if found else None


def _recipe(facts: ReportFacts) -> str:
    """One table for what was decided, one that is folded for what was left alone."""
    reasons = {setting: reason for setting, _, reason in facts.choices}
    values = dict(facts.recipe)
    for setting, value, _ in facts.choices:
        values.setdefault(setting, value)
    told: list[list[str]] = []
    usual: list[list[str]] = []
    for name, value in values.items():
        if value is None or value == "":
            continue
        by = facts.set_by.get(name, "speed" if name in reasons else "")
        who = ": ".join(word for word in (WHO.get(by, by), reasons.get(name, "")) if word)
        row = [text(name), f"<code>{text(value)}</code>", text(who)]
        (usual if by == "default" else told).append(row)
    head = ["setting", "value", "set by"]
    html = "<h3>Settings</h3>" + table(head, told, "settings") if told else ""
    if usual:
        html += f"<details><summary>{len(usual)} settings at their defaults</summary>"
        html += table(head, usual, "settings at their defaults") + "</details>"
    return html


def _environment(facts: ReportFacts) -> str:
    rows = [[text(k), text(_words(v))] for k, v in facts.environment.items() if v not in (None, "")]
    if not rows:
        return ""
    return "<h3>Machine</h3>" + table(["", ""], rows, "machine", "plain")


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


SECTIONS = {"settings": Section("Settings and machine", 90, build)}
