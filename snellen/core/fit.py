"""Do these weights fit this network? Every tensor that does not is named, before any is changed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from .errors import DataError, nearest, shortlist
from .last import last_layer

COUNTER = "num_batches_tracked"  # of batch norm: files from before it existed are welcome


@dataclass(frozen=True)
class Misfit:
    """Names of tensors that only the network has, only the file has, or have another shape.

    >>> Misfit(missing=("fc.bias",), unexpected=(), misshapen=()).missing
    ('fc.bias',)
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]


def compare(net: nn.Module, weights: Mapping[str, Tensor]) -> Misfit:
    """A network and a state dict -> where they differ.

    >>> import torch
    >>> compare(nn.Linear(2, 3), {"weight": torch.zeros(4, 2)})
    Misfit(missing=('bias',), unexpected=(), misshapen=('weight',))
    """
    wanted = {k: v for k, v in net.state_dict().items() if isinstance(v, Tensor)}
    missing = tuple(k for k in wanted if k not in weights and not k.endswith(COUNTER))
    unexpected = tuple(k for k in weights if k not in wanted and not k.endswith(COUNTER))
    both = (k for k in wanted if k in weights)
    return Misfit(
        missing, unexpected, tuple(k for k in both if wanted[k].shape != weights[k].shape)
    )


def fit_into(
    net: nn.Module,
    weights: Mapping[str, Tensor],
    *,
    allow_head: bool = False,
    free: Collection[str] = (),
) -> list[str]:
    """Copy `weights` into `net` in place, all or nothing; return notes of what was left out.

    `allow_head`: a last layer for another number of classes (its first axis differs, or it is
    absent on either side) keeps the values that `net` has. `free` names more such tensors. Raises
    DataError for all else, also where such a layer's tensors are of different numbers of classes.

    >>> import torch
    >>> fit_into(nn.Linear(2, 3), nn.Linear(2, 4).state_dict(), allow_head=True)
    ['weight is (4, 2) in the file, (3, 2) here: left as it was', \
'bias is (4,) in the file, (3,) here: left as it was']
    """
    misfit, own = compare(net, weights), net.state_dict()
    head = _head(net, weights) if allow_head else set()
    head |= set(free)
    kept = [k for k in misfit.misshapen
            if (allow_head or k in free) and own[k].shape[1:] == weights[k].shape[1:]]  # fmt: skip
    _refuse_torn(own, weights, kept)
    strange = Misfit(
        tuple(k for k in misfit.missing if k not in head),
        tuple(k for k in misfit.unexpected if k not in head),
        tuple(k for k in misfit.misshapen if k not in kept),
    )
    if strange.missing or strange.unexpected or strange.misshapen:
        raise DataError(_describe(own, weights, strange), _lines(own, weights, strange))
    net.load_state_dict({k: v for k, v in weights.items() if k in own and k not in kept}, False)
    return [
        *(
            f"{k} is {_shape(weights[k])} in the file, {_shape(own[k])} here: left as it was"
            for k in kept
        ),
        *(f"{k} is not in the file: left as it was" for k in misfit.missing),
        *(f"{k} of the file has no place here: not used" for k in misfit.unexpected),
    ]


def _refuse_torn(
    own: Mapping[str, Tensor], weights: Mapping[str, Tensor], kept: Collection[str]
) -> None:
    """A last layer whose tensors in the file have not one number of classes between them."""
    for name in kept:
        layer = name.rpartition(".")[0]
        beside = (k for k in own if k in weights and k.rpartition(".")[0] == layer)
        for other in beside:
            alike = own[other].shape[:1] == own[name].shape[:1]
            if alike and weights[other].shape[:1] != weights[name].shape[:1]:
                shapes = [f"{k} is {_shape(weights[k])}" for k in (name, other)]
                raise DataError(
                    f"{' and '.join(shapes)} in the file: one layer cannot have both numbers of "
                    "outputs; save the whole network once more",
                    tuple(shapes),
                )


def _head(net: nn.Module, weights: Mapping[str, Tensor]) -> set[str]:
    """The tensors of the network's last layer, and those that share the file's last layer."""
    last = next(reversed(list(weights)), "")
    ends = {last_layer(net)[0], last.rpartition(".")[0]}
    return {name for name in (*net.state_dict(), *weights) if name.rpartition(".")[0] in ends}


def _describe(own: Mapping[str, Tensor], weights: Mapping[str, Tensor], misfit: Misfit) -> str:
    lines = ["checkpoint of another network: its tensors do not fit this one"]
    every = len(misfit.missing) + len(misfit.unexpected) + len(misfit.misshapen)
    if misfit.missing:
        names = shortlist([_near(k, misfit.unexpected) for k in misfit.missing], 5)
        lines.append(f"missing in the file ({len(misfit.missing)} of {len(own)}): {names}")
    if misfit.unexpected:
        names = shortlist(misfit.unexpected, 5)
        lines.append(f"only in the file ({len(misfit.unexpected)} of {len(weights)}): {names}")
    if misfit.misshapen:
        shapes = [f"{k} {_shape(weights[k])} for {_shape(own[k])}" for k in misfit.misshapen]
        lines.append(f"of another shape ({len(shapes)}): {shortlist(shapes, 4)}")
    if every > 5:
        lines.append(f"all {every} stand in the error's `lines` (Python: except sn.DataError as e)")
    lines.append("name the model, the classes and the input that the file was trained with")
    return "\n".join(lines)


def _lines(
    own: Mapping[str, Tensor], weights: Mapping[str, Tensor], misfit: Misfit
) -> tuple[str, ...]:
    return (
        *(f"{k}: missing in the file, {_shape(own[k])} here" for k in misfit.missing),
        *(f"{k}: only in the file, {_shape(weights[k])}" for k in misfit.unexpected),
        *(
            f"{k}: {_shape(weights[k])} in the file, {_shape(own[k])} here"
            for k in misfit.misshapen
        ),
    )


def _near(name: str, others: tuple[str, ...]) -> str:
    near = nearest(name, others[:200], 1)  # the search is quadratic
    return f"{name} (like {near[0]}?)" if near else name


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))
