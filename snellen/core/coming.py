"""Numbers that a device has still to compute, read without waiting for what is queued after them.

`tensor.item()` on a GPU waits until the device has done all that it was told, so a loop that reads
its loss at each step leaves the device idle between steps. A copy queued right behind the number,
and an event behind the copy, can be waited for alone.
"""

from typing import Any, cast

import torch
from torch import Tensor


class Coming:
    """A tensor on its way to the host; asking for its numbers a step later waits for nothing.

    >>> Coming(torch.tensor([1.0, 2.0])).numbers()
    [1.0, 2.0]
    """

    def __init__(self, values_N: Tensor) -> None:
        self._values_N, self._event = values_N.detach(), cast(Any, None)
        if values_N.is_cuda:
            self._values_N = self._values_N.to("cpu", non_blocking=True)  # into pinned memory
            self._event = torch.cuda.current_stream(values_N.device).record_event()

    def numbers(self) -> list[float]:
        """The numbers, flat."""
        if self._event is not None:
            self._event.synchronize()
        return self._values_N.flatten().tolist()
