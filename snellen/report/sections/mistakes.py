"""The held-out images with the highest loss: wrong labels, odd images and blind spots show here."""

from pathlib import PurePath

from ..facts import Mistake, ReportFacts
from ..picture import img
from ..section import Piece, Section, text

MOST = 24


def build(facts: ReportFacts) -> Piece | None:
    """A picture each, with truth, prediction, score and file."""
    if not facts.mistakes:
        return None
    cards = "".join(_card(Mistake(*mistake)) for mistake in facts.mistakes[:MOST])
    words = "Highest loss first. A wrong label or a damaged image shows here."
    return Piece(f'<p class="soft">{words}</p><ul class="cards">{cards}</ul>')


def _card(mistake: Mistake) -> str:
    image, truth, predicted, score, path, loss = mistake
    alt = f"{truth}, taken for {predicted}"
    lines = [
        f'<span class="truth">{text(truth)}</span> taken for '
        f'<span class="wrong">{text(predicted)}</span>',
        f'<span class="soft">{score * 100:.0f} % sure</span>',
        f'<span class="soft">loss {loss:.2f}</span>',
    ]
    if path:
        lines.append(f'<span class="soft" title="{text(path)}">{text(PurePath(path).name)}</span>')
    return f"<li>{img(image, alt)}{'<br>'.join(lines)}</li>"


SECTIONS = {"mistakes": Section("Worst mistakes", 40, build)}
