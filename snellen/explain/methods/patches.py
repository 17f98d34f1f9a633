"""Maximally activating patches (arXiv:1311.2524; notes 003): what else excites the channels that
decide.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..layers import chosen, features, map_and_slope
from ..method import Method, Question, Seen, slope


@dataclass(frozen=True)
class Patches(Method):
    """A row for each of the `channels` that speak most for the answer, in it the places of further
    pictures that excite it most, one of each picture. A patch is what the place sees: where its
    gradient is not 0.
    """

    channels: int = 6
    most: int = 8
    name = "patches"
    about = "what in other pictures excites the channels that decide"
    source = "arXiv:1311.2524"
    needs = "data"

    def look(self, question: Question) -> Seen:
        """A pass over the pictures, and a gradient for each patch that is shown."""
        assert question.others is not None
        layer = chosen(question)
        map_1CHW, slope_1CHW = map_and_slope(question, layer)
        speaks_C = (map_1CHW * slope_1CHW).sum((0, 2, 3))
        kinds = speaks_C.argsort(descending=True, stable=True)[: self.channels].tolist()
        x_NCHW = torch.stack([x for x, _ in question.others()])
        with torch.no_grad():
            maps = torch.cat([features(question, part, [layer])[layer][:, kinds]
                              for part in question.parts(x_NCHW)])  # fmt: skip
        tiles, boxes = [], []
        for k, kind in enumerate(kinds):
            best_N, place_N = maps[:, k].flatten(1).max(1)
            rows = best_N.argsort(descending=True, stable=True)[: self.most].tolist()
            for row in rows:
                place = divmod(int(place_N[row]), maps.shape[3])
                box = seen_by(question, x_NCHW[row : row + 1], layer, (kind, *place))
                boxes.append((kind, row, *box))
                tiles.append(_tile(question, x_NCHW[row : row + 1], box))
        words = f"channels {kinds} in {len(x_NCHW)} pictures, a row each"
        return Seen(
            tiles_NCHW=torch.cat(tiles), columns=min(self.most, len(x_NCHW)), layer=layer,
            words=words, facts={"channels": kinds, "boxes": boxes},
        )  # fmt: skip


def seen_by(
    question: Question, x_1CHW: Tensor, layer: str, place: tuple[int, int, int]
) -> tuple[int, int, int, int]:
    """A channel, row and column of a layer -> x1, y1, x2, y2 of the pixels that it depends on."""
    kind, i, j = place
    grad = slope(lambda x: features(question, x, [layer])[layer][:, kind, i, j], x_1CHW)
    rows, columns = (grad[0].abs().amax((0, axis)).nonzero()[:, 0] for axis in (2, 1))
    if not len(rows):
        return 0, 0, x_1CHW.shape[3], x_1CHW.shape[2]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _tile(question: Question, x_1CHW: Tensor, box: tuple[int, int, int, int]) -> Tensor:
    x1, y1, x2, y2 = box
    return F.interpolate(question.shown(x_1CHW)[..., y1:y2, x1:x2], (48, 48), mode="nearest")


METHODS = {Patches.name: Patches}
