"""The target behind a loss that leapt up, on any step: sampled ones rarely meet a single huge one.

A built-in loss saves what it received, so this costs nothing where the loss does not rise.
"""

from torch import Tensor

from .. import graph
from ._measure import farthest, first_tensor
from ._probe import Feed, Probe

MOST, NEAR = 32, 30  # looks in a training; nodes from the loss to a built-in one


class Rises(Probe):
    """A probe event with the largest target of such a batch, and the row that has it."""

    _looks = 0

    def rose(self, feed: Feed, loss: Tensor) -> None:
        """Read the target out of the graph."""
        x = first_tensor(feed.args, feed.kwargs)
        if self._looks >= MOST or x is None or not x.dim() or not loss.is_cpu:
            return  # elsewhere the value is read a step late, and its graph is gone
        self._looks += 1
        target = graph.saved_target(loss, len(x), most=NEAR)
        if target is not None and (values := farthest(target)):
            self.eyes.emit("probe", feed.step, name="rises", values=values)


PROBES = {"rises": Rises}
