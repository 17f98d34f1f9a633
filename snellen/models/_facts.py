"""What a network is made of, counted on the meta device: no weights are drawn for it."""

import sys
from typing import Any

from ..core.errors import SnellenError, UsageError
from ..core.shapes import shapes_alone
from ..nn.count import count_macs, count_params, layers
from . import chosen
from ._row import Row, options


def describe(name: str, **words: Any) -> dict[str, Any]:
    """What `snellen models NAME --json` prints; the claims that the contract test recounts.

    With words that `model` takes (imgsz, classes, options) the network they make is counted.

    >>> describe("resnet50")["macs"]
    4089184256
    >>> describe("resnet18", imgsz=32, classes=10)["input"]
    [3, 32, 32]
    """
    found = chosen(name, **words)
    params, macs, aux_params = found.params, found.macs, found.aux_params
    if words or not params:  # a user's own row may claim nothing
        params, macs, aux_params = _count(found)
    return {
        "name": name,
        "family": found.family,
        "task": found.task,
        "params": params,
        "params_without_aux": params - aux_params,
        "macs": macs,
        "input": list(found.input),
        "classes": found.classes,
        "paper": found.paper,
        "top1": found.top1[0] if found.top1 else None,
        "top1_of": found.top1[1] if found.top1 else None,
        "options": options(found),
    }


def layer_table(name: str, **words: Any) -> list[dict[str, Any]]:
    """Layer by layer: name, kind, output shape, params, macs, activation bytes, receptive field.

    >>> layer_table("lenet5")[0]["shape"], layer_table("lenet5_bn", imgsz=8)[0]["shape"]
    ([6, 28, 28], [16, 8, 8])
    """
    found = chosen(name, **words)
    with shapes_alone():
        net = found.make()
    return layers(net, found.input)


def _count(found: Row) -> tuple[int, int, int]:
    """Parameters, multiply-adds, and the auxiliary heads' share of the parameters."""
    try:
        with shapes_alone():
            net = found.make()
            macs = count_macs(net, found.input)
        aux = count_params(net.aux) if net.aux is not None else 0
        return count_params(net), macs, aux
    except SnellenError:
        raise
    except Exception as error:  # a family of the user's own, of which nothing is known
        home = sys.modules[type(found).__module__].__file__
        raise UsageError(f"{home} makes no network: {type(error).__name__}: {error}") from error
