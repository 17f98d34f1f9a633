"""Deconvnet, arXiv:1311.2901: positive gradients pass every ReLU, whether it was on or not."""

from dataclasses import dataclass

from ..method import Method, Question, Seen
from ..rectify import deconvolved, gradient


@dataclass(frozen=True)
class Deconvnet(Method):
    """The greatest |gradient| over the channels; max pooling goes back by its switches."""

    name = "deconvnet"
    about = "the gradient, of which each ReLU passes what is positive coming back"
    source = "arXiv:1311.2901"

    def look(self, question: Question) -> Seen:
        """One gradient by that rule."""
        return Seen(gradient(question, deconvolved)[0].abs().amax(0))


METHODS = {Deconvnet.name: Deconvnet}
