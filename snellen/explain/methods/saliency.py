"""Saliency, arXiv:1312.6034 (notes 003): how much each pixel moves the score, |d score / d x|."""

from dataclasses import dataclass

from ..method import Method, Question, Seen


@dataclass(frozen=True)
class Saliency(Method):
    """The greatest |d score / d x| over the channels; of a linear network |w|."""

    name = "saliency"
    about = "how much each pixel moves the score: |d score / d x|"
    source = "arXiv:1312.6034"

    def look(self, question: Question) -> Seen:
        """One gradient."""
        return Seen(question.gradient(question.x_1CHW)[0].abs().amax(0))


METHODS = {Saliency.name: Saliency}
