"""The maps inside a network: found by a forward pass, never by a layer's name or kind."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from ..core.errors import UnknownName, UsageError, shortlist
from .method import Question, slopes

Heard = list[tuple[str, Any]]


@contextmanager
def outputs(net: nn.Module, names: Collection[str] | None = None) -> Iterator[Heard]:
    """What the modules of these names (all, by default) give, in the order in which they finish.

    >>> import torch
    >>> net = nn.Sequential(nn.Identity(), nn.ReLU())
    >>> with outputs(net) as heard:
    ...     _ = net(torch.ones(1))
    >>> [name for name, _ in heard]
    ['0', '1', '']
    """
    heard: Heard = []

    def keeper(name: str) -> Any:
        return lambda module, args, out: heard.append((name, out))

    handles = [
        module.register_forward_hook(keeper(name))
        for name, module in net.named_modules() if names is None or name in names
    ]  # fmt: skip
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def map_names(question: Question) -> list[str]:
    """The modules that give a map (B, C, H, W) of more than one place on which the score depends,
    the last one last; what is itself the network's answer is none.
    """
    x = question.x_1CHW.detach().clone().requires_grad_()
    with outputs(question.net) as heard:
        score = question.score(x)
    answers = {id(t) for name, out in heard if name == "" for t in _tensors(out)}
    found = [(name, out) for name, out in heard
             if _is_map(out) and out.requires_grad and id(out) not in answers]  # fmt: skip
    grads = slopes(score, [out for _, out in found]) if found else []
    told = [name for (name, _), grad in zip(found, grads, strict=True) if grad.any()]
    return list(dict.fromkeys(reversed(told or [name for name, _ in found])))[::-1]


def chosen(question: Question) -> str:
    """The layer that the user named, or the last one that gives a map.

    Raises UsageError where there is none, and for a name that the network has not.
    """
    maps = map_names(question)
    if not question.layer:
        if not maps:
            raise UsageError(
                "no layer of the network gives a map (B, C, H, W) of more than one place; "
                "method=saliency and method=occlusion need none"
            )
        return maps[-1]
    known = [name for name, _ in question.net.named_modules() if name]
    if question.layer not in known:
        raise UnknownName(question.layer, known, "the layers of the network")
    if question.layer not in maps:
        raise UsageError(
            f"layer={question.layer} gives no map that the score depends on; these do, the last "
            f"first: {shortlist(maps[::-1])}"
        )
    return question.layer


def features(question: Question, x_BCHW: Tensor, names: Collection[str]) -> dict[str, Tensor]:
    """x_BCHW -> what the modules of these names give at their last call, with the graph."""
    with outputs(question.net, names) as heard:
        question.read(x_BCHW)
    return {name: out for name, out in heard if isinstance(out, Tensor)}


def map_and_slope(question: Question, name: str) -> tuple[Tensor, Tensor]:
    """map_1CHW of a layer and d score / d map."""
    x = question.x_1CHW.detach().clone().requires_grad_()
    with outputs(question.net, [name]) as heard:
        score = question.score(x)
    map_1CHW = heard[-1][1]
    return map_1CHW.detach().float(), slopes(score, [map_1CHW])[0].float()


def _is_map(out: Any) -> bool:
    return isinstance(out, Tensor) and out.ndim == 4 and out.shape[2] * out.shape[3] > 1


def _tensors(out: Any) -> Iterator[Tensor]:
    if isinstance(out, Tensor):
        yield out
    elif isinstance(out, dict | list | tuple):
        for one in out.values() if isinstance(out, dict) else out:
            yield from _tensors(one)
