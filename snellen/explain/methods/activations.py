"""The maps of a layer as pictures (notes 003): what each of its channels answers to, and where."""

from dataclasses import dataclass

import torch

from ..draw import apart
from ..layers import chosen, features
from ..method import Method, Question, Seen


@dataclass(frozen=True)
class Activations(Method):
    """The `most` channels that answer most, each for itself from black to white."""

    most: int = 64
    name = "activations"
    about = "the maps of a layer"
    source = "CS231n notes, understanding CNNs"

    def look(self, question: Question) -> Seen:
        """One pass."""
        layer = chosen(question)
        with torch.no_grad():
            map_CHW = features(question, question.x_1CHW, [layer])[layer][0].float()
        order = map_CHW.abs().amax((1, 2)).argsort(descending=True, stable=True)[: self.most]
        dead = int((map_CHW.flatten(1).amax(1) == map_CHW.flatten(1).amin(1)).sum())
        words = f"{len(order)} of {len(map_CHW)} channels, the strongest first; {dead} are flat"
        facts = {"channels": order.tolist()}
        return Seen(tiles_NCHW=apart(map_CHW[order, None]), layer=layer, words=words, facts=facts)


METHODS = {Activations.name: Activations}
