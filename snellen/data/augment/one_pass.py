"""Crop, flip, jitter and normalising as compiled loops over the bytes of a batch.

The same draws from the same generator as the augmentations themselves make, so the same numbers
within rounding, and a training can change from one way to the other where it stands.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import Generator, Tensor

from ..inputs import Inputs
from ..sample import Batch
from ._base import Augment, Chain
from ._cut import shifts
from ._follow import follow, is_drawn_on
from .crop import Crop, draw_shifts
from .flip import Flip, draw_turned, mirrors
from .jitter import Jitter, draw_colours


def fits(chain: Chain) -> bool:
    """Whether the loops can do what a chain does: flips, one crop and one jitter at most.

    >>> from . import compose
    >>> fits(compose("crop+flip+jitter")), fits(compose("affine+flip")), fits(compose("off"))
    (True, False, True)
    """
    kinds = [type(step) for step in chain.steps]
    once = kinds.count(Crop) <= 1 and kinds.count(Jitter) <= 1
    return once and set(kinds) <= {Crop, Flip, Jitter}


@cache
def _loops() -> tuple[Callable[..., None], ...]:
    """`move`, `move_last` and `jitter`, whose files import numba."""
    from ._kernels import jitter, move
    from ._kernels_last import move_last

    return move, move_last, jitter


@dataclass
class _Moves:
    """How the pixels of each sample have moved so far: shifted, then mirrored."""

    down_B: np.ndarray
    right_B: np.ndarray
    upset_B: np.ndarray
    mirrored_B: np.ndarray

    @staticmethod
    def none(count: int) -> "_Moves":
        """Not at all."""
        return _Moves(*np.zeros((2, count), np.int64), *np.zeros((2, count), np.bool_))

    def shift(self, right_B: np.ndarray, down_B: np.ndarray) -> None:
        """Seen from behind the mirror, right is left."""
        self.right_B = self.right_B + np.where(self.mirrored_B, -right_B, right_B)
        self.down_B = self.down_B + np.where(self.upset_B, -down_B, down_B)

    def mirror(self, turned_B: np.ndarray, axis: int) -> None:
        """Along an axis of x_BCHW."""
        if axis == -1:
            self.mirrored_B = self.mirrored_B ^ turned_B
        else:
            self.upset_B = self.upset_B ^ turned_B

    def carry(self, x_BCHW: Tensor, out_BCHW: Tensor, scales_2C: np.ndarray) -> None:
        """Bytes, in whatever order they lie -> `out`, by the loop for the order of that."""
        move, move_last, _ = _loops()
        last = torch.channels_last
        is_colour_last = x_BCHW.shape[1] == 3 and x_BCHW.is_contiguous(memory_format=last)
        x = (x_BCHW.permute(0, 2, 3, 1) if is_colour_last else x_BCHW.contiguous()).numpy()
        moves = self.down_B, self.right_B, self.upset_B, self.mirrored_B
        if out_BCHW.is_contiguous():
            move(x, is_colour_last, out_BCHW.numpy(), *moves, scales_2C)
        else:
            out_BHWC = out_BCHW.permute(0, 2, 3, 1).numpy()
            move_last(x, is_colour_last, out_BHWC, *moves, scales_2C)


class OnePass(Augment):
    """A chain that `fits`, and what `Inputs.prepare` does after it. Bytes come out as the network
    is fed them (`Batch.is_ready`); floats of the user's own go through the chain itself.

    Without numba the loops are right, and slow.
    """

    about = "crop, flip, jitter and normalising in compiled loops"

    def __init__(self, chain: Chain, inputs: Inputs, *, channels_last: bool = False) -> None:
        self.chain, self.channels_last, self.name = chain, channels_last, chain.name
        kinds = [type(step) for step in chain.steps]
        # Contrast goes by the mean of the picture, in which the black that a crop lets in counts.
        self.jitters_last = Crop in kinds[: kinds.index(Jitter)] if Jitter in kinds else False
        ends = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
        black, white = inputs.prepare(ends.expand(2, inputs.channels, 1, 1)).flatten(1).numpy()
        self.normalised_2C = np.stack([(white - black) / np.float32(255), black])
        self.bytes_2C = np.stack([np.ones_like(black), np.zeros_like(black)])

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW uint8 -> x_BCHW float32, ready for the network."""
        if batch.x.dtype != torch.uint8 or batch.x.device.type != "cpu":
            return self.chain(batch, generator)
        moves, colours_3B = _Moves.none(len(batch)), None
        for step in self.chain.steps:
            if isinstance(step, Jitter):
                colours_3B = draw_colours(len(batch), generator)
            else:
                batch = _moved(batch, moves, step, generator)
        return replace(batch, x=self._run(batch.x, moves, colours_3B), is_ready=True)

    def _run(self, x_BCHW: Tensor, moves: _Moves, colours_3B: Tensor | None) -> Tensor:
        """The loops that are wanted, the last of which normalises."""
        jitter = _loops()[2]
        last = torch.channels_last if self.channels_last else torch.contiguous_format
        out = torch.empty(x_BCHW.shape, memory_format=last)
        if colours_3B is None:
            moves.carry(x_BCHW, out, self.normalised_2C)
            return out
        if x_BCHW.shape[1] != 3:
            colours_3B[0] = 1  # what has no colours has no saturation
        # Jitter goes by planes: its loops run along a row of one colour.
        between, colours_B3 = np.empty(x_BCHW.shape, np.uint8), colours_3B.T.contiguous().numpy()
        if self.jitters_last:
            moves.carry(x_BCHW, torch.from_numpy(between), self.bytes_2C)
            out = torch.empty(x_BCHW.shape)
            jitter(between, out.numpy(), colours_B3, self.normalised_2C)
            return out.contiguous(memory_format=last)
        jitter(x_BCHW.contiguous().numpy(), between, colours_B3, self.bytes_2C)
        moves.carry(torch.from_numpy(between), out, self.normalised_2C)
        return out


def _moved(batch: Batch, moves: _Moves, step: Augment, generator: Generator) -> Batch:
    """Draw a step's moves and join them to those before; what is drawn on the pictures follows."""
    if isinstance(step, Flip):
        turned_B = draw_turned(len(batch), generator)
        moves.mirror(turned_B.numpy(), step.axis)
        if not is_drawn_on(batch):
            return batch
        return follow(batch, batch.x, mirrors(turned_B, step.axis, batch.x.shape[step.axis]))
    size = (batch.x.shape[-2], batch.x.shape[-1])
    right_B, down_B = draw_shifts(len(batch), size, generator)
    moves.shift(right_B.numpy(), down_B.numpy())
    return follow(batch, batch.x, shifts(right_B, down_B)) if is_drawn_on(batch) else batch
