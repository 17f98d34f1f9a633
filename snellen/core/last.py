"""Which layer gives a network's outputs: the one answer for losses, heads and files of weights."""

from torch import nn


def last_layer(net: nn.Module) -> tuple[str, nn.Module | None]:
    """The name and the layer that gives a network's outputs; None for the layer where none does.

    It is the last in order that is linear or a convolution, or that says of itself that it can be
    made again for other outputs (`with_outputs`): within `net.head`, where there is such a one.

    >>> last_layer(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8, 2), nn.ReLU()))
    ('2', Linear(in_features=8, out_features=2, bias=True))
    >>> last_layer(nn.ReLU())
    ('', None)
    """
    found = [(name, layer) for name, layer in net.named_modules() if _gives_outputs(layer)]
    inside = [pair for pair in found if pair[0] == "head" or pair[0].startswith("head.")]
    return (inside or found or [("", None)])[-1]


def _gives_outputs(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear | nn.Conv2d) or hasattr(layer, "with_outputs")
