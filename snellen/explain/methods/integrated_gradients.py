"""Integrated gradients, arXiv:1703.01365: slopes on the way from an empty picture to this one."""

from dataclasses import dataclass

import numpy as np
import torch

from ..method import Method, Question, Seen


@dataclass(frozen=True)
class IntegratedGradients(Method):
    """x times the mean slope on the straight way from 0, the mean colour of standardised pictures,
    by Gauss's and Legendre's `steps` points; summed over channels. Its sum is score(x) - score(0).
    """

    steps: int = 50
    name = "integrated_gradients"
    about = "each pixel's share of the score's rise over an empty picture"
    source = "arXiv:1703.01365"

    def look(self, question: Question) -> Seen:
        """A gradient at each step."""
        points, weights = np.polynomial.legendre.leggauss(self.steps)
        x = question.x_1CHW
        share_S, weight_S = (torch.tensor(v, dtype=x.dtype, device=x.device)[:, None, None, None]
                             for v in ((points + 1) / 2, weights / 2))  # fmt: skip
        slope_CHW = (question.gradient(share_S * x) * weight_S).sum(0)
        map_HW = (slope_CHW * x[0]).sum(0)
        ends = question.scores(torch.cat([x, 0 * x]))[:, question.target]
        rise = float(ends[0] - ends[1])
        words = f"shares add up to {float(map_HW.sum()):.4g}, the score rises by {rise:.4g}"
        return Seen(map_HW, words=words, facts={"rise": rise})


METHODS = {IntegratedGradients.name: IntegratedGradients}
