"""A part of a run's page: a title, its place, and one function from what was recorded to HTML."""

from collections.abc import Callable
from dataclasses import dataclass

from ..core import registry
from ..report.section import text
from .recorded import Recorded


@dataclass(frozen=True)
class Section:
    """`build` returns escaped HTML, and "" where the run holds nothing to show."""

    title: str
    order: int
    build: Callable[[Recorded], str]


def all_sections() -> dict[str, Section]:
    """Every section by its name, in the order of the page, the user's own included."""
    found = registry.collect("snellen.studio.sections", "SECTIONS")
    return dict(sorted(found.items(), key=lambda item: item[1].order))


def build(name: str, section: Section, run: Recorded) -> str:
    """A section in its frame; what is wrong with the run's files costs no other section."""
    try:
        body = section.build(run)
    except Exception as error:
        what = text(f"{type(error).__name__}: {error}")
        body = f'<p class="failed">The files of this part cannot be read as they are. {what}</p>'
    title = text(section.title)
    return f'<section id="{text(name)}"><h2>{title}</h2>\n{body}\n</section>' if body else ""
