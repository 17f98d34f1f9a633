"""Which class is taken for which: the matrix as a picture, and the worst pairs in words."""

from typing import TYPE_CHECKING, Any

from .. import figure
from ..facts import ReportFacts
from ..section import Piece, Section, table, text

if TYPE_CHECKING:
    from torch import Tensor

MOST = 30  # classes in the picture; of more, those with the most mistakes
NUMBERS = 16  # up to so many classes each cell says its count
PAIRS = 10
LONGEST = 18  # letters of a class name along the axes


def build(facts: ReportFacts) -> Piece | None:
    """The picture, and the pairs that are taken for each other most often."""
    counts = facts.confusion_KK
    if counts is None or not counts.sum():
        return None
    counts = counts.detach().cpu()
    names = [str(n) for n in facts.classes] or [str(i) for i in range(len(counts))]
    rows = chosen(counts)
    wrong = int(counts.sum() - counts.diagonal().sum())
    words = f"{wrong:,} of {int(counts.sum()):,} images are taken for another class."
    if len(rows) < len(counts):
        words += f" Shown are the {len(rows)} of {len(counts):,} classes with the most mistakes."
    drawing = _draw(counts[rows][:, rows], [names[i] for i in rows], counts.sum(1)[rows])
    picture = figure.svg(drawing, f"Confusion matrix, truth by prediction. {words}")
    html = f'<p class="soft">{text(words)}</p><div class="beside"><figure>{picture}</figure>'
    html += f"{_pairs(counts, names)}</div>"
    return Piece(html, {"confusion.png": figure.png(drawing)})


def chosen(counts_KK: "Tensor") -> list[int]:
    """The classes that the picture shows, in their own order."""
    if len(counts_KK) <= MOST:
        return list(range(len(counts_KK)))
    off = counts_KK - counts_KK.diagonal().diag()
    return sorted((off.sum(0) + off.sum(1)).argsort(descending=True, stable=True)[:MOST].tolist())


def _draw(counts_KK: "Tensor", names: list[str], totals_K: "Tensor") -> Any:
    import numpy as np

    shares = (counts_KK / totals_K.clamp_min(1)[:, None]).numpy()
    num = len(names)
    cells = np.zeros((num, num, 4))
    cells[:] = *_rgb(figure.ORANGE), 0
    cells[range(num), range(num), :3] = _rgb(figure.BLUE)
    cells[..., 3] = np.where(shares > 0, 0.2 + 0.7 * np.sqrt(shares), 0)  # rare ones show too
    side = min(6.4, 2.2 + 0.36 * num)
    drawing, (ax,) = figure.new(side + 0.4, side)
    ax.imshow(cells, interpolation="nearest")
    edges = np.arange(num + 1) - 0.5  # as lines at once: a tick each costs a millisecond
    for lines in (ax.vlines, ax.hlines):
        lines(edges, -0.5, num - 0.5, color=figure.LINE, linewidth=0.7, zorder=0.9)
    small = 9 if num <= NUMBERS else 7
    short = [n if len(n) <= LONGEST else n[: LONGEST - 1] + "…" for n in names]
    upright = max(map(len, short)) > 2 and num > 3
    ax.set_xticks(range(num), short, rotation=90 if upright else 0, parse_math=False)
    ax.set_yticks(range(num), short, parse_math=False)
    ax.tick_params(labelsize=small)
    ax.set_xlabel("prediction", fontsize=9, color=figure.SOFT)
    ax.set_ylabel("truth", fontsize=9, color=figure.SOFT)
    if num <= NUMBERS:
        _write_counts(ax, counts_KK, shares)
    return drawing


def _write_counts(ax: Any, counts_KK: "Tensor", shares: Any) -> None:
    for (row, column), share in _cells(shares):
        colour = "#ffffff" if share > 0.35 else figure.INK
        ax.text(column, row, f"{int(counts_KK[row, column])}", ha="center", va="center",
                fontsize=9, color=colour)  # fmt: skip


def _cells(shares: Any) -> list[tuple[tuple[int, int], float]]:
    return [((r, c), float(shares[r, c])) for r, c in zip(*shares.nonzero(), strict=True)]


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def _pairs(counts_KK: "Tensor", names: list[str]) -> str:
    off = (counts_KK - counts_KK.diagonal().diag()).flatten()
    order = off.argsort(descending=True, stable=True)[:PAIRS].tolist()
    size = len(counts_KK)
    rows = [
        [text(names[i // size]), text(names[i % size]), f"{int(off[i]):,}",
         f"{float(off[i] / counts_KK[i // size].sum()) * 100:.1f} %"]
        for i in order if off[i] > 0
    ]  # fmt: skip
    if not rows:
        return ""
    head = ["truth", "taken for", "times", "of the class"]
    words = "Most often confused"
    return f"<div><h3>{words}</h3>{table(head, rows, words)}</div>"


SECTIONS = {"confusion": Section("Confusion", 50, build)}
