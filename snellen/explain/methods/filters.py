"""The filters of the first layer as pictures (notes 003): edges and colours, once it learned."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...core.errors import UsageError
from ..draw import apart
from ..layers import outputs
from ..method import Method, Question, Seen


@dataclass(frozen=True)
class Filters(Method):
    """Each filter for itself from black to white, `most` of them; no picture counts. A linear first
    layer shows its templates.
    """

    most: int = 64
    name = "filters"
    about = "the filters of the first layer"
    source = "CS231n notes, understanding CNNs"

    def look(self, question: Question) -> Seen:
        """The weights of the first module that has some of the picture's shape."""
        with outputs(question.net) as heard, torch.no_grad():
            question.read(question.x_1CHW)
        for name, _ in heard:
            weight = getattr(question.net.get_submodule(name), "weight", None)
            tiles = _as_tiles(weight, question.x_1CHW.shape[1:])
            if tiles is not None:
                shown = tiles.detach().float()[: self.most]
                words = f"{len(shown)} of {len(tiles)} filters, {tuple(tiles.shape[1:])} each"
                return Seen(tiles_NCHW=apart(shown), layer=name, words=words)
        raise UsageError("no layer has weights of the picture's shape, so there are no filters")


def _as_tiles(weight: Tensor | None, size: torch.Size) -> Tensor | None:
    """Weights -> one tile a filter; None where they are not of pictures of that size."""
    if weight is None or weight.ndim not in (2, 4):
        return None
    if weight.ndim == 2:
        return weight.unflatten(1, size) if weight.shape[1] == size.numel() else None
    return weight if weight.shape[2] * weight.shape[3] > 1 else None


METHODS = {Filters.name: Filters}
