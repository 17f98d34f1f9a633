"""One file, one family: the paper, its blocks, and TABLE with claimed sizes.

A name is a row of some family's TABLE. `tv:`, `paper:` and `timm:` name a variant; a bare name is
torchvision's network where it has one, else the paper's, else timm's.
"""

from typing import TYPE_CHECKING, Any

from ..core import registry
from ..core.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from ._network import Network
    from ._row import Row

PREFIXES = ("tv:", "paper:", "timm:")  # whose a bare name is, in this order
SMALL = 64  # pixels; images up to here lose too much in an ImageNet stem


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
    name: str, classes: int = 1000, channels: int = 3, *, imgsz: int | None = None, **options: Any
) -> "Network":
    """A fresh network: x_BCHW -> logits_BK in both modes; `net.aux_logits` after a training step.

    `options` are columns of its row (`snellen models NAME` shows them). `imgsz` says how large the
    images will be: it sizes the first linear layer where there is one, takes a family's small stem
    up to 64 pixels, and is checked; without it the network is the reference, unchanged.

    >>> model("resnet18", classes=10, imgsz=32).stem.conv.kernel_size
    (3, 3)
    """
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
    if imgsz is not None:
        _check_size(name, found, channels, imgsz)
    return found.build(classes, channels)


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


def _check_size(name: str, found: "Row", channels: int, imgsz: int) -> None:
    import torch

    from ._network import wrong_input

    with torch.device("meta"):
        net = found.build(2, channels)
    wrong = wrong_input(net, (2, channels, imgsz, imgsz))
    if wrong:
        raise UsageError(f"model {name!r}: {wrong}")


def _rows() -> "dict[str, Row]":
    declared = registry.collect(__name__, "TABLE")
    bare = {_bare(name): found for prefix in reversed(PREFIXES)
            for name, found in declared.items() if name.startswith(prefix)}  # fmt: skip
    return {**bare, **declared}


def _bare(name: str) -> str:
    return name.rpartition(":")[2]
