"""The one shape of all networks here: named stages in order, then a head that gives the logits.

    x_BCHW -> stem -> stage -> ... -> stage -> head -> logits_BK
                        `-> auxiliary head (only while training) -> net.aux_logits

Parameter names start with their stage's name, so a stage is frozen by that prefix.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ..core.errors import UnknownName, UsageError
from ..core.last import last_layer
from ._columns import Count, fitted
from ._sizes import wrong_images


class Network(nn.Module):
    """x_BCHW -> logits_BK in both modes; `aux_logits` holds the auxiliary heads' logits_BK.

    `aux` maps a stage's name to the head that branches off its output while training;
    `aux_weight` is the weight of each such loss beside the main one. With `taps` the head takes the
    list of these stages' outputs and gives what its task reads, boxes for example; while it learns
    it may be `told` the truth as well, to look there. What is frozen as a whole stays in eval mode,
    so that its statistics rest.

    >>> import torch
    >>> head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    >>> net = Network({"stem": nn.Conv2d(3, 4, 3)}, head, 3)
    >>> net(torch.zeros(2, 3, 8, 8)).shape, list(net.features(torch.zeros(2, 3, 8, 8)))
    (torch.Size([2, 5]), ['stem'])
    """

    row: Any = None  # of the table that it was made by
    notes: tuple[str, ...] = ()  # what the weights that it started from did not fit
    start: Callable[[nn.Module], None] | None = (
        None  # a fresh last layer's weights; None: PyTorch's
    )

    def __init__(
        self,
        stages: Mapping[str, nn.Module],
        head: nn.Module,
        channels: int,
        *,
        aux: Mapping[str, nn.Sequential] | None = None,
        aux_weight: float = 0.3,
        taps: Sequence[str] = (),
    ) -> None:
        super().__init__()
        for name, stage in stages.items():
            self.add_module(name, stage)
        self.aux = nn.ModuleDict(aux) if aux else None
        self.aux_weight = aux_weight
        self.head = head
        self.name = ""  # that it was asked for by
        self.stages, self.taps = tuple(stages), tuple(taps)
        self.channels = channels
        self.aux_logits: tuple[Tensor, ...] = ()

    def forward(self, x: Tensor, told: Any = None) -> Any:
        """x_BCHW -> logits_BK. Raises UsageError for a size that the architecture cannot take."""
        try:
            return self._run(x, told)
        except (RuntimeError, ValueError, TypeError, UsageError) as error:
            wrong = wrong_images(self, x)
            if wrong is None:
                raise
            raise UsageError(wrong) from error

    def _run(self, x: Tensor, told: Any) -> Any:
        aux_logits, seen = [], []
        for name in self.stages:
            x = getattr(self, name)(x)
            if name in self.taps:
                seen.append(x)
            if self.training and self.aux is not None and name in self.aux:
                aux_logits.append(self.aux[name](x))
        self.aux_logits = tuple(aux_logits)
        given = seen if self.taps else x
        return self.head(given) if told is None else self.head(given, told)

    def features(self, x: Tensor, names: Sequence[str] | None = None) -> dict[str, Tensor]:
        """x_BCHW -> outputs by name, in order: of every stage, or of the layers that are named.

        A name is a stage's ("layer3"), a layer's in it ("layer3.1"), or one in the head
        ("head.flatten" is the vector before the logits); what comes after the last is not run.

        >>> import torch, snellen as sn
        >>> net = sn.model("resnet18", classes=10, imgsz=32).eval()
        >>> found = net.features(torch.zeros(1, 3, 32, 32), ["layer2.0", "head.flatten"])
        >>> {name: list(output.shape) for name, output in found.items()}
        {'layer2.0': [1, 128, 16, 16], 'head.flatten': [1, 512]}
        """
        wanted = self.stages if names is None else (names,) if isinstance(names, str) else names
        parts = {n: p for n, p in self.named_modules() if n and not n.startswith("aux")}
        for name in wanted:
            if name not in parts:
                raise UnknownName(name, parts, "the layers of this network")
        order = [*self.stages, "head"]
        last = max((order.index(name.partition(".")[0]) for name in wanted), default=-1)
        outputs: dict[str, Tensor] = {}
        hooks = [parts[n].register_forward_hook(_keeper(n, outputs)) for n in wanted]
        try:
            seen: list[Tensor] = []
            for name in order[: last + 1]:
                x = parts[name](seen if self.taps and name == "head" else x)
                if name in self.taps:
                    seen.append(x)
        except (RuntimeError, ValueError, TypeError, UsageError) as error:
            if (wrong := wrong_images(self, x)) is not None:
                raise UsageError(wrong) from error
            raise
        finally:
            for hook in hooks:
                hook.remove()
        if silent := [name for name in wanted if name not in outputs]:
            raise UsageError(f"{silent[0]!r} gives no output of its own; name a layer in it, as "
                             f"'{silent[0]}.0'")  # fmt: skip
        return {name: outputs[name] for name in wanted}

    def train(self, mode: bool = True) -> "Network":
        """Training mode, or eval mode; what is frozen as a whole stays in eval mode."""
        super().train(mode)
        if mode:
            hold_frozen_still(self)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "aux_logits": ()}  # tensors with a graph cannot be copied


def _keeper(name: str, outputs: dict[str, Tensor]) -> Any:
    def keep(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        outputs[name] = output.clone() if "." in name else output  # a ReLU may follow in place

    return keep


def hold_frozen_still(net: nn.Module) -> None:
    """Whatever has parameters and may learn none of them goes to eval mode, with all inside it: its
    running statistics rest and its dropout is off.

    >>> net = nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 2))
    >>> hold_frozen_still(net.train())
    >>> [part.training for part in net]
    [False, True]
    """
    for module in net.modules():
        inside = list(module.parameters())
        if inside and not any(p.requires_grad for p in inside):
            module.eval()


def replace_head(net: Network, classes: int | None) -> Network:
    """Give the head (and each auxiliary head) a fresh last layer with `classes` outputs, in place.

    Its initial weights are as the family's own. With None the network is a body: it gives the
    vector that the last layer saw, x_BCHW -> x_BD, and has no auxiliary heads.

    >>> import torch, snellen as sn
    >>> replace_head(sn.model("lenet5_bn", classes=10), 3).head.fc.out_features
    3
    >>> replace_head(sn.model("resnet18"), None)(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 512])
    """
    if classes is None:
        net.aux = None
    else:
        classes = fitted("classes", classes, Count)
    for head in heads(net):
        # a detector's last layers say more than classes: alike, or each in its own way
        of = getattr(head, "outputs", getattr(net.head, "outputs", int))
        name, layer = last_layer(head)
        assert layer is not None  # a head that is built ends in one
        fresh = Removed(layer) if classes is None else _with_outputs(layer, of(classes))
        if net.start is not None and classes is not None:
            net.start(fresh)
        head.set_submodule(name, fresh)
    return net


class Removed(nn.Identity):
    """x_BD -> x_BD: stands where a body's last layer stood, and can make such a layer again."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.like = (layer,)  # in a tuple, so that it is no part of the network

    def with_outputs(self, classes: int) -> nn.Module:
        """The layer for some classes."""
        return _with_outputs(self.like[0], classes)


def heads(net: Network) -> list[nn.Module]:
    """The main head (each of its `outs`, where it has several), then the auxiliary ones.

    >>> import snellen as sn
    >>> len(heads(sn.model("googlenet")))
    3
    """
    main = getattr(net.head, "outs", [net.head])
    return [*main, *(net.aux.values() if net.aux is not None else ())]


def _with_outputs(layer: Any, outputs: int) -> nn.Module:
    if hasattr(layer, "with_outputs"):
        return layer.with_outputs(outputs)
    weight = layer.weight
    like = {"bias": layer.bias is not None, "device": weight.device, "dtype": weight.dtype}
    if isinstance(layer, nn.Conv2d):
        words = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
        like |= {word: getattr(layer, word) for word in words}
        return nn.Conv2d(layer.in_channels, outputs, **like)
    return nn.Linear(layer.in_features, outputs, **like)


def freeze_through(net: Network, stage: str) -> list[str]:
    """Hold still all up to and including `stage`; returns the prefixes of its parameters' names.

    Its statistics rest as well: net.train() leaves these stages in eval mode.

    >>> import snellen as sn
    >>> freeze_through(sn.model("lenet5_bn", classes=10), "conv1")
    ['conv1.']
    """
    if stage not in net.stages:
        raise UnknownName(stage, net.stages, "the stages of this network")
    held = net.stages[: net.stages.index(stage) + 1]
    for name in held:
        net.get_submodule(name).requires_grad_(False)
    net.train(net.training)
    return [f"{name}." for name in held]


def find_network(net: nn.Module) -> tuple[str, Network | None]:
    """The network of ours in a net, and what its names begin with.

    >>> import snellen as sn
    >>> find_network(nn.Sequential(nn.Flatten(1), sn.model("lenet5")))[0]
    '1.'
    """
    for name, part in net.named_modules():
        if isinstance(part, Network):
            return f"{name}." if name else "", part
    return "", None
