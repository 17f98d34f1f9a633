"""SmoothGrad, arXiv:1706.03825: the mean gradient of noisy copies, so that noise averages out."""

from dataclasses import dataclass

import torch

from ..method import Method, Question, Seen


@dataclass(frozen=True)
class SmoothGrad(Method):
    """The greatest |mean gradient| over the channels, of `copies` with Gaussian noise whose spread
    is the share `noise` of the range of x.
    """

    copies: int = 25
    noise: float = 0.15
    seed: int = 0
    name = "smoothgrad"
    about = "saliency, as the mean over copies with noise"
    source = "arXiv:1706.03825"

    def look(self, question: Question) -> Seen:
        """A gradient a copy."""
        x, random = question.x_1CHW, torch.Generator().manual_seed(self.seed)
        spread = self.noise * (x.max() - x.min())
        shift = torch.randn(self.copies, *x.shape[1:], generator=random).to(x)
        return Seen(question.gradient(x + spread * shift).mean(0).abs().amax(0))


METHODS = {SmoothGrad.name: SmoothGrad}
