"""Refuses what was typed and would have no effect: said before anything is read or written."""

from collections.abc import Mapping
from typing import Any

from ..core.compiled import is_here
from ..core.errors import UsageError
from ..optim.by_name import OPTIMISERS
from ..optim.schedules import DECAYS
from .recipe import Recipe
from .speed import Facts, can_compile


def refuse_idle(recipe: Recipe, typed: Mapping[str, Any]) -> None:
    """Raise UsageError where a typed value would have no effect beside another."""
    if typed.get("half_life") is not None and recipe.schedule not in DECAYS:
        raise UsageError(
            f"half_life={recipe.half_life:g} says nothing to schedule={recipe.schedule}; "
            f"it is for schedule={', '.join(DECAYS)}"
        )
    if typed.get("preparing") == "compiled":
        _refuse_uncompiled(recipe.augment)
    if typed.get("workers") and typed.get("readers"):
        raise UsageError(
            f"workers={recipe.workers} and readers={recipe.readers} both read the data; say one: "
            "readers are threads for files, workers are processes for any Dataset"
        )
    for name in ("momentum", "momentum_end"):
        if typed.get(name) and OPTIMISERS[recipe.optim or "adamw"].momentum is None:
            raise UsageError(
                f"optim={recipe.optim} has no momentum, so {name}={typed[name]} would do nothing; "
                "leave it out, or take optim=rmsprop"
            )


def _refuse_uncompiled(augment: str | None) -> None:
    if not is_here():
        raise UsageError(
            "preparing=compiled needs numba, which is not installed: pip install 'snellen[fast]', "
            "or leave it out"
        )
    if not can_compile(augment):
        raise UsageError(
            f"preparing=compiled has no loops for augment={augment}, only for flip, vflip, one "
            "crop and one jitter; leave it out, or change augment"
        )


def refuse_powerless(done: Recipe, typed: Mapping[str, Any], facts: Facts) -> None:
    """Raise UsageError where a typed way to compute has no effect on this machine, on this network
    or beside what else is done; `done` has no blank.
    """
    if typed.get("decoding") == "near" and facts.whole:
        raise UsageError(f"decoding=near would do nothing: {facts.whole}; leave it out")
    if typed.get("amp") == "fp16" and (done.device or "cpu") == "cpu":
        raise UsageError(
            "amp=fp16 is for a GPU: on a processor no loss is scaled, so small gradients would "
            "become 0; take amp=bf16, or leave it out"
        )
    for name in ("convolution", "norm"):
        if typed.get(name) == "by_shape" and (why := _in_its_way(name, done, facts)):
            raise UsageError(f"{name}=by_shape {why}, or leave it out")


def _in_its_way(name: str, done: Recipe, facts: Facts) -> str:
    """Why by_shape would change nothing, and what to do."""
    if name == "norm" and not is_here():
        return "needs numba, which is not installed: pip install 'snellen[fast]'"
    if (done.device or "cpu") != "cpu":
        return f"is for a processor, not for device={done.device}: take device=cpu"
    if done.compile:
        return "does nothing beside compile=yes, which chooses for itself: take compile=no"
    if not done.channels_last:
        why = facts.limits.contiguous
        return f"needs channels_last=yes, and {why or 'that was turned off'}: change this"
    return ""
