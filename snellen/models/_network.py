"""The one shape of all networks here: named stages in order, then a head that gives the logits.

    x_BCHW -> stem -> stage -> ... -> stage -> head -> logits_BK
                        `-> auxiliary head (only while training) -> net.aux_logits

Parameter names start with their stage's name, so a stage is frozen by that prefix.
"""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..core.errors import UnknownName, UsageError
from ..nn.count import device_of, probe_copy

REACH = 320  # pixels that a larger size is looked for; no family here needs more than 299


class Network(nn.Module):
    """x_BCHW -> logits_BK in both modes; `aux_logits` holds the auxiliary heads' logits_BK.

    `aux` maps a stage's name to the head that branches off its output while training;
    `aux_weight` is the paper's weight of each such loss beside the main one.

    >>> head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    >>> net = Network({"stem": nn.Conv2d(3, 4, 3)}, head, 3)
    >>> net(torch.zeros(2, 3, 8, 8)).shape, list(net.features(torch.zeros(2, 3, 8, 8)))
    (torch.Size([2, 5]), ['stem'])
    """

    aux_weight = 0.3
    names: tuple[str, ...] = ()  # of the family: what others call the layers

    def __init__(
        self,
        stages: Mapping[str, nn.Module],
        head: nn.Sequential,
        channels: int,
        *,
        aux: Mapping[str, nn.Sequential] | None = None,
    ) -> None:
        super().__init__()
        for name, stage in stages.items():
            self.add_module(name, stage)
        self.aux = nn.ModuleDict(aux) if aux else None
        self.head = head
        self.stages = tuple(stages)
        self.channels = channels
        self.aux_logits: tuple[Tensor, ...] = ()

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> logits_BK. Raises UsageError for a size that the architecture cannot take."""
        try:
            return self._run(x)
        except (RuntimeError, ValueError) as error:
            wrong = wrong_input(self, tuple(x.shape))
            if wrong is None:
                raise
            raise UsageError(wrong) from error

    def _run(self, x: Tensor) -> Tensor:
        aux_logits = []
        for name in self.stages:
            x = getattr(self, name)(x)
            if self.training and self.aux is not None and name in self.aux:
                aux_logits.append(self.aux[name](x))
        self.aux_logits = tuple(aux_logits)
        return self.head(x)

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """x_BCHW -> the output of every stage by name, in order; the head is not run."""
        outputs = {}
        for name in self.stages:
            x = outputs[name] = getattr(self, name)(x)
        return outputs

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "aux_logits": ()}  # tensors with a graph cannot be copied


def replace_head(net: Network, classes: int) -> Network:
    """Give the head (and each auxiliary head) a fresh last layer with `classes` outputs, in place.

    >>> import snellen as sn
    >>> replace_head(sn.model("lenet5_bn", classes=10), 3).head.fc.out_features
    3
    """
    for head in heads(net):
        name, layer = last_layer(head)
        head.set_submodule(name, _with_outputs(layer, classes))
    return net


def heads(net: Network) -> list[nn.Module]:
    """The main head, then the auxiliary ones."""
    return [net.head, *(net.aux.values() if net.aux is not None else ())]


def last_layer(head: nn.Module) -> tuple[str, nn.Module]:
    """The name and the layer that gives a head's logits."""
    usual = (nn.Linear, nn.Conv2d)
    layers = list(head.named_modules())
    return [(n, m) for n, m in layers if isinstance(m, usual) or hasattr(m, "with_outputs")][-1]


def _with_outputs(layer: Any, outputs: int) -> nn.Module:
    if hasattr(layer, "with_outputs"):
        return layer.with_outputs(outputs)
    like = {"bias": layer.bias is not None, "device": layer.weight.device}
    if isinstance(layer, nn.Conv2d):
        return nn.Conv2d(layer.in_channels, outputs, layer.kernel_size, **like)  # type: ignore[arg-type]
    return nn.Linear(layer.in_features, outputs, **like)


def freeze_through(net: Network, stage: str) -> list[str]:
    """Hold still every parameter up to and including `stage`; returns the prefixes of their names.

    >>> import snellen as sn
    >>> freeze_through(sn.model("lenet5_bn", classes=10), "conv1")
    ['conv1.']
    """
    if stage not in net.stages:
        raise UnknownName(stage, net.stages, "the stages of this network")
    held = net.stages[: net.stages.index(stage) + 1]
    for name in held:
        net.get_submodule(name).requires_grad_(False)
    return [f"{name}." for name in held]


def wrong_input(net: Network, shape: tuple[int, ...]) -> str | None:
    """What is wrong with an input of this shape and which would do; None where nothing is."""
    wanted = f"(B, {net.channels}, H, W)"
    if len(shape) != 4:
        return f"x has shape {shape}; a batch of images {wanted} is wanted (one image is x[None])"
    batch, channels, height, width = shape
    if channels != net.channels:
        return (
            f"x has shape {shape}, this network takes {wanted}; "
            f"build it with channels={channels} or convert the images"
        )
    probe = cast(Network, probe_copy(net, height * width))
    if _runs(probe, batch, height, width):
        return None
    if _runs(probe, 2, height, width):
        return (
            f"one image of {height}x{width} leaves batch norm a single value a channel while "
            "training; give two images or more a batch (drop a last batch of one)"
        )
    sizes = _near_sizes(probe, min(height, width), max(height, width))
    if not sizes:
        return None
    return (
        f"images of {height}x{width} do not fit this architecture; "
        f"{' and '.join(f'{s}x{s}' for s in sizes)} would: resize them (imgsz={sizes[-1]}) "
        "or take another model"
    )


def _near_sizes(probe: Network, least: int, most: int) -> list[int]:
    """The next square below `most` and the next above `least` that the network can take."""
    below = next((s for s in range(most, 0, -1) if _runs(probe, 2, s, s)), None)
    above = next((s for s in range(least, least + REACH) if _runs(probe, 2, s, s)), None)
    return sorted({s for s in (below, above) if s is not None})


def _runs(probe: Network, *size: int) -> bool:
    batch, height, width = size
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            probe._run(torch.zeros(batch, probe.channels, height, width, device=device_of(probe)))
    except (RuntimeError, ValueError):
        return False
    return True
