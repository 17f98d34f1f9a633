"""The only training loop. Everything else hangs on it through one listener.

A step: batch -> device, augment, normalise -> for each phase: loss, backward, optimiser. It is a
pure function of its state: `state()` in the middle of an epoch and `restore` continue bit for bit.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..core.coming import Coming
from ..core.errors import Diverged
from ..core.seeds import rng_state, set_rng_state
from ..data.sample import DROPPED, Batch
from ..models import hold_frozen_still
from ..optim.max_norm import project_norms
from ..optim.memory_order import MemoryOrder, gains
from ..optim.momentum_schedule import rising_momentum, set_momentum
from ..optim.penalties import decay_penalty, l1_penalty
from ..optim.plateau import LossWatch
from ..optim.schedules import SCHEDULES, Moment
from ..tasks.compute import Compute
from ..tasks.task import Phase, Task
from .feed import Feed, mix
from .recipe import Recipe

Augment = Callable[[Batch, torch.Generator], Batch]


@dataclass
class Position:
    """Where a training stands."""

    epoch: int = 0  # the one that is running
    step_in_epoch: int = 0  # steps of it that are done
    step: int = 0  # optimiser steps in all
    seen: int = 0  # samples of this epoch
    sums: dict[str, float] = field(default_factory=dict)  # of each loss over those samples

    def means(self) -> dict[str, float]:
        """The mean of each loss over the samples of this epoch."""
        return {name: value / max(self.seen, 1) for name, value in self.sums.items()}


@dataclass(frozen=True)
class Told:
    """What a step measured; on a GPU its numbers are still on their way."""

    step: int  # of the whole training, from 1
    samples: int
    values: Mapping[str, float | Tensor]
    coming: Coming | None = None

    @staticmethod
    def of(step: int, samples: int, values: Mapping[str, float | Tensor]) -> "Told":
        """Numbers are known; of tensors a copy to the host is queued."""
        later = [v.reshape(()).float() for v in values.values() if isinstance(v, Tensor)]
        return Told(step, samples, values, Coming(torch.stack(later)) if later else None)

    def numbers(self) -> dict[str, float]:
        """The values, waited for where they have to be."""
        come = iter(self.coming.numbers() if self.coming else ())
        return {k: next(come) if isinstance(v, Tensor) else v for k, v in self.values.items()}


class Listener(Protocol):
    """Who hears of a training: the session that logs, saves and evaluates."""

    def before_step(self, batch: Batch) -> None:
        """The batch of the coming step, before anything is computed."""

    def after_step(self, loss: float | None, lr: float, samples: int) -> None:
        """A step is done; on a GPU the loss is that of the step before, None after the first."""

    def after_epoch(self, means: Mapping[str, float]) -> bool:
        """An epoch is done: "loss", and its parts where it has several; False ends the training."""


class Loop:
    """Trains `net` for `task` on `feed` as `recipe` says; `run` is the verb.

    net, task and feed may be the user's own: nothing here knows classification from anything else.
    """

    def __init__(
        self,
        net: nn.Module,
        task: Task,
        feed: Feed,
        *,
        recipe: Recipe,
        compute: Compute,
        augment: Augment | None = None,
        optimisers: list[tuple[Phase, Optimizer]],
    ) -> None:
        self.net, self.task, self.feed = net, task, feed
        self.recipe, self.compute, self.augment = recipe, compute, augment
        self.optimisers = optimisers
        large = any(gains(weight) for phase, _ in optimisers for weight in phase.params)
        self._order = MemoryOrder() if large else nullcontext()
        self.generator = torch.Generator()  # on the CPU, wherever the batch lies
        self.generator.manual_seed(mix(recipe.seed, 1))
        self.schedule = SCHEDULES[recipe.schedule or "constant"]
        self.watch = LossWatch()
        self.total_steps = max(1, (recipe.epochs or 0) * feed.steps)
        self.base_lr = [[g["lr"] for g in o.param_groups] for _, o in optimisers]
        self.scaler = torch.amp.GradScaler(
            compute.device.type, enabled=compute.amp is torch.float16
        )
        self.position = Position()
        self._told: deque[Told] = deque()  # steps whose numbers are not yet read
        self._lag = 0 if compute.device.type == "cpu" else 1  # how many of them may wait

    def run(self, listener: Listener) -> None:
        """From the present position to the last epoch, or until the listener says stop.

        Raises Diverged as soon as a loss is not finite; on the CPU before the weights take it in.
        """
        where = self.position
        while where.epoch < (self.recipe.epochs or 0):
            self.net.train()
            hold_frozen_still(self.net)
            for batch in self.feed.epoch(where.epoch, self.recipe.seed, where.step_in_epoch):
                listener.before_step(batch)
                losses, lr = self._step(batch)
                where.step += 1
                where.step_in_epoch += 1
                self._told.append(Told.of(where.step, len(batch), losses))
                listener.after_step(self._read(self._lag), lr, len(batch))
            self._read()
            means = where.means() | self._decays()
            self.watch.see(means.get("loss", math.inf))
            where.epoch, where.step_in_epoch, where.seen, where.sums = where.epoch + 1, 0, 0, {}
            if not listener.after_epoch(means):
                break

    def _step(self, batch: Batch) -> tuple[dict[str, float | Tensor], float]:
        """One batch -> (losses by name, learning rate) and moved weights."""
        factor = self._schedule()
        losses: dict[str, float | Tensor] = {"loss": 0.0}
        if self.augment is not None:
            batch = replace(batch.to(self.compute.device), step=self.position.step)
            batch = self.augment(batch, self.generator)
            if DROPPED in batch.y:  # things that were moved out of their pictures, per picture
                losses["things_dropped"] = self._number(batch.y[DROPPED].float().mean())
        batch = self.compute.ready(self.task, batch)
        for (phase, optimiser), lrs in zip(self.optimisers, self.base_lr, strict=True):
            if self.position.step % phase.every:
                continue
            for group, lr in zip(optimiser.param_groups, lrs, strict=True):
                group["lr"] = lr * factor
            optimiser.zero_grad(set_to_none=True)
            with self.compute.autocast():
                parts = {**phase.loss(self.net, batch), **self._penalties(phase)}
                loss = total(parts)
            losses["loss"] += self._update(loss, optimiser, phase)
            if self.recipe.max_norm is not None:
                project_norms(self.net, self.recipe.max_norm)
            if len(parts) > 1 or len(self.optimisers) > 1:
                losses |= {f"{phase.name}_{k}": self._number(part) for k, part in parts.items()}
        return losses, self.base_lr[0][0] * factor

    def _schedule(self) -> float:
        """The factor on the learning rates of the coming step; its momentum is set, if it rises."""
        recipe, share = self.recipe, self.position.step / self.total_steps
        if recipe.momentum_end is not None:
            momentum = rising_momentum(share, recipe.momentum or 0.0, recipe.momentum_end)
            for _, optimiser in self.optimisers:
                set_momentum(optimiser, momentum)
        half_lives = (recipe.epochs or 0) / (recipe.half_life or 1.0)
        return self.schedule(Moment(share, half_lives, self.watch.share))

    def _penalties(self, phase: Phase) -> dict[str, Tensor]:
        """What the recipe adds to the loss of the data."""
        if not self.recipe.l1:
            return {}
        return {"l1": l1_penalty([p for p in phase.params if p.ndim > 1], self.recipe.l1)}

    def _decays(self) -> dict[str, float]:
        """What weight decay stands for: it pulls on the weights, but is not in the loss."""
        terms = {phase.name: decay_penalty(optimiser) for phase, optimiser in self.optimisers}
        return {f"{name}_weight_decay": term for name, term in terms.items() if term}

    def _clip(self, phase: Phase) -> None:
        """Scale the gradients of a phase down to the recipe's norm."""
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(phase.params, self.recipe.clip)

    def _update(self, loss: Tensor, optimiser: Optimizer, phase: Phase) -> float | Tensor:
        """Gradients, then a step; on the CPU the weights never meet a loss that is not finite."""
        if self._lag == 0:
            loss.backward()
            value = self._finite(loss.item(), self.position.step + 1)
            self._clip(phase)
            with self._order:
                optimiser.step()
            return value
        self.scaler.scale(loss).backward()
        if self.recipe.clip is not None:
            self.scaler.unscale_(optimiser)
        self._clip(phase)
        self.scaler.step(optimiser)
        self.scaler.update()
        return loss.detach()

    def _number(self, value: Tensor) -> float | Tensor:
        """A number; on a GPU the tensor, as reading it would wait for the device."""
        return value.detach() if self._lag else value.item()

    def _read(self, waiting: int = 0) -> float | None:
        """Count what all steps but the last `waiting` measured -> the last loss counted, if any."""
        loss, where = None, self.position
        while len(self._told) > waiting:
            told = self._told.popleft()
            values = told.numbers()
            loss = self._finite(values["loss"], told.step)
            where.seen += told.samples
            for name, value in values.items():
                where.sums[name] = where.sums.get(name, 0.0) + value * told.samples
        return loss

    def _finite(self, loss: float, step: int) -> float:
        if math.isfinite(loss):
            return loss
        raise Diverged(f"the loss is {loss} at step {step} (epoch {self.position.epoch + 1})")

    def state(self) -> dict[str, Any]:
        """All that the coming steps depend on, weights apart."""
        self._read()
        return {
            "position": asdict(self.position),
            "optimisers": [optimiser.state_dict() for _, optimiser in self.optimisers],
            "generator": self.generator.get_state(),
            "scaler": self.scaler.state_dict(),
            "watch": self.watch.state(),
            "rng": rng_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state`; the weights are loaded by the caller."""
        self.position = Position(**state["position"])
        for (_, optimiser), saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
            _lay_as_weights(optimiser)
        self.generator.set_state(state["generator"])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
        if "watch" in state:  # checkpoints of older versions have none
            self.watch.restore(state["watch"])
        set_rng_state(state["rng"])


def _lay_as_weights(optimiser: Optimizer) -> None:
    """What is kept of each weight into the order in memory that it has now: a fused step pairs them
    by their places.
    """
    for p, kept in optimiser.state.items():
        for name, value in kept.items():
            if isinstance(value, Tensor) and value.shape == p.shape:
                kept[name] = torch.empty_like(p, dtype=value.dtype).copy_(value)


def total(parts: Any) -> Tensor:
    """Named parts of a loss -> their sum."""
    values = list(parts.values())
    return values[0] if len(values) == 1 else torch.stack([v.reshape(()) for v in values]).sum()
