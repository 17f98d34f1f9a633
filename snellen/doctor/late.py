"""The value of each loss, on a GPU one step late; and where a turn of several optimisers ends."""

import math
from collections.abc import Callable

from torch import Tensor

from ..core.coming import Coming
from .probes._probe import Feed


class Late:
    """Reads losses as numbers; on a GPU that of the step before, so that nothing waits."""

    def __init__(self, nonfinite: Callable[[str, Feed | None, Tensor | None], None]) -> None:
        self._nonfinite = nonfinite
        self._kept: tuple[Coming, Feed] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a loss has not been read yet."""
        return self._kept is not None

    def value(self, loss: Tensor, feed: Feed) -> float:
        """The loss of a backward pass, or of the one before."""
        if loss.numel() != 1:
            loss = loss.detach().float().mean()
        if loss.is_cpu:
            return loss.item()
        return self.read((Coming(loss), feed))

    def read(self, following: tuple[Coming, Feed] | None = None) -> float:
        """The loss that waits; another may take its place."""
        late, self._kept = self._kept, following
        if late is None:
            return following[0].numbers()[0] if following else math.nan
        value = late[0].numbers()[0]
        if not math.isfinite(value):
            self._nonfinite("loss", late[1], None)
        return value


class Turns:
    """A GAN's two steps belong to one turn; it ends when all have stepped, or one steps again.

    >>> turns = Turns(); [turns.end(key, 2) for key in (0, 1, 0, 0)]
    [False, True, False, True]
    """

    def __init__(self) -> None:
        self._stepped: set[int] = set()

    def end(self, key: int, count: int) -> bool:
        """Whether the step of one of `count` optimisers ends the turn."""
        again = key in self._stepped
        self._stepped = {key} if again else {*self._stepped, key}
        if again or len(self._stepped) < count:
            return again
        self._stepped = set()
        return True
