"""What a section is: a title, a place on the page, and one function from facts to a piece of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from ..core import registry
from .facts import ReportFacts


@dataclass(frozen=True)
class Piece:
    """A section's HTML (escaped by who made it) and its pictures for plots/, by file name."""

    html: str
    plots: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """`build` returns None where the facts hold nothing to show."""

    title: str
    order: int
    build: Callable[[ReportFacts], Piece | None]


def all_sections() -> dict[str, Section]:
    """Every section by its name, in the order of the page, the user's own included."""
    found = registry.collect("snellen.report.sections", "SECTIONS")
    return dict(sorted(found.items(), key=lambda item: item[1].order))


def text(value: Any) -> str:
    """Anything that came from data -> HTML that shows it and does nothing else.

    >>> text("<b>cat & dog</b>")
    '&lt;b&gt;cat &amp; dog&lt;/b&gt;'
    """
    return escape(str(value), quote=True)


def table(head: list[str], rows: list[list[str]], label: str, kind: str = "") -> str:
    """Cells that are already HTML -> a table that scrolls sideways on a narrow screen."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="scroll" role="region" aria-label="{text(label)}" tabindex="0">'
        f'<table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )
