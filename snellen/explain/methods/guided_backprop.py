"""Guided backpropagation, arXiv:1412.6806: only positive gradients pass a ReLU that was on."""

from dataclasses import dataclass

from ..method import Method, Question, Seen
from ..rectify import gradient, guided


@dataclass(frozen=True)
class GuidedBackprop(Method):
    """The greatest |gradient| over the channels; sharp edges, and less about the class itself."""

    name = "guided_backprop"
    about = "the gradient, of which each ReLU passes only what is positive both ways"
    source = "arXiv:1412.6806"

    def look(self, question: Question) -> Seen:
        """One gradient by that rule."""
        return Seen(gradient(question, guided)[0].abs().amax(0))


METHODS = {GuidedBackprop.name: GuidedBackprop}
