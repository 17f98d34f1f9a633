"""Which epoch is the best so far, and since when no better one came."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

PERFECT = 1.0  # of a share: all are right, and a loss that falls on makes no more so


@dataclass
class Standing:
    """The best epoch so far, and all that came; part of the checkpoint.

    >>> best = Standing()
    >>> scores = ({"mAP": 0.0, "loss": 3.0}, {"mAP": 0.0, "loss": 2.0}, {"mAP": 0.0, "loss": 4.0})
    >>> [best.takes(epoch, s, "mAP") for epoch, s in enumerate(scores, 1)], best.epoch, best.stale
    ([True, True, False], 2, 1)
    """

    score: float = -1.0
    epoch: int = 0
    stale: int = 0  # epochs since one that was better
    metrics: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)

    def takes(self, epoch: int, scores: Mapping[str, float], name: str) -> bool:
        """Whether this epoch becomes the best: by the score `name`, among equal scores by the lower
        loss, among those that are equal too by being later.

        What is better starts the count of `stale` anew, but no lower loss at a score of 1.
        """
        now, held = rank(scores, name), rank(self.metrics, name)
        better = not self.epoch or now[0] > held[0] or (now > held and held[0] != PERFECT)
        self.stale = 0 if better else self.stale + 1
        if self.epoch and now < held:
            return False
        self.epoch, self.metrics = epoch, dict(scores)
        self.score = scores.get(name, -scores["loss"])
        return True


def rank(scores: Mapping[str, float], name: str) -> tuple[float, float]:
    """What epochs and runs are compared by: the higher the better; what is no number comes last.

    >>> rank({"accuracy": 0.5, "loss": 2.0}, "accuracy") > rank({"accuracy": 0.5}, "accuracy")
    True
    """
    gain = -scores.get("loss", math.nan)
    score = scores.get(name, gain)
    score, gain = (-math.inf if math.isnan(value) else value for value in (score, gain))
    return score, gain
