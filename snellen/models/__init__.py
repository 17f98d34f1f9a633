"""One file, one family: the paper, its blocks, and TABLE with claimed sizes.

A name is a row of some family's TABLE. `tv:`, `paper:` and `timm:` name a variant; a bare name is
torchvision's network where it has one, else the paper's, else timm's.

A family in a package of your own imports what it is built from here: `Row`, `Network` and the
pieces below.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core import registry
from ..core.errors import DataError, UnknownName, UsageError

if TYPE_CHECKING:
    from torch import nn

    from ._network import Network, freeze_through, replace_head
    from ._parts import Added, Branches, SqueezeExcite, conv_bn, conv_relu, he_init, pooled_head
    from ._row import Row

__all__ = [
    "Added",
    "Branches",
    "Network",
    "Row",
    "SqueezeExcite",
    "conv_bn",
    "conv_relu",
    "describe",
    "freeze_through",
    "he_init",
    "layer_table",
    "listing",
    "load_weights",
    "model",
    "models",
    "pooled_head",
    "replace_head",
    "row",
]
PIECES = {  # loaded on first use: they need torch
    "Row": "_row",
    **dict.fromkeys(("Network", "freeze_through", "replace_head"), "_network"),
    **dict.fromkeys(("Added", "Branches", "SqueezeExcite"), "_parts"),
    **dict.fromkeys(("conv_bn", "conv_relu", "he_init", "pooled_head"), "_parts"),
}
PREFIXES = ("tv:", "paper:", "timm:")  # whose a bare name is, in this order
SMALL = 64  # pixels; images up to here lose too much in an ImageNet stem


def __getattr__(name: str) -> Any:
    if name not in PIECES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{PIECES[name]}"), name)


def models() -> list[str]:
    """Every name that `model` takes: bare ones and variants.

    >>> {"resnet50", "tv:resnet50", "lenet5"} <= set(models())
    True
    """
    return sorted(_rows())


def listing() -> list[str]:
    """One name for each different network: the bare ones, and the variants that differ from them.

    >>> "resnet50" in listing(), "tv:resnet50" in listing()
    (True, False)
    """
    known = _rows()
    return [name for name in sorted(known) if ":" not in name or known[name] != known[_bare(name)]]


def row(name: str) -> "Row":
    """The row behind a name; an unknown one names the nearest right ones."""
    known = _rows()
    if name not in known:
        raise UnknownName(name, known, "models")
    return known[name]


def model(
    name: str,
    classes: int = 1000,
    channels: int = 3,
    *,
    imgsz: int | None = None,
    weights: str | Path | None = None,
    **options: Any,
) -> "Network":
    """A fresh network: x_BCHW -> logits_BK in both modes; `net.aux_logits` after a training step.

    `options` are columns of its row (`snellen models NAME` shows them). `imgsz` says how large the
    images will be: it sizes the first linear layer where there is one, takes a family's small stem
    up to 64 pixels, and is checked; without it the network is the reference, unchanged. `weights`
    is a file to start from, see `load_weights`.

    >>> model("resnet18", classes=10, imgsz=32).stem.conv.kernel_size
    (3, 3)
    """
    from ._network import wrong_input
    from ._row import changed
    from ._row import options as columns

    for word, value in {"classes": classes, "channels": channels, "imgsz": imgsz}.items():
        if value is not None and (not isinstance(value, int) or value < 1):
            raise UsageError(f"{word}={value!r} is not a whole number from 1 up")
    found = row(name)
    if imgsz is not None:
        sized = {"imgsz": imgsz} if "imgsz" in columns(found) else {}
        options = {**sized, **(found.small if imgsz <= SMALL else {}), **options}
    found = changed(found, name, options)
    net = found.build(classes, channels)
    net.names = found.names
    if imgsz is not None:
        wrong = wrong_input(net, (2, channels, imgsz, imgsz))
        if wrong:
            raise UsageError(f"model {name!r}: {wrong}")
    if weights is not None:
        load_weights(net, weights)
    return net


def load_weights(net: "nn.Module", path: str | Path) -> list[str]:
    """A file of ours, torchvision's or timm's (.safetensors, .pt, .pth) into `net`, in place.

    Other classes keep the fresh last layer and other input channels take the first filters over;
    the notes returned say so. Raises DataError that names the tensors for any other difference,
    and then changes nothing. A .pt is read without running what it holds.
    """
    from ..core.weights import read_weights
    from ._weights import adopt

    tensors, _, notes = read_weights(Path(path))
    try:
        return [*notes, *adopt(net, tensors)]
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def describe(name: str) -> dict[str, Any]:
    """What `snellen models NAME --json` prints; the claims that the contract test recounts.

    >>> describe("resnet50")["macs"]
    4089184256
    """
    found = row(name)
    params, macs = found.params, found.macs
    if not params:  # a user's own row may claim nothing
        params, macs = _count(found)
    return {
        "name": name,
        "family": found.family,
        "params": params,
        "params_without_aux": params - found.aux_params,
        "macs": macs,
        "input": list(found.input),
        "paper": found.paper,
    }


def layer_table(name: str, **options: Any) -> list[dict[str, Any]]:
    """Layer by layer: name, kind, output shape, params, macs, activation bytes, receptive field."""
    import torch

    from ..nn.count import layers
    from ._row import changed

    found = changed(row(name), name, options)
    with torch.device("meta"):
        net = found.build(found.classes, found.input[0])
    return layers(net, found.input)


def _count(found: "Row") -> tuple[int, int]:
    import torch

    from ..nn.count import count_macs, count_params

    with torch.device("meta"):
        net = found.build(found.classes, found.input[0])
    return count_params(net), count_macs(net, found.input)


def _rows() -> "dict[str, Row]":
    declared = registry.collect(__name__, "TABLE")
    bare = {_bare(name): found for prefix in reversed(PREFIXES)
            for name, found in declared.items() if name.startswith(prefix)}  # fmt: skip
    return {**bare, **declared}


def _bare(name: str) -> str:
    return name.rpartition(":")[2]
