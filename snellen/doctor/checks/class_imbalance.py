"""A class that hardly occurs is hardly learnt, and the score does not show it."""

import math
from collections import Counter
from typing import Any

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import examined, training
from ._readings import finite, short

RATIO, FEW, EVEN, LEAST = 10.0, 20, 0.5, 100


class ClassImbalance(Check):
    """Classes of very unequal size."""

    id = "class-imbalance"
    signal = "samples of each class in the training set"
    threshold = (
        f"largest : smallest {RATIO:g} or more, and either the smallest has fewer than {FEW} or"
        f" the evenness (exp(entropy) - 1) / (classes - 1) is below {EVEN:g}"
    )
    source = "TheDeepChecker; 3 to 1 is usual and harmless"
    why = (
        "always answering with the large classes is nearly right, so the small ones are not learnt"
    )
    do = "draw rare classes more often or weigh their loss, and look at the recall of each class"
    bad = "loss = F.cross_entropy(net(x), y)                         # 980 healthy, 20 ill"
    good = "loss = F.cross_entropy(net(x), y, weight=total / (classes * counts))"
    explains = ("gen-val-too-good",)

    def look(self, chart: Chart) -> Finding | None:
        """Counts of a sample that is too small say nothing of a class's size."""
        exam = chart.exams.get("counts") or {}
        outputs = int(exam.get("classes") or exam.get("likely") or 0)
        found = {k: int(n) for k, n in (exam.get("counts") or {}).items() if n > 0
                 and (not outputs or 0 <= int(k) < outputs)}  # fmt: skip
        total = sum(found.values())
        if len(found) < 2 or total < LEAST or total < 0.5 * int(exam.get("total") or total):
            return None
        small, large = min(found, key=found.__getitem__), max(found, key=found.__getitem__)
        if found[large] < RATIO * found[small] or len(found) > total / 5:
            return None
        even = evenness(list(found.values()))
        if (found[small] >= FEW and even >= EVEN) or _is_mended(chart, small, large):
            return None
        return self.finding(
            f"class {small} has {found[small]} samples and class {large} has {found[large]}, of"
            f" {total} in {len(found)} classes (evenness {short(even)})",
            confidence=0.75,
            evidence={"counts": dict(list(found.items())[:50]), "evenness": round(even, 3)},
        )


def _is_mended(chart: Chart, small: str, large: str) -> bool:
    """Whether the loss weighs the classes, or the rare one is drawn more often than it occurs."""
    if any(row.get("weighted") for row in chart.loss_calls):
        return True
    dealt: Counter[str] = Counter()
    for row in chart.loss_calls:
        dealt.update({str(k): int(n) for k, n in (row.get("target_counts") or {}).items()})
    return sum(dealt.values()) >= LEAST and 0 < dealt[large] < RATIO * dealt[small]


def evenness(counts: list[int]) -> float:
    """1 where all classes are of a size, 0 where there is but one.

    >>> evenness([50, 50]), round(evenness([75, 25]), 2)
    (1.0, 0.75)
    """
    shares = [n / sum(counts) for n in finite(counts)]
    entropy = -sum(p * math.log(p) for p in shares if p > 0)
    return (math.exp(entropy) - 1) / (len(counts) - 1)


def sick() -> list[Chart]:
    """98 to 2; a long tail whose last class has 6 samples; 98 to 2, dealt as they are."""
    dealt = {"target_counts": {"0": 63, "1": 1}}
    return [_counted(980, 20), _counted(*[600] * 9, 6), _counted(980, 20, loss_call=dealt)]


def healthy() -> list[Chart]:
    """3 to 1; ten classes of a size; a moderate tail; 98 to 2, weighed, and drawn more often."""
    mended = {"weighted": True}, {"target_counts": {"0": 33, "1": 31}}
    return [_counted(300, 100), _counted(*[100] * 10), _counted(500, 400, 300, 200, 100, 50),
            *(_counted(980, 20, loss_call=call) for call in mended)]  # fmt: skip


def _counted(*counts: int, loss_call: dict[str, Any] | None = None) -> Chart:
    named = {str(k): n for k, n in enumerate(counts)}
    event = examined("counts", counts=named, total=sum(counts))
    return training(loss_call=loss_call, sick=(event,))


CHECKS = {ClassImbalance.id: ClassImbalance()}
