"""DropConnect (notes 003; Wan et al., ICML 2013): in training, weights are dropped, not outputs.

Inverted as dropout is: what is left is divided by 1 - p, so the mean stays and a test is plain.
(The paper draws its test outputs from a normal of the same moments; the mean is what is usual.)
"""

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from ..core.errors import UsageError
from ..core.parts import Part

PARTS = {
    "DropConnect": Part(
        "Layers and shapes",
        "sn.nn.DropConnect",
        "random weights of the wrapped layer are 0 in each training step",
        "003",
    ),
}


class DropConnect(nn.Module):
    """x_BI or x_BCHW -> layer(x), in training each weight of it 0 with probability p; biases stay.

    One mask serves the whole batch. Raises UsageError where p is outside [0, 1) or the layer has
    no weight.

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> layer = DropConnect(nn.Linear(4, 3), p=0.5)
    >>> layer(torch.ones(2, 4)).shape, layer.eval()(torch.ones(2, 4)).shape
    (torch.Size([2, 3]), torch.Size([2, 3]))
    """

    def __init__(self, layer: nn.Module, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise UsageError(f"DropConnect with p = {p}; the share to drop is wanted, 0 <= p < 1")
        if not isinstance(getattr(layer, "weight", None), nn.Parameter):
            raise UsageError(f"DropConnect around {type(layer).__name__}, which has no weight")
        self.layer = layer
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """x -> layer(x)."""
        if not self.training or not self.p:
            return self.layer(x)
        weight = F.dropout(self.layer.get_parameter("weight"), self.p)
        return functional_call(self.layer, {"weight": weight}, (x,))
