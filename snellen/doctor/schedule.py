"""Which steps are looked at closely: dense at first, then sparse, dense again on an alarm.

The interval adapts so that looking takes a small share of the time of the training itself.
"""

from ..core.patience import patience

DENSE = 20  # the first steps, each sampled
FULL = frozenset((0, 1, 2, 3, 5, 8, 12, 16))  # of these, with layer hooks
SHARE = 0.03  # of the training's time for sampled steps
LONGEST = 500


class Schedule:
    """Says which steps are sampled; fed with the time that each step took.

    >>> s = Schedule(); s.sampled(0), s.sampled(20), s.sampled(25)
    (True, False, True)
    >>> s.took(25, 0.01, sampled=True); s.sampled(26), s.sampled(45)
    (False, True)
    """

    def __init__(self) -> None:
        self.next = DENSE + 5
        self.typical = 0.0  # seconds of an unsampled step
        self.cost = 0.0  # extra seconds of a sampled one
        self._alarms_from = DENSE

    def sampled(self, step: int) -> bool:
        """Whether parameters and batches are measured at this step."""
        return step < DENSE or step >= self.next

    def full(self, step: int) -> bool:
        """Whether layers are measured too."""
        return step in FULL or (step >= DENSE and self.sampled(step))

    def took(self, step: int, seconds: float, sampled: bool) -> None:
        """Take in the time of a step, and set the next sampled one after a sampled one."""
        if not sampled:
            # The typical step is nearly the fastest: pauses for evaluation are no part of it.
            if seconds > self.typical > 0:
                self.typical += 0.02 * min(seconds - self.typical, self.typical)
            else:
                self.typical += (0.3 if self.typical else 1.0) * (seconds - self.typical)
        elif step >= DENSE:
            if self.typical:
                extra = max(seconds - self.typical, 0.0)
                self.cost = min(extra, 2 * self.cost) if self.cost else extra
            need = self.cost / patience(SHARE * self.typical) if self.typical else DENSE
            self.next = step + int(max(DENSE, min(need, LONGEST), step // 20))

    def alarm(self, step: int) -> None:
        """Something moves: look at the next step too, at most five in a hundred."""
        if step >= self._alarms_from:
            self.next = step + 1
            self._alarms_from = step + 20
