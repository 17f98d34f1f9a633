"""Follows the validation of a loop that reports nothing: forward passes without gradients.

The targets are those of the loader's batch whose input reached the network, and the loss is the one
that trains; without a loader, the loss that the loop itself calls on the output is heard. Each
pass becomes an epoch event, marked as seen.
"""

from typing import Any

import torch
from torch import Tensor

from .again import likeness, place_of
from .apart import apart
from .calls import LOSSES
from .hung import Hook, after_forward
from .loader import tensors_of
from .probes._measure import first_tensor
from .probes._probe import Feed
from .probes.losses import arguments
from .replay import loss_of

EVERY = 20  # evaluation batches between two that the probes look at
MOST, HEARD = 32, 4  # batches of a pass that are scored; that are listened to
PATIENCE = 3  # passes in which nothing was heard, then nobody listens
APART = 4  # turns between two passes that are listened to
ALIKE, TRIES = 0.2, 3


class Validation:
    """Scores the batches of one pass after the other; `trained` ends a pass."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.count = self.passes = 0
        self._trained, self._losses = 0, 0.0  # backward passes and their losses, since the last
        self._sums: dict[str, float] = {}  # of this pass
        self._batches = self._silent = 0
        self._turn = -APART
        self._waits = self._is_train = False
        self._handle: Any = None
        self._known: Any = None  # the data set that is trained on
        self._asked = 0

    def trained(self, loss: float) -> None:
        """A backward pass with its loss: what was evaluated before is complete."""
        if self._batches:
            self.end()
        self._trained += 1
        self._losses += loss
        if self._known is None and self._asked < TRIES:
            self._asked += 1
            self._note(self.engine.fed)

    def evaluated(self, feed: Feed) -> None:
        """A forward pass without gradients."""
        self.count += 1
        if self.count < 4 or self.count % EVERY == 1:
            self.engine.tell("evaluation", feed)
        self._batches += 1
        self._waits = False
        x = first_tensor(feed.args, feed.kwargs)
        enough = self._batches > MOST or not self._trained or feed.patient.is_partial
        if x is None or not x.dim() or enough:
            return
        record = feed.record
        if record is not None and record.data is not None and _is_of(record.data, x):
            target = self._target(record.data, len(x))
            if target is not None and record.dataset is not self._known:
                self._after(feed, lambda out: self._score(out, target))
        elif (record is None or record.data is not None) and self._may_listen():
            self._is_train = self._batches == 1 and self._was_trained_on(x)
            self._listen()

    def called(self, name: str, args: Any, kwargs: Any, result: Any, error: Any) -> None:
        """A function was called: for the probes, or for the pass under way."""
        if torch.is_grad_enabled():
            self.engine.tell("called", name, args, kwargs, result, error)
        elif error is None:
            self.engine.guarded(self.heard, name, args, kwargs, result)

    def heard(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """A function was called without gradients, after a forward pass that waits for it."""
        call = arguments(args, kwargs) if self._waits and name in LOSSES else None
        if call is None or not isinstance(result, Tensor) or self._is_train:
            return
        self._waits = self.engine.calls.listening = False
        with torch._C.DisableTorchFunction():
            self._add(result, call[0], call[1])

    def end(self) -> None:
        """The pass is over: emit what it came to."""
        self._let_go()
        count, total = self._trained, self._losses
        sums, listened = self._sums, self._turn == self.engine.turn
        self._sums, self._batches, self._waits = {}, 0, False
        self._silent = 0 if sums else self._silent + listened
        rows = sums.get("rows")
        if not rows or not count:
            return
        self.passes += 1
        metrics = {"val_loss": sums["loss"] / rows, "train_loss": total / count,
                   "val_count": int(rows), "seen": True}  # fmt: skip
        if sums.get("judged") == rows:
            metrics["val_accuracy"] = sums["right"] / rows
        self._trained, self._losses = 0, 0.0
        self.engine.emit("epoch", self.engine.step, epoch=self.passes, metrics=metrics)

    def _note(self, feed: Feed) -> None:
        record, x = feed.record, first_tensor(feed.args, feed.kwargs)
        if record is not None and record.data is not None and x is not None:
            self._known = record.dataset if _is_of(record.data, x) else None

    def _target(self, data: Any, size: int) -> Tensor | None:
        """What the loss would be given of a batch; the input itself comes last."""
        tensors, like = [t for _, t in tensors_of(data)], self.engine.template
        fitting = [t for t in (*tensors[1:], *tensors[:1]) if t.dim() and len(t) == size
                   and (like is None or (tuple(t.shape[1:]) == like.target_tail
                                         and t.dtype == like.target_dtype))]  # fmt: skip
        return fitting[0] if fitting and (like is not None or len(tensors) > 1) else None

    def _after(self, feed: Feed, work: Any) -> None:
        """Do something with the output of the forward pass that begins."""

        def come(module: Any, args: Any, out: Any) -> None:
            self._let_go()
            self.engine.guarded(work, out)

        self._let_go()
        self._handle = after_forward(feed.patient.net, Hook(come))

    def _let_go(self) -> None:
        """`net.forward(x)` calls no hook, and a forward pass may fail."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _score(self, out: Any, target: Tensor) -> None:
        call = loss_of(self.engine.loss_fn, self.engine.template)
        if call is None:
            return
        with apart(self.engine, "the loss", nets=False) as free, torch._C.DisableTorchFunction():
            if not free:
                return
            out = next((t for _, t in tensors_of(out) if t.dim() and len(t) == len(target)), None)
            if out is None:
                return
            try:
                target = target.to(out.device)
                self._add(call(out, target), out, target)
            except Exception as error:  # the loss takes something else
                self.engine.notes.add(f"a validation batch was not scored: {type(error).__name__}")

    def _add(self, loss: Tensor, out: Tensor, target: Tensor) -> None:
        rows = len(out) if out.dim() else 1
        value = float(loss.detach().float().mean())
        if value - value != 0:
            return
        gains = {"rows": rows, "loss": rows * value}
        if out.dim() == 2 and target.dim() == 1 and not target.is_floating_point():
            gains |= {"judged": rows, "right": float((out.argmax(1) == target).sum())}
        self._sums = {k: self._sums.get(k, 0.0) + v for k, v in gains.items()}

    def _may_listen(self) -> bool:
        """A loop that only acts or samples without gradients says no loss after it."""
        if self._batches == 1 and self.engine.turn - self._turn < APART:
            return False
        return self._silent < PATIENCE and self._batches <= HEARD

    def _listen(self) -> None:
        self._waits, self._turn = True, self.engine.turn
        self.engine.calls.start()

    def _was_trained_on(self, x: Tensor) -> bool:
        """Whether a sample of the last training batch is among these."""
        latest = self.engine.latest
        known = first_tensor(latest.args, latest.kwargs) if latest is not None else None
        if known is None or known.shape[1:] != x.shape[1:] or not len(known):
            return False
        return bool((x == known[0].to(x.device)).flatten(1).all(1).any())


def _is_of(data: Any, x: Tensor) -> bool:
    return place_of(data, x) is not None or likeness(data, x) > ALIKE
