"""The lines of the user's code at which forward pass, loss, backward pass and step are called."""

from typing import Any

from torch import Tensor

from ..calls import LOSSES
from ..places import users_line
from ._probe import Feed, Own, Probe, Stepper

STEPS = 3  # turns in which frames are read


class Places(Probe):
    """One facts event: kind of call -> [file, line]; the first of each kind."""

    def __init__(self, eyes: Any) -> None:
        super().__init__(eyes)
        self._found: dict[str, list[Any]] = {}
        self._said = 0

    def forward(self, feed: Feed, full: bool) -> None:
        """The line that calls the network."""
        if feed.turn < STEPS:
            self._note("forward")

    def evaluation(self, feed: Feed) -> None:
        """The line that calls it without gradients."""
        if "evaluation" not in self._found:
            self._note("evaluation")
            self._say(feed.step)

    def called(self, name: str, args: Any, kwargs: Any, result: Any, error: Any) -> None:
        """The line that calls the loss."""
        if name in LOSSES and "loss" not in self._found:
            self._note("loss")
            if error is not None:
                self._say(self.eyes.step)

    def backward(self, feed: Feed, loss: Tensor) -> None:
        """The line that asks for gradients; a loss written by hand is near it."""
        if feed.turn < STEPS:
            self._note("backward")
            if feed.turn == STEPS - 1:
                self._found.setdefault("loss", self._found.get("backward", []))
            self._say(feed.step)

    def before_update(self, stepper: Stepper) -> None:
        """The line that takes the step."""
        by_hand = isinstance(stepper.optimizer, Own)  # shows at the next forward pass only
        if stepper.steps < STEPS and "step" not in self._found and not by_hand:
            self._note("step")
            self._say(stepper.steps)

    def _note(self, kind: str) -> None:
        if kind not in self._found and (line := users_line()):
            self._found[kind] = list(line)

    def _say(self, step: int) -> None:
        if len(self._found) > self._said:
            self._said = len(self._found)
            self.eyes.emit("facts", step, values={"places": dict(self._found)})


PROBES = {"places": Places}
