"""One file, one family: the paper, its blocks, and TABLE with claimed sizes.

A name is a row of some family's TABLE. `tv:`, `paper:` and `timm:` name a variant; a bare name is
torchvision's network where it has one, else the paper's, else timm's.

A family in a package of your own imports what it is built from here: `Row`, `Network` and the
pieces below.
"""

import importlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core import registry
from ..core.errors import DataError, UsageError

if TYPE_CHECKING:
    from torch import nn

    from ._facts import describe, layer_table
    from ._names import Named
    from ._network import Network, find_network, freeze_through, hold_frozen_still, replace_head
    from ._parts import (
        Added,
        Branches,
        SqueezeExcite,
        conv_bn,
        conv_head,
        conv_relu,
        he_init,
        pooled_head,
    )
    from ._row import Row

__all__ = [
    "Added",
    "Branches",
    "Named",
    "Network",
    "Row",
    "SqueezeExcite",
    "chosen",
    "conv_bn",
    "conv_head",
    "conv_relu",
    "describe",
    "find_network",
    "freeze_through",
    "he_init",
    "hold_frozen_still",
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
    **dict.fromkeys(("describe", "layer_table"), "_facts"),
    "Named": "_names",
    **dict.fromkeys(("Network", "find_network", "freeze_through"), "_network"),
    **dict.fromkeys(("hold_frozen_still", "replace_head"), "_network"),
    **dict.fromkeys(("Added", "Branches", "SqueezeExcite"), "_parts"),
    **dict.fromkeys(("conv_bn", "conv_head", "conv_relu", "he_init", "pooled_head"), "_parts"),
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


def listing(task: str | None = "classify") -> list[str]:
    """One name for each different network of a task, or of all: the bare ones, and the variants
    that differ from them.

    >>> "resnet50" in listing(), "tv:resnet50" in listing()
    (True, False)
    """
    from ._row import identity

    known = _rows()
    first: dict[Any, str] = {}
    for name in sorted(known, key=lambda name: (":" in name, _turn(name), name)):
        if task in (None, known[name].task):
            first.setdefault(identity(known[name]), name)
    return sorted(first.values())


def row(name: str) -> "Row":
    """The row behind a name; an unknown one names the nearest right ones.

    >>> row("resnet50").family
    'ResNet'
    """
    known = _rows()
    if not isinstance(name, str):
        raise UsageError(f"model {name!r}: a name is wanted, as 'resnet50'; sn.models() has all")
    if name not in known:
        bare = _bare(name)
        if name.startswith(PREFIXES) and bare in known:
            raise UsageError(f"there is no {name!r} of its own; {bare!r} is the one there is")
        raise registry.unknown(name, known, __name__)
    return known[name]


def model(
    name: str,
    classes: int | None = None,
    channels: int | None = None,
    *,
    imgsz: int | None = None,
    weights: str | Path | None = None,
    **options: Any,
) -> "Network":
    """A fresh network: x_BCHW -> logits_BK in both modes; `net.aux_logits` after a training step.

    Without further words the network is the row's own, unchanged: its classes, channels and claims.
    `options` are columns of its row (`snellen models NAME` shows them). `imgsz` says how large the
    images will be: it sizes the first linear layer where there is one, takes a family's small stem
    up to 64 pixels, and is checked. `weights` is a file to start from, see `load_weights`; what did
    not fit is logged as a warning, and in `net.notes`.

    >>> sum(p.numel() for p in model("lenet5").parameters()) == row("lenet5").params
    True
    >>> model("resnet18", classes=10, imgsz=32).stem.conv.kernel_size
    (3, 3)
    """
    found = chosen(name, classes=classes, channels=channels, imgsz=imgsz, **options)
    net = found.make()
    net.name = name
    if imgsz is not None:
        from ._sizes import wrong_input

        wrong = wrong_input(net, (2, *found.input))
        if wrong:
            raise UsageError(f"model {name!r}: {wrong}")
    if weights is not None:
        of_file, unfit = _load(net, weights)
        net.notes = (*of_file, *unfit)
        if unfit:
            logging.getLogger("snellen").warning("weights=%s: %s", weights, "; ".join(unfit))
    return net


def chosen(
    name: str,
    *,
    classes: int | None = None,
    channels: int | None = None,
    imgsz: int | None = None,
    **options: Any,
) -> "Row":
    """The row of the network that `model` makes of these words; its claims are the paper's row's.

    >>> chosen("resnet18", imgsz=32).stem
    'small'
    """
    from ._columns import Count, fitted
    from ._row import changed
    from ._row import options as columns

    found = row(name)
    given = {"classes": classes, "channels": channels, "imgsz": imgsz}
    size = {k: fitted(k, v, Count) for k, v in given.items() if v is not None}
    if imgsz is not None:
        side = size["imgsz"]
        sized = {"imgsz": side} if "imgsz" in columns(found) else {}
        options = {**sized, **(found.small if side <= SMALL else {}), **options}
    found = changed(found, name, options)
    depth, *sides = found.input
    sides = [size["imgsz"]] * 2 if imgsz is not None else sides
    shape = (size.get("channels", depth), *sides)
    return replace(found, input=shape, classes=size.get("classes", found.classes))


def load_weights(net: "nn.Module", path: str | Path) -> list[str]:
    """A file of ours, torchvision's or timm's (.safetensors, .pt, .pth) into `net`, in place.

    Other classes keep the fresh last layer and other input channels take the first filters over;
    the notes returned say so. Raises DataError for any other difference, and then changes nothing:
    its `lines` name every tensor, the message the first ones. A .pt is read without running what it
    holds.

    >>> import tempfile, torch
    >>> with tempfile.NamedTemporaryFile(suffix=".pt") as file:
    ...     torch.save(model("lenet5_bn", classes=10).state_dict(), file.name)
    ...     load_weights(model("lenet5_bn", classes=3), file.name)[0]
    'head.fc.weight is (10, 84) in the file, (3, 84) here: left as it was'
    """
    return [note for notes in _load(net, path) for note in notes]


def _load(net: "nn.Module", path: str | Path) -> tuple[list[str], list[str]]:
    """As load_weights; notes of the file, and notes of what did not fit."""
    from ..core.weights import read_weights
    from ._weights import adopt

    if not isinstance(path, str | Path) or not str(path):
        raise UsageError(f"weights={path!r} names no file; give the path of one")
    tensors, _, notes = read_weights(Path(path))
    try:
        return notes, adopt(net, tensors)
    except DataError as error:
        raise DataError(f"{path}: {error}", error.lines) from None


def _rows() -> "dict[str, Row]":
    from ._row import Row

    declared = registry.collect(__name__, "TABLE", Row)
    bare = {_bare(name): found for prefix in reversed(PREFIXES)
            for name, found in declared.items() if name.startswith(prefix)}  # fmt: skip
    return {**bare, **declared}


def _bare(name: str) -> str:
    return name.rpartition(":")[2]


def _turn(name: str) -> int:
    """Whose network a bare name is, as a number that counts from the one that wins."""
    known = _rows()
    own = [
        i for i, prefix in enumerate(PREFIXES) if name.startswith(prefix) or prefix + name in known
    ]
    return own[0] if own else len(PREFIXES)
