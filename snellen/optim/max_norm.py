"""Max-norm constraint (notes 003; Srebro, Rennie, Jaakkola 2005): projected gradient descent.

After each step, whatever took it, the vector of a unit's incoming weights that is longer than c is
cut to length c; its direction stays. Weights cannot grow without bound, even with a learning rate
that is far too high. The notes say c = 3 or 4.
"""

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd
from torch.nn.utils.parametrize import ParametrizationList
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from ..core.errors import UsageError
from ..core.parts import Part

PARTS = {
    "Max-norm": Part(
        "Regularisers", "sn.optim.keep_norms, sn.optim.project_norms",
        "each unit's weight vector cut to length c after each step; `max_norm=` of a recipe",
        "003",
    ),
}  # fmt: skip
ROWLESS = (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.RMSNorm)


@torch.no_grad()
def project_norms(net: nn.Module, limit: float) -> None:
    """Cut every unit's incoming weight vector to length `limit` in place; biases stay.

    A unit is a row of a linear layer, a filter of a convolution, a gate's row of a recurrent layer:
    parameters with `weight` in their name. Rows of embeddings, elementwise scales and peepholes
    have no incoming weights, and stay.
    Raises UsageError where the limit is not positive.

    >>> layer = nn.Linear(2, 2); _ = layer.weight.data.copy_(torch.tensor([[3.0, 4.0], [0.3, 0.4]]))
    >>> project_norms(layer, 1.0); layer.weight.data
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    if not limit > 0:
        raise UsageError(f"limit={limit} of max-norm must be above 0; 3 or 4 is usual")
    for module in net.modules():
        for name, param in module.named_parameters(recurse=False):
            if param.ndim > 1 and param.requires_grad and _is_incoming(module, name):
                units, axes = _units(module, param)
                norm = torch.linalg.vector_norm(units, dim=axes, keepdim=True)
                units *= (limit / norm).clamp(max=1)


def keep_norms(optimizer: Optimizer, net: nn.Module, limit: float) -> RemovableHandle:
    """From now on every step of `optimizer` ends with `project_norms(net, limit)`.

    Returns a handle; its remove() ends that.

    Raises UsageError where the limit is not positive.

    >>> layer = nn.Linear(2, 1); optimizer = torch.optim.SGD(layer.parameters(), lr=1e6)
    >>> handle = keep_norms(optimizer, layer, 3.0)
    >>> layer(torch.ones(1, 2)).sum().backward(); optimizer.step()
    >>> layer.weight.norm().item() < 3.01
    True
    """
    project_norms(net, limit)
    return optimizer.register_step_post_hook(lambda *_: project_norms(net, limit))


def _is_incoming(module: nn.Module, name: str) -> bool:
    """Whether the rows of a parameter are the incoming weights of units."""
    if isinstance(module, ParametrizationList):  # original0 of weight norm: the rows' lengths
        return True
    return "weight" in name and not isinstance(module, ROWLESS)


def _units(module: nn.Module, param: Tensor) -> tuple[Tensor, list[int]]:
    """A view of the parameter, whatever its memory format, and the axes of a unit's inputs."""
    if isinstance(module, _ConvTransposeNd):  # (I, O / groups, ...): a unit has no row of its own
        view = param.unflatten(0, (module.groups, -1))
        return view, [axis for axis in range(view.ndim) if axis not in (0, 2)]
    return param, list(range(1, param.ndim))
