"""Weights of other makers for our networks: whose tensor is whose is read off the names.

A family lists the names that torchvision and timm give to its layers, in the order of its own:

    "conv1 bn1 layer#.#.(conv# bn# downsample.#) fc"

`#` is a number, `@` a letter, `*` anything; numbers order themselves, words stand in the order of
the list, and what stands in brackets is ordered within what stands before them. So a name has its
place wherever the file has it (safetensors sorts by the alphabet), and a name that is not on the
list is refused. Then the k-th norm is the k-th norm, the k-th other layer the k-th other layer, and
every shape along the way must be the same.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import DataError, shortlist
from ..core.fit import COUNTER, fit_into
from ._network import Network, heads, last_layer

Place = tuple[Any, ...]
Layers = dict[str, dict[str, Tensor]]  # a layer's name -> its tensors by their last names
PIECES = {"#": r"(\d+)", "@": r"([a-z])", "*": r"(.*)"}
WRAPS = ("model.", "net.", "backbone.", "encoder.")  # what others put before all names


def adopt(net: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """Copy a state dict into `net` in place, all or nothing; returns notes of what did not fit.

    Its names are the net's own, or torchvision's or timm's where `net` has a network of ours. Other
    classes keep the fresh last layer, other input channels take the first layer's filters over.
    Raises DataError that names the tensors for all else.

    >>> import snellen as sn
    >>> net = sn.model("resnet18", classes=3)
    >>> adopt(net, sn.model("resnet18", classes=5).state_dict())[0]
    'head.fc.weight is (5, 512) in the file, (3, 512) here: left as it was'
    """
    prefix, network = _network(net)
    if network is None:
        return fit_into(net, weights, allow_head=True)
    own = {name.removeprefix(prefix) for name in net.state_dict()}
    if not any(name in own for name in weights):
        weights = _unwrapped(weights)
    if sum(name in own or name.removeprefix(prefix) in own for name in weights) * 2 > len(weights):
        found = {n if n.startswith(prefix) else prefix + n: value for n, value in weights.items()}
        notes: list[str] = []
    else:
        translated, notes = translate(network, weights)
        found = {prefix + name: value for name, value in translated.items()}
    notes += _widen(network, prefix, found)
    outside = {n for n in net.state_dict() if not n.startswith(prefix)}
    free = {prefix + name for name in _free(network, {n.removeprefix(prefix) for n in found})}
    return notes + fit_into(net, found, allow_head=True, free=outside | free)


def translate(
    network: Network, weights: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    """A state dict under torchvision's or timm's names -> under the network's own, and notes.

    Raises DataError where no list of the family's `names` has them all, or where a shape differs.
    """
    tries = [_Pairing.of(names, network, weights) for names in network.names]
    if not tries:
        raise DataError(_strangers(weights, "this family is in neither torchvision nor timm"))
    best = min(tries, key=lambda t: (len(t.strange), len(t.wrong)))
    if best.strange:
        raise DataError(_strangers(dict.fromkeys(best.strange), "no such layers in this family"))
    if best.wrong:
        count = f"{len(best.wrong)} of its layers do not fit"
        lines = [f"weights of another network: {count}", *best.wrong[:8]]
        lines += [f"and {len(best.wrong) - 8} more"] if len(best.wrong) > 8 else []
        lines += ["name the model that the file was made with, and imgsz above 64: smaller images "
                  "take a smaller first layer"]  # fmt: skip
        raise DataError("\n".join(lines))
    return best.renamed, [f"{len(best.renamed)} tensors taken by the names of their maker"]


@dataclass(frozen=True)
class _Pairing:
    """A file's layers beside a network's: new names, names that are not listed, what differs."""

    renamed: dict[str, Tensor]
    strange: list[str]
    wrong: list[str]

    @classmethod
    def of(cls, names: str, network: Network, weights: Mapping[str, Tensor]) -> "_Pairing":
        order = _items(names)
        theirs, ours = _layers(weights), _layers(network.state_dict())
        places = {name: _place(order, name) for name in theirs}
        strange = [name for name, place in places.items() if place is None]
        theirs = {k: theirs[k] for k in sorted(theirs, key=lambda k: places[k] or ())}
        _drop_lone_aux(theirs, ours)
        renamed: dict[str, Tensor] = {}
        wrong: list[str] = []
        last = {f"{name}" for name in _last_layers(network)}
        for norm in (False, True):
            one = [k for k, layer in theirs.items() if _is_norm(layer) == norm]
            two = [k for k, layer in ours.items() if _is_norm(layer) == norm]
            if len(two) - len(one) == len(last & set(two)):  # a file without a head
                two = [k for k in two if k not in last] if len(one) < len(two) else two
            wrong += _differences(one, two, theirs, ours, last)
            for a, b in zip(one, two, strict=False):
                renamed |= {f"{b}.{leaf}": _shaped(value, ours[b].get(leaf))
                            for leaf, value in theirs[a].items()}  # fmt: skip
        return cls(renamed, strange, wrong)


def _differences(
    one: list[str], two: list[str], theirs: Layers, ours: Layers, last: set[str]
) -> list[str]:
    """Layers of the file beside layers of the network, in order -> one line each that differs."""
    if len(one) == len(two):
        return [
            line for i, (a, b) in enumerate(zip(one, two, strict=True))
            if (line := _difference(a, b, theirs[a], ours[b], loose=(b in last, i == 0)))
        ]  # fmt: skip
    lines = []
    shapes = [[_shapes(layers[k]) for k in names] for layers, names in ((theirs, one), (ours, two))]
    for kind, a, b, c, d in SequenceMatcher(
        None, shapes[0], shapes[1], autojunk=False
    ).get_opcodes():
        if kind != "equal":
            lines += [f"{k}: only in the file, {_said(theirs[k])}" for k in one[a:b]]
            lines += [f"{k}: missing in the file, {_said(ours[k])}" for k in two[c:d]]
    return lines


def _difference(
    a: str, b: str, one: Mapping[str, Tensor], two: Mapping[str, Tensor], loose: tuple[bool, bool]
) -> str | None:
    """What two layers that should be one another differ in; `loose`: classes, input channels."""
    classes, channels = loose
    if set(one) != set(two):
        return f"{a} has {', '.join(one)}; {b} here has {', '.join(two)}"
    for leaf, value in one.items():
        shape, wanted = list(_shaped(value, two[leaf]).shape), list(two[leaf].shape)
        if classes:
            shape, wanted = shape[1:], wanted[1:]
        elif channels and len(shape) == 4:
            shape, wanted = [shape[0], *shape[2:]], [wanted[0], *wanted[2:]]
        if shape != wanted:
            return f"{a}.{leaf} is {_shape(value)} in the file, {b}.{leaf} {_shape(two[leaf])} here"
    return None


def _shaped(value: Tensor, like: Tensor | None) -> Tensor:
    """A linear layer may stand for a convolution that sees its whole input, and the reverse."""
    if like is None or value.dim() == like.dim() or {value.dim(), like.dim()} != {2, 4}:
        return value
    if value.shape[0] == like.shape[0] and value.numel() == like.numel():
        return value.reshape(like.shape)
    return value.flatten(1) if like.dim() == 2 else value[:, :, None, None]


def _widen(network: Network, prefix: str, weights: dict[str, Tensor]) -> list[str]:
    """Fit the first convolution to the network's channels, in `weights`: the filters' sum is kept.

    One channel gets the sum over colours, as a gray picture in three equal channels would; more
    channels take the colours in turn, each scaled so that the sum stays.
    """
    state = network.state_dict()
    name = next((k for k, v in state.items() if v.dim() == 4), "")
    value = weights.get(prefix + name)
    if value is None or value.dim() != 4:
        return []
    wanted, channels, given = state[name].shape, network.channels, value.shape[1]
    if given == wanted[1] or wanted[1] != channels or value[:, 0].shape != state[name][:, 0].shape:
        return []
    if channels == 1:
        weights[prefix + name] = value.sum(1, keepdim=True)
    else:
        turns = torch.arange(channels) % given
        weights[prefix + name] = value[:, turns] * (given / channels)
    return [f"{prefix}{name}: filters for {given} input channels were fitted to {channels}"]


def _network(net: nn.Module) -> tuple[str, Network | None]:
    """The network of ours in a net, and what its names begin with."""
    for name, part in net.named_modules():
        if isinstance(part, Network):
            return f"{name}." if name else "", part
    return "", None


def _unwrapped(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    for prefix in WRAPS:
        if weights and all(name.startswith(prefix) for name in weights):
            return {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights


def _free(network: Network, names: set[str]) -> set[str]:
    """Names that may be absent on either side: the last layers, and heads beside the main one."""
    own = set(network.state_dict())
    last = _last_layers(network)
    return {n for n in own if n.rpartition(".")[0] in last} | (
        {n for n in own ^ names if n.startswith("aux.")}
    )


def _last_layers(network: Network) -> set[str]:
    """The names of the layers that give logits."""
    names = {id(part): name for name, part in network.named_modules()}
    return {names[id(last_layer(head)[1])] for head in heads(network)}


def _drop_lone_aux(theirs: Layers, ours: Layers) -> None:
    """Where one side has auxiliary heads and the other has none, they are left out, in place."""
    found = [[k for k in side if k.lower().startswith("aux")] for side in (theirs, ours)]
    for side, here, there in ((theirs, found[0], found[1]), (ours, found[1], found[0])):
        if not there:
            for name in here:
                del side[name]


def _layers(weights: Mapping[str, Tensor]) -> Layers:
    layers: Layers = {}
    for name, value in weights.items():
        layer, _, leaf = name.rpartition(".")
        if leaf != COUNTER:
            layers.setdefault(layer, {})[leaf] = value
    return layers


def _is_norm(layer: Mapping[str, Tensor]) -> bool:
    return all(value.dim() == 1 for value in layer.values())


def _items(names: str) -> list[tuple[re.Pattern[str], list[Any] | None]]:
    """The list of names -> (pattern, what is ordered within it or None) in order."""
    items = []
    for word, inner in re.findall(r"([^\s()]+)(?:\(([^()]*)\))?", names):
        pattern = "".join(PIECES.get(c, re.escape(c)) for c in word)
        items.append((re.compile(pattern), _items(inner) if inner else None))
    return items


def _place(items: list[Any], name: str) -> Place | None:
    """A layer's name -> what it is sorted by; None where it is not on the list."""
    for i, (pattern, inner) in enumerate(items):
        match = pattern.match(name) if inner else pattern.fullmatch(name)
        if match is None:
            continue
        place = ((0, i, ""), *(part for group in match.groups() for part in _parts(group)))
        rest = _place(inner, name[match.end() :]) if inner else ()
        if rest is not None:
            return (*place, *rest)
    return None


def _parts(text: str) -> list[tuple[int, int, str]]:
    """Numbers before words, each by its own order: "2.conv10" -> 2, conv, 10."""
    found = re.findall(r"\d+|[^\d.]+", text)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in found]


def _shapes(layer: Mapping[str, Tensor]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple(sorted((leaf, tuple(value.shape)) for leaf, value in layer.items()))


def _said(layer: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{leaf} {_shape(value)}" for leaf, value in layer.items())


def _shape(value: Tensor) -> str:
    return str(tuple(value.shape))


def _strangers(names: Mapping[str, Any], why: str) -> str:
    return (
        f"weights of another network ({why}): {shortlist(names, 6)}\n"
        "name the model that the file was made with (`snellen models` lists them)"
    )
