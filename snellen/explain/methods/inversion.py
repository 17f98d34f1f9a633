"""Feature inversion, arXiv:1412.0035 (notes 003): what of a picture a layer still knows."""

from dataclasses import dataclass

import torch

from ..layers import chosen, features
from ..method import Method, Question, Seen
from ..seek import descend, missed, noise, roughness


@dataclass(frozen=True)
class Inversion(Method):
    """A picture, from noise, with the same maps at the layer; of those with the same maps a smooth
    one.
    """

    steps: int = 60
    smooth: float = 1e-3
    seed: int = 0
    name = "inversion"
    about = "the picture as a layer's maps alone tell it"
    source = "arXiv:1412.0035"

    def look(self, question: Question) -> Seen:
        """L-BFGS from noise."""
        x, layer = question.x_1CHW, chosen(question)
        start = noise(question, 0.01, self.seed)
        with torch.no_grad():
            wanted = features(question, x, [layer])[layer].float()
        scale = self.smooth / question.reach.expand_as(x).square().sum().clamp(min=1e-12)

        def loss(made: torch.Tensor) -> torch.Tensor:
            said = features(question, made, [layer])[layer].float()
            return missed(said, wanted) + scale * roughness(made)

        made = descend(question, start, loss, self.steps)
        with torch.no_grad():
            left = float(missed(features(question, made, [layer])[layer].float(), wanted))
        return Seen(made_1CHW=made, layer=layer, words=f"{left:.2%} of the maps are missed")


METHODS = {Inversion.name: Inversion}
