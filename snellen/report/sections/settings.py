"""Every value and who set it, what speed=auto chose and why, and the machine."""

from ..facts import ReportFacts
from ..section import Piece, Section, table, text

WHO = {"you": "you", "recipe": "the recipe", "speed": "speed=auto", "default": "default"}


def build(facts: ReportFacts) -> Piece | None:
    """Choices with their reasons, then settings, then the machine; the long lists are folded."""
    parts = [_choices(facts), _recipe(facts), _environment(facts)]
    found = [part for part in parts if part]
    return Piece("\n".join(found)) if found else None


def _choices(facts: ReportFacts) -> str:
    if not facts.choices:
        return ""
    rows = [[text(s), f"<code>{text(v)}</code>", text(reason)] for s, v, reason in facts.choices]
    return "<h3>Chosen for speed</h3>" + table(["setting", "value", "why"], rows, "speed choices")


def _recipe(facts: ReportFacts) -> str:
    set_by = facts.set_by
    rows = {
        name: [text(name), f"<code>{text(value)}</code>", text(WHO.get(by, by) if by else "")]
        for name, value in facts.recipe.items()
        if value is not None and value != ""
        for by in [set_by.get(name, "")]
    }
    if not rows:
        return ""
    usual = [row for name, row in rows.items() if set_by.get(name) == "default"]
    told = [row for name, row in rows.items() if set_by.get(name) != "default"]
    head = ["setting", "value", "set by"]
    html = "<h3>Recipe</h3>" + (table(head, told, "recipe") if told else "")
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
