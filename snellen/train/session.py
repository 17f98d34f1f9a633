"""One training from start to end: the loop, and all that listens to it.

The order that makes a kill harmless: metrics and events are flushed before the checkpoint that
covers them is written; a resumed run cuts away what lies after its checkpoint.
"""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ..core.compiled import is_here
from ..core.errors import Diverged, Interrupted, shortlist
from ..core.runfolder import RunFolder
from ..core.words import number
from ..data.augment import compose
from ..data.augment.one_pass import OnePass
from ..data.sample import Batch
from ..doctor.watch import Doctor, doctor
from ..nn.conv_by_shape import accelerate, choices, recall
from ..nn.precise_norm import recompute_statistics
from ..optim.by_name import build as build_optimiser
from ..tasks.compute import Compute
from ..tasks.task import Phase, Task
from ..version import __version__
from . import checkpoint
from .allocator import tuned
from .compiling import compile_forward, uncompiled
from .evaluate import Evaluation, evaluate
from .examine import examine
from .feed import Feed
from .listening import items
from .logbook import Logbook
from .loop import Augment, Loop
from .prepare import Job
from .progress import Progress
from .standing import Standing

STILL_FALLS = 0.98  # of the training loss at the best epoch
NORM_BATCHES = 32  # enough for statistics of any channel


class Session:
    """Listens to a loop: shows, logs, evaluates, saves, stops. `train` is the verb."""

    def __init__(self, job: Job, loop: Loop, folder: RunFolder, quiet: bool = False) -> None:
        self.job, self.loop, self.folder = job, loop, folder
        self.book = Logbook(folder)
        self.best = Standing()
        self.progress = Progress(job.recipe.epochs or 0, job.train.steps, quiet=quiet)
        self.doc: Doctor | None = None
        self.say: Callable[[str], None] = self.book.say
        self.status = "running"
        self.message = ""
        self._events: list[dict[str, Any]] = []  # of the run that goes on
        self._stop = False
        self._saved_at = ""  # what a message says of the last checkpoint
        self._saved = self._began = self._epoch_began = time.monotonic()

    def train(self) -> str:
        """Run to the end -> finished | stopped early | diverged | interrupted | failed."""
        recipe = self.job.recipe
        with (
            _threads(recipe.threads),
            tuned(recipe.malloc == "keep"),
            _signals(self._ask_to_stop),
            self.progress,
        ):
            try:
                with self._watching() as self.doc:
                    if self.doc is not None and self._events:
                        self.doc.continue_from(self._events, self._step())
                    elif self.doc is not None:
                        examine(self.job, self.loop.net, self.doc, self.say)
                    if not self._is_stale():
                        self.progress.start_epoch(self._epoch(), self.loop.position.step_in_epoch)
                        self.loop.run(self)
                self.status = "stopped early" if self._is_stale() else "finished"
                self.message = self._left_out() if self._is_stale() else ""
            except (Diverged, Interrupted) as error:
                self.status = "diverged" if isinstance(error, Diverged) else "interrupted"
                self.message = str(error) + (self._kept() if self.status == "diverged" else "")
            except BaseException:
                self.status = "failed"
                raise
            finally:
                self.book.flush()
        return self.status

    def close(self) -> None:
        """The last event, then the files."""
        seconds = round(self.seconds(), 3)
        self.book.events.write("end", self._step(), status=self.status, seconds=seconds)
        self.book.close()

    # The listener's three verbs -------------------------------------------------------------

    def before_step(self, batch: Batch) -> None:
        """The doctor hears which samples come."""
        if self.doc is not None:
            self.doc.rows(batch.index_B)

    def after_step(self, loss: float | None, lr: float, samples: int) -> None:
        """Show, and save when the time has come."""
        self.progress.step(loss, lr, samples)
        if self._stop:
            self.save()
            raise Interrupted(
                f"stopped after step {self._step()}; its checkpoint is saved: "
                f"snellen train resume={self.folder} goes on"
            )
        if time.monotonic() - self._saved > 60 * self.job.recipe.save_minutes:
            self.save()

    def after_epoch(self, means: Mapping[str, float]) -> bool:
        """Evaluate, log, keep the best, save; False where patience is at its end."""
        epoch, step = self.loop.position.epoch, self._step()
        self._refuse_lost_weights()
        if self.job.recipe.precise_norm:
            self._settle_norms()
        losses = {name: mean for name, mean in means.items() if name.endswith("loss")}
        row = {"epoch": epoch, **losses, "lr": self._lr()}
        self.book.metrics(step, epoch, "train", means)
        scores = dict(means)
        if self.job.val is not None:
            scores = self.evaluate().metrics
            self.book.metrics(step, epoch, "val", scores)
            row |= {("val_loss" if name == "loss" else name): v for name, v in scores.items()}
        seconds = time.monotonic() - self._epoch_began
        self._log_epoch(row, seconds)
        self._judge_epoch(epoch, scores)
        self.progress.end_epoch(epoch, {k: v for k, v in row.items() if k != "epoch"}, seconds)
        self.save()
        if epoch < (self.job.recipe.epochs or 0):
            self.progress.start_epoch(self._epoch())
        self._epoch_began = time.monotonic()
        return not self._is_stale()

    # ----------------------------------------------------------------------------------------

    def evaluate(self, keep: bool = False) -> Evaluation:
        """The validation part, or the training part where there is none."""
        job, doc = self.job, self.doc
        place = (self.loop.net, job.task, job.val or job.train, job.compute)
        if doc is None or job.val is None:
            with doc.suspended() if doc is not None else nullcontext():
                return evaluate(*place, keep=keep)
        return evaluate(*place, keep=keep, before=lambda batch: doc.rows(batch.index_B, "val"))

    def _settle_norms(self) -> None:
        """Batch norm statistics over the training part, or NORM_BATCHES batches drawn of it."""
        quiet = self.doc.suspended() if self.doc is not None else nullcontext()
        with quiet, uncompiled(self.loop.net):
            settle_norms(self.loop.net, self.job.task, self.job.train, self.job.compute)

    def save(self) -> None:
        """A checkpoint: weights, and all that the coming steps depend on."""
        self.book.flush()
        state = {"loop": self.loop.state(), "best": vars(self.best)}
        state["convolutions"] = choices(self.loop.net)
        whole = checkpoint.Checkpoint(self.loop.net.state_dict(), state, self.meta())
        file = checkpoint.save(self.folder.weights, whole).name
        epoch, step = self.loop.position.epoch, self._step()
        self.book.events.write("checkpoint", step, file=file, epoch=epoch)
        self._saved, self._saved_at = time.monotonic(), f"step {step}"

    def meta(self) -> dict[str, Any]:
        """What weights are of; enough to build the network again."""
        job = self.job
        return {
            "snellen": __version__,
            "task": type(job.task).name,
            "spec": job.task.spec,
            "model": job.model,
            "epoch": self.loop.position.epoch,
            "step": self._step(),
            "metrics": self.best.metrics,
        }

    def restore(self, saved: checkpoint.Checkpoint, events: list[dict[str, Any]]) -> None:
        """Continue from a checkpoint; `events` are what the doctor had measured until then."""
        self._events, self._saved_at = events, f"step {saved.meta['step']}"
        checkpoint.fit_into(self.loop.net, saved.weights)
        self.best = Standing(**saved.state["best"])
        self.loop.restore(saved.state["loop"])
        recall(self.loop.net, saved.state.get("convolutions", {}))

    def _judge_epoch(self, epoch: int, scores: dict[str, float]) -> None:
        """Keep the weights of the best epoch so far."""
        if self.best.takes(epoch, scores, self.job.task.score):
            checkpoint.save_best(self.folder.best, self.loop.net.state_dict(), self.meta())

    def _watching(self) -> Any:
        """The doctor around the loop, or nothing with doctor=no."""
        job = self.job
        if not job.recipe.doctor:
            return nullcontext()
        watching = doctor(
            self.loop.net,
            [optimiser for _, optimiser in self.loop.optimisers],
            train=items(job.source.train, job.task),
            val=None if job.source.val is None else items(job.source.val, job.task),
            classes=len(job.task.spec.get("classes", ())) or None,
            sink=self.book.measured,
        )
        watching.know(settles_norms=bool(job.recipe.precise_norm),
                      augments=bool(compose(job.recipe.augment).steps))  # fmt: skip
        return watching

    def _log_epoch(self, row: dict[str, float], seconds: float) -> None:
        epoch, step = int(row["epoch"]), self._step()
        self.best.history.append(row)
        if self.doc is not None:
            self.doc.chart.record({"kind": "epoch", "step": step, "metrics": row})
        self.book.events.write("epoch", step, epoch=epoch, metrics=row, seconds=round(seconds, 3))

    def _refuse_lost_weights(self) -> None:
        """Raise Diverged where the last step left weights that are not finite."""
        lost = [name for name, value in self.loop.net.state_dict().items()
                if value.is_floating_point() and not bool(value.isfinite().all())]  # fmt: skip
        if lost:
            where = f"after step {self._step()} (epoch {self.loop.position.epoch})"
            raise Diverged(f"{len(lost)} of the network's tensors are not finite {where}: "
                           f"{shortlist(lost, 3)}")  # fmt: skip

    def _kept(self) -> str:
        """What a diverged training leaves behind, for its message."""
        if not self._saved_at:
            return "; no checkpoint was saved before"
        return f"; the checkpoint of {self._saved_at} is kept in {self.folder.weights}"

    def _is_stale(self) -> bool:
        """Whether patience is at its end."""
        patience = self.job.recipe.patience
        return patience is not None and self.best.stale >= patience

    def _left_out(self) -> str:
        """What stopping early kept, and whether the training loss had come to rest (notes 001)."""
        rows, best = self.best.history, self.best.epoch
        said = (f"stopped after epoch {len(rows)}: no better score for {self.best.stale} epochs; "
                f"the weights of epoch {best} are the run's")  # fmt: skip
        then, now = (rows[i].get("loss", math.nan) for i in (best - 1, -1))
        if now < STILL_FALLS * then:
            said += (f"; the training loss was still falling ({number(then)} to {number(now)}): "
                     "the network had not converged, it had begun to learn by heart")  # fmt: skip
        return said

    def _ask_to_stop(self) -> None:
        self._stop = True

    def seconds(self) -> float:
        """Since the session began."""
        return time.monotonic() - self._began

    def _step(self) -> int:
        return self.loop.position.step

    def _epoch(self) -> int:
        return self.loop.position.epoch + 1

    def _lr(self) -> float:
        return float(self.loop.optimisers[0][1].param_groups[0]["lr"])


def settle_norms(net: nn.Module, task: Task, train: Feed, compute: Compute) -> None:
    """Batch norm statistics of a network in training mode over NORM_BATCHES batches of `train`."""
    batches = train.drawn(NORM_BATCHES)
    with compute.autocast():
        recompute_statistics(net, (compute.ready(task, batch).x for batch in batches))


def make_loop(job: Job) -> Loop:
    """The loop of a job: network placed, an optimiser for each phase, augmentation composed."""
    recipe = job.recipe
    net = job.compute.place(job.net)
    by_shape = [kind == "by_shape" for kind in (recipe.convolution, recipe.norm)]
    if any(by_shape):
        accelerate(net, convolutions=by_shape[0], norms=by_shape[1])
    optimisers: list[tuple[Phase, Optimizer]] = []
    for phase in job.task.phases(net):
        said = {
            "lr": recipe.lr or 0.0,
            "momentum": recipe.momentum or 0.0,
            "weight_decay": recipe.weight_decay or 0.0,
            **phase.settings,
        }
        kind = said.pop("optim", recipe.optim or "adamw")
        optimiser = build_optimiser(kind, phase.params, fused=bool(recipe.fused), **said)
        optimisers.append((phase, optimiser))
    if recipe.compile:
        graphs = job.compute.device.type == "cuda"
        compile_forward(net, mode="reduce-overhead" if graphs else None)
    return Loop(net, job.task, job.train, recipe=recipe, compute=job.compute,
                augment=_augment(job), optimisers=optimisers)  # fmt: skip


def _augment(job: Job) -> Augment | None:
    """What is done to each batch before the network sees it, normalising apart or not."""
    recipe, chain = job.recipe, compose(job.recipe.augment).fit(job.source.train)
    if recipe.preparing == "compiled" and is_here():
        return OnePass(chain, job.task.inputs(), channels_last=job.compute.channels_last)
    return chain if chain.steps else None


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """The thread count of this training; the process's own again after."""
    before = torch.get_num_threads()
    if count is not None and count != before:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _signals(ask: Any) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) asks for a stop at the next step; the second breaks off."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def first(number: int, frame: Any) -> None:
        ask()
        for s, handler in before.items():
            signal.signal(s, handler)

    for s in before:
        signal.signal(s, first)
    try:
        yield
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)
