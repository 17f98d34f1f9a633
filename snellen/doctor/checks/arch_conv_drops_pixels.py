"""A stride longer than the kernel steps over pixels; a window that does not fit drops an edge."""

from typing import Any

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import answer, training
from ._readings import probed

SHARE, EDGE = 0.05, 0.1


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
        """The map must show it and the arithmetic explain it; a thin edge is advice."""
        rows = [r for r in probed(chart, "pixels") if r.get("module") is not None]
        if not rows or not all(SHARE < row.get("lost", 0) < 0.97 for row in rows):
            return None
        last = rows[-1]
        if last.get("share", 0) <= SHARE:
            return None
        gap, lost = bool(last.get("gap")), last["lost"]
        return self.finding(
            f"{lost:.0%} of the pixels never reach the output: {last['module']} {_words(last)}"
            f" {'steps over' if gap else 'cuts off'} {last['share']:.0%} of its input",
            level=self.level if gap or lost > EDGE else "advice",
            where={"module": last["module"]},
            confidence=0.93 if gap else 0.75,
            evidence={key: last[key] for key in ("lost", "share", "kernel", "stride", "padding",
                                                 "dilation", "input") if key in last},
        )  # fmt: skip


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
    """A 1 x 1 shortcut of stride 2 beside a 3 x 3; one row of 32 (advice); a crop by choice."""
    shortcut = answer("pixels", 20, lost=0.0, module="short", share=0.75, gap=True)
    row = answer("pixels", 20, lost=0.062, module="conv", share=0.062, gap=False)
    crop = answer("pixels", 20, lost=0.3)
    return [training(sick=(event,)) for event in (shortcut, row, crop)]


CHECKS = {ConvDropsPixels.id: ConvDropsPixels()}
