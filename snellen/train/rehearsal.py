"""One forward pass before anything is written: a network that does not fit is said in one line."""

from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.seeds import untouched_rng
from ..tasks.compute import Compute, evaluating
from ..tasks.settle import refused
from ..tasks.task import Task
from .feed import Feed

ROWS = 2


def rehearse(net: nn.Module, task: Task, feed: Feed, compute: Compute) -> None:
    """Run the user's own network on two samples, in eval mode, and look at what it gives.

    Raises UsageError that names the module, what it was fed, and what it gave or raised. Nothing
    is changed: no statistics, no random number.
    """
    batch = next(iter(feed.in_order())).select(torch.arange(min(ROWS, feed.num_samples)))
    ready = compute.ready(task, batch)
    fed, name = tuple(ready.x.shape), type(net).__name__
    placed = compute.place(net)  # not in inference mode: its parameters could not be trained then
    with evaluating(net), untouched_rng(), torch.inference_mode(), compute.autocast():
        try:
            out = task.infer(placed, ready)
        except Exception as error:
            raise refused(net, fed, error, _how(compute)) from error
    wanted = task.answer(fed)
    if wanted and _shape(out) != wanted:
        raise UsageError(
            f"your module {name} gave {_said(out)} for a batch of shape {fed}; {wanted[1]} classes "
            f"need logits of shape {wanted}: mend its last layer"
        )


def _how(compute: Compute) -> str:
    kind = "fp16" if compute.amp == torch.float16 else "bf16"
    words = [f"amp={kind}"] if compute.amp is not None else []
    words += ["channels_last=yes"] if compute.channels_last else []
    return f", {' and '.join(words)}" if words else ""


def _shape(out: Any) -> tuple[int, ...] | None:
    return tuple(out.shape) if isinstance(out, Tensor) else None


def _said(out: Any) -> str:
    return f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else f"a {type(out).__name__}"
