"""One forward pass before anything is written: a network that does not fit is said in one line."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.modes import evaluating
from ..core.seeds import untouched_rng
from ..data.sample import Batch
from ..nn.count import unwatched_copy
from ..tasks.compute import Compute
from ..tasks.settle import refused
from ..tasks.task import Task
from .feed import Feed

ROWS = 2


def rehearse(net: nn.Module, task: Task, feed: Feed, compute: Compute) -> None:
    """Run the user's own network on two samples, as it is judged and, a copy, as it is trained, and
    look at what it gives.

    Raises UsageError that names the module, what it was fed, and what it gave or raised. Nothing
    is changed: no statistics, no random number.
    """
    batch = next(iter(feed.in_order())).select(torch.arange(min(ROWS, feed.num_samples)))
    ready = compute.ready(task, batch)
    placed = compute.place(net)  # not in inference mode: its parameters could not be trained then
    fed, how = tuple(ready.x.shape), _how(compute)
    with evaluating(net), untouched_rng(), torch.inference_mode(), compute.autocast():
        try:
            out = task.infer(placed, ready)
        except Exception as error:
            raise refused(net, fed, error, how) from error
    _refuse_answer(net, out, task.answer(fed), f"a batch of shape {fed}")
    _rehearse_training(placed, task, ready, compute)


def _rehearse_training(net: nn.Module, task: Task, ready: Batch, compute: Compute) -> None:
    """A copy's loss, in train mode: some networks give something else there, or nothing to learn
    by. What cannot be copied is not asked.
    """
    try:
        twin = unwatched_copy(net)
    except Exception:  # of any kind
        return
    fed, given = tuple(ready.x.shape), list[Any]()
    wanted, where = task.answer(fed), f"a batch of shape {fed} while training"
    twin.register_forward_hook(lambda *called: given.append(called[-1]))
    twin.train()
    with untouched_rng(), torch.enable_grad(), compute.autocast():
        try:
            losses = task.loss(twin, ready)
        except Exception as error:
            for out in given[-1:]:
                _refuse_answer(net, out, wanted, where)
            raise refused(net, fed, error, f"{_how(compute)} while training") from error
    for out in given[-1:]:
        _refuse_answer(net, out, wanted, where)
    if not any(loss.requires_grad for loss in losses.values()):
        raise UsageError(
            f"nothing can learn in your module {type(net).__name__}: no parameter that requires a "
            "gradient has a part in its answer (frozen, detached, or under no_grad)"
        )


def _refuse_answer(net: nn.Module, out: Any, wanted: tuple[int, ...] | None, where: str) -> None:
    if wanted and _shape(out) != wanted:
        raise UsageError(
            f"your module {type(net).__name__} gave {_said(out)} for {where}; {wanted[1]} classes "
            f"need logits of shape {wanted}: {_remedy(out, wanted)}"
        )


def _remedy(out: Any, wanted: tuple[int, ...]) -> str:
    """What to change in the user's network."""
    is_map = isinstance(out, Mapping)
    parts = out.items() if is_map else enumerate(out) if isinstance(out, tuple | list) else ()
    fits = next((key for key, part in parts if _shape(part) == wanted), None)
    if fits is None:
        return "mend its last layer"
    return f"let forward return [{fits!r}] of it alone (some networks have aux_logits=False)"


def _how(compute: Compute) -> str:
    kind = "fp16" if compute.amp == torch.float16 else "bf16"
    words = [f"amp={kind}"] if compute.amp is not None else []
    words += ["channels_last=yes"] if compute.channels_last else []
    return f", {' and '.join(words)}" if words else ""


def _shape(out: Any) -> tuple[int, ...] | None:
    return tuple(out.shape) if isinstance(out, Tensor) else None


def _said(out: Any) -> str:
    return f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else f"a {type(out).__name__}"
