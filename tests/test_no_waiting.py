"""Nothing in the hot path waits for a GPU, seen on PyTorch's meta device.

Meta tensors have no numbers, so reading one raises, as does whatever depends on one: `if`, masks as
an index. A copy from the host that waits is seen by a dispatch mode.
"""

import math

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import snellen as sn
from snellen.core import coming
from snellen.core.errors import Diverged
from snellen.data.augment import compose
from snellen.data.open import open_data
from snellen.tasks.classify import Classify
from snellen.tasks.compute import Compute
from snellen.train import loop as loop_module
from snellen.train.feed import Resident, Streamed
from snellen.train.held import Held
from snellen.train.loop import Loop
from snellen.train.recipe import Recipe

META = torch.device("meta")
LOSS = 0.5


class Copies(TorchDispatchMode):
    """Notes every copy from the host to the device that would wait for it."""

    def __init__(self):
        super().__init__()
        self.waited = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is torch.ops.aten._to_copy.default and args[0].is_cpu:
            wanted = kwargs.get("device")
            if wanted is not None and wanted.type == "meta" and not kwargs.get("non_blocking"):
                self.waited.append(tuple(args[0].shape))
        return function(*args, **kwargs)


class Fetched:
    """Stands for `Coming`: remembers when its numbers were asked for."""

    log: list[tuple[str, int]] = []
    made = 0

    def __init__(self, values_N):
        assert values_N.device == META
        self.count, self.number = values_N.numel(), type(self).made
        type(self).made += 1
        self.log.append(("queued", self.number))

    def numbers(self):
        self.log.append(("read", self.number))
        return [self.value(self.number)] * self.count

    value = staticmethod(lambda number: LOSS)


@pytest.fixture
def fetched(monkeypatch):
    """The log of what was queued and read."""
    monkeypatch.setattr(Fetched, "log", [])
    monkeypatch.setattr(Fetched, "made", 0)
    monkeypatch.setattr(loop_module, "Coming", Fetched)
    monkeypatch.setattr("snellen.doctor.late.Coming", Fetched)
    return Fetched.log


class Ear:
    """A listener that keeps what it hears."""

    def __init__(self):
        self.losses, self.means = [], []

    def before_step(self, batch):
        pass

    def after_step(self, loss, lr, samples):
        self.losses.append(loss)

    def after_epoch(self, means):
        self.means.append(means)
        return True


def loop_on_meta(kind, augment="crop+affine", **settings):
    """LeNet on digits, as on a GPU: 6 steps an epoch."""
    source = open_data("digits")
    task = Classify.from_source(source)
    recipe = Recipe(epochs=1, batch=240, clip=1.0, schedule="onecycle", **settings)
    compute = Compute(META)
    if kind is Resident:
        feed = Resident(Held(source.train, task, device=META, targets=False), recipe.batch)
        feed.held.read()
    else:
        feed = Streamed(source.train, task, recipe.batch, workers=0)
    net = compute.place(task.build(sn.model("lenet5_bn", classes=10, imgsz=8, channels=1)))
    optimisers = [(phase, torch.optim.AdamW(phase.params)) for phase in task.phases(net)]
    return Loop(net, task, feed, recipe=recipe, compute=compute, optimisers=optimisers,
                augment=compose(augment))  # fmt: skip


@pytest.mark.parametrize("kind", [Resident, Streamed])
def test_a_step_waits_for_nothing_and_its_loss_is_read_a_step_later(kind, fetched):
    loop, ear = loop_on_meta(kind), Ear()
    with Copies() as copies:
        loop.run(ear)
    assert copies.waited == []
    steps = loop.feed.steps
    assert steps == 6
    wanted = [("queued", 0)]
    for step in range(1, steps):
        wanted += [("queued", step), ("read", step - 1)]
    assert fetched == [*wanted, ("read", steps - 1)]
    assert ear.losses == [None] + [LOSS] * (steps - 1)
    assert ear.means[0]["loss"] == pytest.approx(LOSS)


def test_what_is_drawn_for_augmentation_is_queued_and_parts_of_a_loss_come_together(fetched):
    loop = loop_on_meta(Resident, "flip+crop+rotate+shade+erase+jitter", l1=1e-3, max_norm=3.0)
    with Copies() as copies:
        loop.run(Ear())
    assert copies.waited == []


def test_a_loss_that_is_not_finite_is_said_with_its_own_step(fetched, monkeypatch):
    monkeypatch.setattr(Fetched, "value", staticmethod(lambda n: math.nan if n == 2 else LOSS))
    loop = loop_on_meta(Resident)
    with pytest.raises(Diverged, match=r"the loss is nan at step 3 \(epoch 1\)"):
        loop.run(Ear())
    assert loop.position.step == 4  # a step was on its way


def test_a_checkpoint_counts_every_step_before_it(fetched):
    loop = loop_on_meta(Resident)

    class Saver(Ear):
        def after_step(self, loss, lr, samples):
            super().after_step(loss, lr, samples)
            position = loop.state()["position"]
            assert position["seen"] == sum(
                len(rows) for rows in loop.feed.rows(0, 0)[: position["step"]]
            )

    loop.run(Saver())


def test_the_doctor_waits_for_nothing_between_its_samples(fetched, monkeypatch):
    """From step 1 on, as the whole gradient is looked at on steps 0, 10, 20 ..."""
    loop = loop_on_meta(Resident)
    optimizer = loop.optimisers[0][1]
    with sn.doctor(loop.net, optimizer) as doc, Copies() as copies:
        doc.continue_from([], 1)
        doc.engine._sampling = False
        monkeypatch.setattr(doc.engine.schedule, "sampled", lambda turn: False)
        loop.run(Ear())
    assert doc.engine.step == 7
    assert copies.waited == []
    assert [note for note in doc.notes if "meta" in note.lower()] == []


def test_what_comes_is_what_was_sent():
    values = torch.tensor([1.5, -2.0], requires_grad=True)
    assert coming.Coming(values * 2).numbers() == [3.0, -4.0]
    net = nn.Linear(1, 1)
    assert coming.Coming(net(torch.ones(1, 1)).sum()).numbers() == [net(torch.ones(1)).item()]
