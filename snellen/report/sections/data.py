"""What there was to learn from: images of each class, how many, and what was left out."""

from collections.abc import Sequence

from ..facts import ReportFacts
from ..picture import img
from ..section import Piece, Section, table, text

MOST = 40  # classes shown one by one


def build(facts: ReportFacts) -> Piece | None:
    """An image of each class with its count; of many classes the largest and the smallest."""
    counts = dict(facts.class_counts)
    if not counts and not facts.examples and not facts.data_notes:
        return None
    names = list(facts.classes) or list(counts) or list(facts.examples)
    if facts.examples:
        html = _cards(names, counts, facts)
    elif counts:
        html = table(["class", "images"], [_row(n, counts) for n in names[:MOST]], "class counts")
    else:
        html = ""
    return Piece(_sentence(counts) + html + _more(names) + _notes(facts.data_notes))


def _sentence(counts: dict[str, int]) -> str:
    if not counts:
        return ""
    least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    words = f"{sum(counts.values()):,} training images in {len(counts)} classes"
    if counts[least] != counts[most]:
        words += f"; the largest is {most} with {counts[most]:,}, "
        words += f"the smallest {least} with {counts[least]:,}"
    return f'<p class="soft">{text(words)}.</p>'


def _cards(names: list[str], counts: dict[str, int], facts: ReportFacts) -> str:
    cards = []
    for name in names[:MOST]:
        picture = facts.examples.get(name)
        shown = img(picture, f"an example of {name}") if picture is not None else ""
        count = f"<br>{_bar(counts, name)}" if name in counts else ""
        cards.append(f"<li>{shown}<b>{text(name)}</b>{count}</li>")
    return f'<ul class="cards">{"".join(cards)}</ul>'


def _row(name: str, counts: dict[str, int]) -> list[str]:
    return [text(name), _bar(counts, name)]


def _bar(counts: dict[str, int], name: str) -> str:
    count = counts.get(name, 0)
    share = 100 * count / max(1, *counts.values())
    return f'{count:,} <span class="bar"><i style="width:{share:.0f}%"></i></span>'


def _more(names: list[str]) -> str:
    more = len(names) - MOST
    return f'<p class="soft">and {more:,} more classes</p>' if more > 0 else ""


def _notes(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    shown = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f"<h3>When they were read</h3><ul>{shown}</ul>"


SECTIONS = {"data": Section("Data", 80, build)}
