"""report.html: every section in its place, in one file that needs nothing else to be read.

No script, no link that leaves the page, no font or picture from elsewhere; the page's own policy
forbids them, so that nothing written in a class name or a path can reach out either.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..core.files import write_atomically, write_text
from ..core.runfolder import RunFolder
from ..version import __version__
from .facts import ReportFacts
from .section import Piece, Section, all_sections, text
from .style import STYLE

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write(folder: RunFolder, facts: ReportFacts) -> Path:
    """Write report.html and plots/*.png of a run; return the path of the page.

    A section with nothing to show is left out; one that fails says so in its place.
    """
    if not facts.command and folder.command.is_file():
        facts = replace(facts, command=folder.command.read_text(encoding="utf-8").strip())
    sections = all_sections()
    built = {name: build(section, facts) for name, section in sections.items()}
    pieces = {name: piece for name, piece in built.items() if piece}
    folder.plots.mkdir(parents=True, exist_ok=True)
    for piece in pieces.values():
        for name, data in piece.plots.items():
            _write_bytes(folder.plots / name, data)
    write_text(folder.report, page(folder.path.resolve().name, sections, pieces))
    return folder.report


def single(title: str, facts: ReportFacts) -> str:
    """A whole page of what the facts hold, for something that is no run of Snellen's."""
    sections = all_sections()
    built = {name: build(section, facts) for name, section in sections.items()}
    return page(title, sections, {name: piece for name, piece in built.items() if piece})


def build(section: Section, facts: ReportFacts) -> Piece | None:
    """A section's piece; an error in it costs this section and no other."""
    try:
        return section.build(facts)
    except Exception as error:
        what = text(f"{type(error).__name__}: {error}")
        return Piece(f'<p class="failed">This section could not be made. {what}</p>')


def page(name: str, sections: Mapping[str, Section], pieces: Mapping[str, Piece]) -> str:
    """The pieces under their titles -> a whole HTML page."""
    links = [f'<a href="#{text(key)}">{text(sections[key].title)}</a>' for key in pieces]
    parts = [
        f'<section id="{text(key)}"><h2>{text(sections[key].title)}</h2>\n{piece.html}\n</section>'
        for key, piece in pieces.items()
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(name)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<header><p class="brand">Snellen</p><h1>{text(name)}</h1>\n'
        f'<nav aria-label="Sections">{"".join(links)}</nav></header>\n<main>\n'
        + "\n".join(parts)
        + f"\n</main>\n<footer>Written by Snellen {text(__version__)}</footer>\n</body>\n</html>\n"
    )


def _write_bytes(path: Path, data: bytes) -> None:
    write_atomically(path, lambda beside: _fill(beside, data), len(data))


def _fill(path: Path, data: bytes) -> None:
    path.write_bytes(data)
