"""Show, Attend and Tell, arXiv:1502.03044: a picture told in words, each looking at its own place.

x_BCHW -> a grid of features -> words, one a step, each with its weights over the grid's cells
The soft attention of the paper. Here the cell is a GRU (theirs an LSTM), and a key knows its place:
its column and row, from -1 to 1, are two numbers more.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..nn.attention_decoder import AttentionDecoder
from ..nn.sampling import generate
from ._columns import Count
from ._network import Network
from ._parts import conv_bn
from ._row import Row

FIRST = 0  # the word that stands before a sentence, and ends it


@dataclass(frozen=True)
class ShowAttendTell(Row):
    """A stage of 3x3 convolution a width, all but the last halve the picture; `hidden` units;
    `steps` words are told at most.
    """

    widths: tuple[Count, ...] = (16, 32, 64, 96)
    hidden: Count = 128
    steps: Count = 20
    family = "Captions"
    paper = "arXiv:1502.03044"
    task = "caption"
    input = (3, 48, 48)
    classes = 20
    thin = {"widths": (4, 8), "hidden": 8, "steps": 3}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BTV."""
        stages: dict[str, nn.Module] = {}
        for i, (cin, cout) in enumerate(pairwise((channels, *self.widths)), 1):
            ends = i == len(self.widths)
            pool = nn.Identity() if ends else nn.MaxPool2d(2, ceil_mode=True)
            stages[f"stage{i}"] = nn.Sequential(conv_bn(cin, cout, 3), pool)
        head = Teller(self.widths[-1], classes, self.hidden, self.steps)
        return Network(stages, head, channels)


class Teller(nn.Module):
    """map_BCHW -> logits_BTV of the words that it tells, each the likeliest; `steps` of them.

    With words_BT, each the one *before* its step, it is taught: logits of the right ones' places.
    Several sentences a picture, words_BNT, give logits_BNTV.
    """

    def __init__(self, width: int, words: int, hidden: int, steps: int) -> None:
        super().__init__()
        self.decoder = AttentionDecoder(words, width + 2, hidden)
        self.steps = steps

    def forward(self, map: Tensor, words: Tensor | None = None) -> Tensor:
        """map_BCHW, words_BNT or words_BT -> logits."""
        if words is not None:
            keys = cells(map).repeat_interleave(words[0, ..., 0].numel(), 0)
            logits = self.decoder(words.flatten(0, -2), keys)[0]
            return logits.unflatten(0, words.shape[:-1])
        keys = cells(map)
        projected = self.decoder.attention.key(keys)
        first_B = torch.full((map.shape[0],), FIRST, device=map.device)
        return generate(
            lambda words, state: self.decoder(words, keys, state, projected=projected),
            first_B, self.steps, choose=lambda logits_BV: logits_BV.argmax(1),
        )[1]  # fmt: skip

    def weights(self, map: Tensor, words: Tensor) -> Tensor:
        """map_BCHW, words_BT -> where each step looks, weights_BTHW; each sums to 1."""
        return self.decoder(words, cells(map))[1].unflatten(2, map.shape[-2:])


def cells(map_BCHW: Tensor) -> Tensor:
    """map_BCHW -> its cells row by row, each with its column and row: (B, HW, C + 2).

    >>> cells(torch.zeros(1, 3, 2, 2))[0, :, 3:]
    tensor([[-1., -1.],
            [ 1., -1.],
            [-1.,  1.],
            [ 1.,  1.]])
    """
    height, width = map_BCHW.shape[-2:]
    rows = torch.linspace(-1, 1, height, device=map_BCHW.device, dtype=map_BCHW.dtype)
    cols = torch.linspace(-1, 1, width, device=map_BCHW.device, dtype=map_BCHW.dtype)
    place_2HW = torch.stack([cols.expand(height, -1), rows[:, None].expand(-1, width)])
    placed = torch.cat([map_BCHW, place_2HW.expand(map_BCHW.shape[0], -1, -1, -1)], 1)
    return placed.flatten(2).transpose(1, 2)


TABLE = {  #                                  parameters  multiply-adds
    "show_attend_tell-small": ShowAttendTell(267_404, 12_038_688),
}
