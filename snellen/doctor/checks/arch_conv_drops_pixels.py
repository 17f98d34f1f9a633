"""A stride longer than the kernel steps over pixels; a window that does not fit drops an edge."""

from typing import Any

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import answer, training
from ._readings import probed

SHARE, EDGE, ROW = 0.05, 0.1, 1.5


class ConvDropsPixels(Check):
    """Pixels without any influence on the output, and the layer whose windows miss them."""

    id = "arch-conv-drops-pixels"
    signal = "share of pixels with zero gradient on every sample, and what the windows cover"
    threshold = {"skipped": SHARE, "cut off at the edge": EDGE}
    source = "notes 002, convolution: output size (H + 2p - k) / s + 1 must be whole"
    why = "what lies in these pixels can never be learnt"
    do = "stride at most the kernel's width; padding so that (H + 2p - k) is a multiple of stride"
    bad = "nn.Conv2d(3, 16, kernel_size=2, stride=4)"
    good = "nn.Conv2d(3, 16, kernel_size=4, stride=4)"

    def look(self, chart: Chart) -> Finding | None:
        """The map shows it and the arithmetic explains it. A thin edge is advice, a row is not."""
        rows = [r for r in probed(chart, "pixels") if r.get("module") is not None]
        if not rows or not all(SHARE < row.get("lost", 0) < 0.97 for row in rows):
            return None
        # The least of all times: what dead units lose later is another fault.
        last = min(rows, key=lambda row: row["lost"])
        gap, lost = bool(last.get("gap")), last["lost"]
        if not gap:
            lost = min(lost, last.get("share", 0))  # an edge takes no more than its own share
        if last.get("share", 0) <= SHARE or (not gap and _is_a_row(last, lost)):
            return None
        return self.finding(
            f"{lost:.0%} of the pixels never reach the output: {last['module']} {_words(last)}"
            f" {'steps over' if gap else 'cuts off'} {last['share']:.0%} of its input",
            level=self.level if gap or lost > EDGE else "advice",
            where={"module": last["module"]},
            confidence=0.93 if gap else 0.75,
            evidence={key: last[key] for key in ("lost", "share", "kernel", "stride", "padding",
                                                 "dilation", "input") if key in last},
        )  # fmt: skip


def _is_a_row(row: dict[str, Any], lost: float) -> bool:
    """Whether what is cut off is one row of pixels: most strides leave one, and it matters little.

    >>> _is_a_row({"places": [28, 28]}, 0.07), _is_a_row({"places": [32, 32]}, 0.23)
    (True, False)
    """
    sides = row.get("places") or ()
    return bool(sides) and min(sides) * (1 - (1 - lost) ** (1 / len(sides))) < ROW


def _words(row: dict[str, Any]) -> str:
    return f"(kernel {row.get('kernel')}, stride {row.get('stride')}, input {row.get('input')})"


def sick() -> list[Chart]:
    """Kernel 2 at stride 4; patches of 7 on 32 pixels."""
    gap = answer("pixels", 20, lost=0.75, module="conv", share=0.75, gap=True, kernel=[2, 2],
                 stride=[4, 4], padding=[0, 0], input=[8, 8])  # fmt: skip
    edge = answer("pixels", 20, lost=0.23, module="conv", share=0.23, gap=False, kernel=[7, 7],
                  stride=[7, 7], padding=[0, 0], input=[32, 32])  # fmt: skip
    return [training(sick=(gap,)), training(sick=(edge,))]


def healthy() -> list[Chart]:
    """A 1 x 1 shortcut of stride 2 beside a 3 x 3; one row of 32; dead units; a crop by choice."""
    shortcut = answer("pixels", 20, lost=0.0, module="short", share=0.75, gap=True)
    row = answer("pixels", 20, lost=0.062, module="conv", share=0.062, gap=False, places=[32, 32])
    dead = answer("pixels", 90, lost=0.85, module="conv", share=0.07, gap=False, places=[28, 28])
    crop = answer("pixels", 20, lost=0.3)
    return [training(sick=(event,)) for event in (shortcut, row, dead, crop)]


CHECKS = {ConvDropsPixels.id: ConvDropsPixels()}
