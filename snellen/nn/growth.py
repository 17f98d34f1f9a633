"""Layer-wise growth (notes 003, VGG's paper 3.1): a deep net begins with a shallow one's layers.

VGG-16 and VGG-19 did not learn from random weights; VGG-11 did, and its first four convolutions
and three fully connected layers became theirs, the layers between random. Same name, same layer.
"""

from collections.abc import Sequence

import torch
from torch import nn

from ..core.errors import UsageError
from ..core.parts import Part

PARTS = {
    "Layer-wise growth": Part(
        "Initialisers",
        "sn.nn.grow_from",
        "a deep net takes the layers of a shallow one by their names: VGG-11 -> 16 -> 19",
        "003",
    ),
}


@torch.no_grad()
def grow_from(shallow: nn.Module, deep: nn.Module, *, fresh: Sequence[str] = ()) -> list[str]:
    """Copy into `deep` each layer of `shallow` that it has too; returns their names.

    A layer is a module with numbers of its own, and is copied whole or not at all. What lies under
    one of the names `fresh` keeps its own values. Raises UsageError where a layer of `shallow`
    is not in `deep` with the same shapes: then nothing has been copied.

    >>> shallow = nn.Sequential(nn.Linear(2, 3))
    >>> grow_from(shallow, nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3)))
    ['0']
    """
    homes = dict(deep.named_modules())
    copied = []
    for name, layer in shallow.named_modules():
        own = _numbers(layer)
        if not own or any(f"{name}.".startswith(f"{kept}.") for kept in fresh):
            continue
        if name not in homes or _shapes(homes[name]) != _shapes(layer):
            there = _shapes(homes[name]) if name in homes else "nothing"
            raise UsageError(
                f"layer {name!r} of the shallow net has {_shapes(layer)}, the deep one has {there} "
                f"there; name it in fresh=[{name!r}] to leave it random"
            )
        copied.append(name)
    layers = dict(shallow.named_modules())
    for name in copied:
        for key, values in _numbers(homes[name]).items():
            values.copy_(_numbers(layers[name])[key])
    return copied


def _numbers(layer: nn.Module) -> dict[str, torch.Tensor]:
    own = [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]
    return dict(own)


def _shapes(layer: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(values.shape) for key, values in _numbers(layer).items()}
