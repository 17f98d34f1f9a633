"""What an adversary climbs: how far an answer leads its rivals, and signs of its slope."""

import torch
from torch import Tensor

from .method import Question, slope


def lead(scores_BK: Tensor, target: int, rivals: bool) -> Tensor:
    """scores_BK -> how far the target leads: its log-odds, whose slope has the sign of that of
    cross-entropy but does not vanish where the network is sure; without rivals its score.

    >>> lead(torch.tensor([[2.0, 2.0]]), 0, True), lead(torch.tensor([[2.0, 2.0]]), 0, False)
    (tensor([0.]), tensor([2.]))
    """
    if not rivals:
        return scores_BK[:, target]
    others = torch.arange(scores_BK.shape[1], device=scores_BK.device) != target
    return scores_BK[:, target] - scores_BK[:, others].logsumexp(1)


def moved(question: Question, x_1CHW: Tensor, target: int, step: float) -> Tensor:
    """x_1CHW -> each of its numbers a step, in shares of the range, up the slope of the lead."""
    up = slope(lambda x: lead(question.read(x), target, question.rivals), x_1CHW)
    return question.within(x_1CHW + step * question.reach * up.sign())


def words(question: Question, made_1CHW: Tensor, target: int) -> str:
    """What is said before and after."""
    before, after = question.scores(torch.cat([question.x_1CHW, made_1CHW]))
    scores = f"the score of {question.name(target)} goes from {before[target]:.4g} to "
    told = f"{after[target]:.4g}"
    if question.rivals:
        told += f"; told was {question.name(int(before.argmax()))}, now it is "
        told += question.name(int(after.argmax()))
    return scores + told
