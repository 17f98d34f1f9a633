"""Gradient ascent to another class within a small distance, arXiv:1607.02533 (notes 003)."""

from dataclasses import dataclass

import torch

from ...core.errors import UsageError
from ..adversary import moved, words
from ..method import Method, Question, Seen


@dataclass(frozen=True)
class Attack(Method):
    """Steps of eps / 4 up the slope of `target`, the runner-up by default, until it is told; no
    pixel moves by more than `eps` of the range.
    """

    eps: float = 8 / 255
    steps: int = 40
    name = "attack"
    about = "a picture close by that is taken for another class"
    source = "arXiv:1607.02533"

    def look(self, question: Question) -> Seen:
        """A gradient a step."""
        x, made = question.x_1CHW, question.x_1CHW
        target = self._goal(question)
        most = self.eps * question.reach
        for step in range(self.steps):
            made = moved(question, made, target, self.eps / 4)
            made = torch.clamp(made, x - most, x + most)
            question.tell(step + 1, self.steps)
            if question.rivals and int(question.scores(made)[0].argmax()) == target:
                break
        said = words(question, made, target) + f" after {step + 1} steps"
        return Seen((made - x)[0].abs().amax(0), made_1CHW=made, target=target, words=said)

    def _goal(self, question: Question) -> int:
        scores_K = question.scores(question.x_1CHW)[0]
        if not question.rivals:
            return question.target
        first, second = scores_K.topk(2).indices.tolist()
        if question.is_named and question.target == first:
            raise UsageError(
                f"the network says {question.name()} already; attack wants another target="
            )
        return question.target if question.is_named else second


METHODS = {Attack.name: Attack}
