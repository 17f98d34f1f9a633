"""Weights of other makers for our networks: a state dict is copied in, or every misfit is named.

Names that are not our own are brought into our order by `_names`. Then the k-th norm is the k-th
norm, the k-th other layer the k-th other layer, and every shape along the way must be the same.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import DataError, shortlist
from ..core.fit import COUNTER, fit_into
from ..core.last import last_layer
from ._names import Named, place, read
from ._network import Network, find_network, heads

Layers = dict[str, dict[str, Tensor]]  # a layer's name -> its tensors by their last names
NAMED = 5  # layers that a message names: the command line prints eight lines
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
    _refuse_nan(weights)
    prefix, network = find_network(net)
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
    return _brief(notes + fit_into(net, found, free=outside | free))


def _brief(notes: list[str], count: int = 4) -> list[str]:
    """Of notes that say the same of many tensors, the first."""
    groups: dict[str, list[str]] = {}
    for note in notes:
        groups.setdefault(note.partition(" ")[2], []).append(note)
    return [
        line
        for same in groups.values()
        for line in (same if len(same) <= count else [f"{same[0]} (and {len(same) - 1} more)"])
    ]


def translate(
    network: Network, weights: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    """A state dict under torchvision's or timm's names -> under the network's own, and notes.

    Raises DataError where no list of the family's `names` has them all, or where a shape differs.
    """
    row = network.row
    listed = [
        n if isinstance(n, Named) else Named("its maker", n) for n in getattr(row, "names", ())
    ]
    if not listed:
        raise _misfit("this family is in neither torchvision nor timm", _lines(_layers(weights)))
    tries = [(_Pairing.of(named.order, network, weights), named) for named in listed]
    best, named = min(tries, key=lambda t: (len(t[0].strange), len(t[0].wrong)))
    if best.strange:
        layers = _layers(weights)
        strange = _lines({name: layers[name] for name in best.strange})
        raise _misfit(f"{row.family} has no such layers", strange)
    if best.wrong:
        raise _misfit(f"{len(best.wrong)} of its layers do not fit", best.wrong, row)
    other = {k: v for k, v in named.columns.items() if getattr(row, k) != v}
    if other:
        theirs = ", ".join(f"{k}={v!r}" for k, v in other.items())
        ours = ", ".join(f"{k}={getattr(row, k)!r}" for k in other)
        raise DataError(
            f"these are {named.whose}'s names, whose network has {theirs} where this one has "
            f"{ours}: the same tensors, other outputs\nbuild the network with {theirs}, or name "
            f"the row that has it (`snellen models` lists them)"
        )
    unused = [f"{name} of the file has no place here: not used" for name in best.unused]
    return best.renamed, unused + _unlike_published(named, network)


def _unlike_published(named: Named, network: Network) -> list[str]:
    """A note where the network computes something else than that of the published weights."""
    wanted = {k: v for k, v in named.published.items() if getattr(network.row, k) != v}
    if not wanted:
        return []
    said = ", ".join(f"{k}={v!r}" for k, v in wanted.items())
    return [
        f"{named.whose}'s published weights belong to a network with {said}, which this one has "
        f"not: right for a file of a training without it, else build the network with {said}"
    ]


@dataclass(frozen=True)
class _Pairing:
    """A file's layers beside a network's.

    Tensors under the network's names, layers that are not listed, differences, and layers of
    auxiliary heads that the network has not.
    """

    renamed: dict[str, Tensor]
    strange: list[str]
    wrong: list[str]
    unused: list[str]

    @classmethod
    def of(cls, names: str, network: Network, weights: Mapping[str, Tensor]) -> "_Pairing":
        order = read(names)
        theirs, ours = _layers(weights), _layers(network.state_dict())
        places = {name: place(order, name) for name in theirs}
        strange = [name for name, found in places.items() if found is None]
        theirs = {k: theirs[k] for k in sorted(theirs, key=lambda k: places[k] or ())}
        unused = _drop_lone_aux(theirs, ours)
        renamed: dict[str, Tensor] = {}
        wrong: list[str] = []
        last = _last_layers(network)
        end = next(reversed(theirs), "")  # the layer of the logits, where the file has it
        logits = {end} if (places.get(end) or ((0, 0, ""),))[0][1] == len(order) - 1 else set()
        if not last:  # a body alone
            unused += sorted(logits)
            theirs = {k: layer for k, layer in theirs.items() if k not in logits}
        for norm in (False, True):
            one = [k for k, layer in theirs.items() if _is_norm(layer) == norm]
            two = [k for k, layer in ours.items() if _is_norm(layer) == norm]
            two = [k for k in two if logits or k not in last]
            wrong += _differences(one, two, theirs, ours, last)
            for a, b in zip(one, two, strict=False):
                renamed |= {f"{b}.{leaf}": _shaped(value, ours[b].get(leaf))
                            for leaf, value in theirs[a].items()}  # fmt: skip
        return cls(renamed, strange, wrong, unused)


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
    wrong = []
    for leaf, value in one.items():
        shape, wanted = list(_shaped(value, two[leaf]).shape), list(two[leaf].shape)
        if classes:
            shape, wanted = shape[1:], wanted[1:]
        elif channels and len(shape) == 4:
            shape, wanted = [shape[0], *shape[2:]], [wanted[0], *wanted[2:]]
        if shape != wanted:
            wrong.append(f"{leaf} is {_shape(value)} in the file, {_shape(two[leaf])} here")
    return f"{a}, here {b}: {', '.join(wrong)}" if wrong else None


def _shaped(value: Tensor, like: Tensor | None) -> Tensor:
    """A linear layer may stand for a convolution that sees its whole input, and the reverse."""
    if like is None or value.dim() == like.dim() or {value.dim(), like.dim()} != {2, 4}:
        return value
    if value.shape[0] == like.shape[0] and value.numel() == like.numel():
        return value.reshape(like.shape)
    return value.flatten(1) if like.dim() == 2 else value[:, :, None, None]


def _widen(network: Network, prefix: str, weights: dict[str, Tensor]) -> list[str]:
    """Fit the first convolution to the network's channels, in `weights`: the filters' sum is kept.

    One channel gets the sum over colours, as a gray picture in three equal channels would. More
    channels take the colours in turn, a colour that comes twice by half each; to fewer, the colours
    that are left over are added in turn.
    """
    state = network.state_dict()
    name = next((k for k, v in state.items() if v.dim() == 4), "")
    value = weights.get(prefix + name)
    if value is None or value.dim() != 4:
        return []
    wanted, channels, given = state[name].shape, network.channels, value.shape[1]
    if given == wanted[1] or wanted[1] != channels or value[:, 0].shape != state[name][:, 0].shape:
        return []
    shares = torch.zeros(channels, given, dtype=value.dtype)
    steps = torch.arange(max(channels, given))
    shares[steps % channels, steps % given] = 1.0
    shares /= shares.sum(0)
    weights[prefix + name] = torch.einsum("ng,ogij->onij", shares, value)
    return [f"{prefix}{name}: filters for {given} input channels were fitted to {channels}"]


def _refuse_nan(weights: Mapping[str, Tensor]) -> None:
    bad = [name for name, value in weights.items()
           if value.is_floating_point() and not _is_finite(value)]  # fmt: skip
    if bad:
        raise DataError(f"numbers that are not finite in {shortlist(bad)}; take an earlier file",
                        tuple(bad))  # fmt: skip


def _is_finite(value: Tensor) -> bool:
    """A sum is quicker to read off; it may overflow where each number is finite."""
    value = value.float() if value.itemsize == 1 else value  # for which there are no sums
    return bool(value.sum().isfinite() or value.isfinite().all())


def _unwrapped(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    for prefix in WRAPS:
        if weights and all(name.startswith(prefix) for name in weights):
            return {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights


def _free(network: Network, names: set[str]) -> set[str]:
    """Names that may be absent on either side: the last layers, and heads beside the main one."""
    own = set(network.state_dict())
    last = _last_layers(network)
    beside = ("aux.",) if last else ("aux.", "head.")
    return {n for n in own if n.rpartition(".")[0] in last} | (
        {n for n in own ^ names if n.startswith(beside)}
    )


def _last_layers(network: Network) -> set[str]:
    """The names of the layers that give logits."""
    names = {id(part): name for name, part in network.named_modules()}
    whole = [head for head in heads(network) if head.state_dict()]
    return {names[id(last_layer(head)[1])] for head in whole}


def _drop_lone_aux(theirs: Layers, ours: Layers) -> list[str]:
    """Leave out auxiliary heads that only one side has, in place; returns those of the file."""
    found = [[k for k in side if k.lower().startswith("aux")] for side in (theirs, ours)]
    if all(found):
        return []
    for side, names in zip((theirs, ours), found, strict=True):
        for name in names:
            del side[name]
    return found[0]


def _layers(weights: Mapping[str, Tensor]) -> Layers:
    layers: Layers = {}
    for name, value in weights.items():
        layer, _, leaf = name.rpartition(".")
        if leaf != COUNTER:
            layers.setdefault(layer, {})[leaf] = value
    return layers


def _is_norm(layer: Mapping[str, Tensor]) -> bool:
    return all(value.dim() == 1 for value in layer.values())


def _shapes(layer: Mapping[str, Tensor]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple(sorted((leaf, tuple(value.shape)) for leaf, value in layer.items()))


def _said(layer: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{leaf} {_shape(value)}" for leaf, value in layer.items())


def _shape(value: Tensor) -> str:
    return str(tuple(value.shape))


def _lines(layers: Layers) -> list[str]:
    return [f"{name}: {_said(layer)}" if name else _said(layer) for name, layer in layers.items()]


def _misfit(why: str, lines: Collection[str], row: Any = None) -> DataError:
    """The first lines in the message, all of them in the error."""
    said = [f"weights of another network ({why}):", *list(lines)[:NAMED]]
    if len(lines) > NAMED:
        said.append(f"and {len(lines) - NAMED} more, all in the error's `lines` (Python: except "
                    "sn.DataError as e)")  # fmt: skip
    hint = ", and imgsz above 64: smaller images take a smaller first layer"
    said.append("name the model that the file was made with (`snellen models` lists them)"
                + hint * (getattr(row, "stem", "") == "small"))  # fmt: skip
    return DataError("\n".join(said), tuple(lines))
