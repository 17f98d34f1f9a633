"""Occlusion, arXiv:1311.2901: what the score loses where a gray patch hides the picture."""

from dataclasses import dataclass

import torch

from ..method import Method, Question, Seen


@dataclass(frozen=True)
class Occlusion(Method):
    """The mean loss over the patches that hide a pixel; it may be below 0. Needs no gradient.

    `patch` and `stride` are in pixels of x; by default an eighth of the shorter side, and half of
    that. What hides is 0: the mean colour of standardised pictures.
    """

    patch: int = 0
    stride: int = 0
    name = "occlusion"
    about = "what the score loses where a patch hides the picture"
    source = "arXiv:1311.2901"

    def look(self, question: Question) -> Seen:
        """A pass for each place of the patch."""
        x = question.x_1CHW
        high, wide = x.shape[2:]
        side = min(self.patch or max(1, min(high, wide) // 8), high, wide)
        step = self.stride or max(1, side // 2)
        corners = [(i, j) for i in _starts(high, side, step) for j in _starts(wide, side, step)]
        whole = question.scores(x)[0, question.target]
        lost, count = torch.zeros(2, high, wide).unbind()
        for part in question.parts(torch.tensor(corners)):
            hidden = x.repeat(len(part), 1, 1, 1)
            places = [(slice(i, i + side), slice(j, j + side)) for i, j in part.tolist()]
            for one, (rows, columns) in zip(hidden, places, strict=True):
                one[:, rows, columns] = 0
            drops = (whole - question.scores(hidden)[:, question.target]).tolist()
            for (rows, columns), drop in zip(places, drops, strict=True):
                lost[rows, columns] += drop
                count[rows, columns] += 1
        return Seen(lost / count.clamp(min=1), words=f"a patch of {side} pixels, {step} at a time")


def _starts(length: int, side: int, step: int) -> range:
    """Where patches begin; the last one may reach over the edge."""
    return range(0, -(-(length - side) // step) * step + 1, step)


METHODS = {Occlusion.name: Occlusion}
