"""From what was said to what will be done: every setting filled, and who set it.

A value that the user typed is never overridden; a recipe's comes next; then what `speed=auto`
reads off the machine; then the usual value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..optim.by_name import OPTIMISERS
from .idle import refuse_idle
from .recipe import Recipe, settings
from .speed import Choice, Facts, Machine, choose

SAMPLES = 100_000  # that a training sees in all, where its task does not say another number
OFTEN = 30  # passes from which a picture that is only mirrored is learned by heart
OF_MEMORY = ("residency",)  # chosen again where a run goes on; no result depends on them
FEW_STEPS = 300  # in fewer, running statistics lag behind weights that move fast


@dataclass(frozen=True)
class Plan:
    """A recipe without a blank, who set each value, and why Snellen chose what it chose."""

    recipe: Recipe
    set_by: Mapping[str, str]
    choices: tuple[Choice, ...]

    def then(self, facts: Facts, machine: Machine) -> "Plan":
        """The plan with what is still blank filled by the speed policy."""
        typed = {k: v for k, v in self.recipe.as_dict().items() if v is not None}
        return self.filled(
            [c for c in choose(self.recipe, facts, machine) if c.setting not in typed]
        )

    def filled(self, choices: Sequence[Choice]) -> "Plan":
        """Each choice put where the plan has a blank."""
        blanks = [c for c in choices if getattr(self.recipe, c.setting) is None]
        recipe = replace(self.recipe, **{c.setting: c.value for c in blanks})
        set_by = {**self.set_by, **{c.setting: c.by for c in blanks}}
        said = tuple(c for c in blanks if c.by == "speed")
        return Plan(recipe, set_by, self.choices + said)

    def lines(self) -> list[str]:
        """What was chosen for speed and why: a line each, and one for all that is as usual."""
        loud = [str(choice) for choice in self.choices if not choice.quiet]
        quiet: dict[str, list[str]] = {}
        for choice in self.choices:
            if choice.quiet:
                quiet.setdefault(choice.reason, []).append(f"{choice.setting}={choice.value}")
        usual = "; ".join(f"{' '.join(said)} ({reason})" for reason, said in quiet.items())
        return [*loud, *([usual] if usual else [])]

    def again(self, recipe: Recipe, typed: Mapping[str, Any]) -> "Plan":
        """The plan of a run that goes on with `recipe`, of which `typed` is newly said."""
        refuse_idle(recipe, typed)
        if typed.get("workers") and typed.get("readers") is None:
            recipe = replace(recipe, readers=0)  # else they would have nothing to read
        said = {name: "you" for name, value in typed.items() if value is not None}
        set_by = {**self.set_by, **said}
        anew: dict[str, Any] = {n: None for n in OF_MEMORY if set_by.get(n) == "speed"}
        recipe = replace(recipe, **anew)
        kept = tuple(c for c in self.choices if c.setting not in {*said, *anew})
        return Plan(recipe, set_by, kept)


def resolve(recipe: Recipe, typed: Mapping[str, Any], facts: Facts) -> Plan:
    """Fill what a training cannot do without; `typed` names what the user set, the rest of
    `recipe` came from a recipe file or is a default.
    """
    set_by = {f.name: _origin(f.name, recipe, typed) for f in settings()}
    plan = Plan(recipe, set_by, ()).filled(_usual(recipe, facts))
    refuse_idle(plan.recipe, typed)
    return plan


def _origin(name: str, recipe: Recipe, typed: Mapping[str, Any]) -> str:
    if typed.get(name) is not None:
        return "you"
    return "default" if getattr(recipe, name) == getattr(Recipe(), name) else "recipe"


def _usual(recipe: Recipe, facts: Facts) -> list[Choice]:
    """The usual value of every setting that is not about speed."""
    optim = recipe.optim or "adamw"
    named = OPTIMISERS[optim]
    few = usual_batch(facts.num_samples)
    batch = recipe.batch or min(few, facts.usual.get("batch", few))
    epochs = recipe.epochs
    if epochs is None:
        total = facts.usual.get("samples", SAMPLES)
        epochs = facts.usual.get("epochs") or usual_epochs(facts.num_samples, total)
    usual = {
        "model": facts.model,
        "optim": optim,
        "lr": named.lr,
        "momentum": named.momentum or 0.0,
        "weight_decay": named.weight_decay,
        "schedule": "onecycle",
        "half_life": max(epochs, 1) / 6,
        "batch": batch,
        "epochs": epochs,
        "augment": "crop" if facts.pictures else "off",
        "precise_norm": epochs * -(-facts.num_samples // batch) < FEW_STEPS,
    }
    said = {k: v for k, v in facts.usual.items() if k not in ("samples", "batch", "augment_often")}
    if epochs >= OFTEN and "augment_often" in facts.usual:
        said["augment"] = facts.usual["augment_often"]
    usual |= {k: v for k, v in said.items() if facts.pictures or k != "augment"}
    return [Choice(name, value, "the usual value", "default") for name, value in usual.items()]


def usual_batch(num_samples: int) -> int:
    """128, or less where that would make fewer than 25 steps an epoch.

    >>> usual_batch(600), usual_batch(60_000)
    (32, 128)
    """
    return next((b for b in (16, 32, 64) if num_samples < b * 25), 128)


def usual_epochs(num_samples: int, total: int = SAMPLES) -> int:
    """About 100,000 samples in all (or another total), at least 5 and at most 40 passes.

    >>> usual_epochs(600), usual_epochs(60_000)
    (40, 5)
    """
    return max(5, min(40, total // max(1, num_samples)))
