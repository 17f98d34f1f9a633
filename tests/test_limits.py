"""What a user's own network does not take of speed is seen before it trains, and left out."""

import functools
import threading

import pytest
import torch
from torch import nn

import snellen as sn
from snellen.core.errors import UsageError
from snellen.nn import _limits
from snellen.nn._limits import NO_MAPS, Limits, limits
from snellen.nn.count import unwatched_copy
from snellen.serve import bench
from snellen.tasks.classify import Classify
from snellen.tasks.settle import settle
from snellen.train import speed


class Viewed(nn.Module):
    """Flattens by `view`, which only contiguous maps allow."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.maps(x)
        return self.head(maps.view(maps.size(0), -1))


class Scattered(nn.Module):
    """Writes into float32 numbers of its own, which bfloat16 cannot be written into."""

    def __init__(self) -> None:
        super().__init__()
        self.maps, self.head = nn.Conv2d(1, 8, 3), nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        means = self.maps(x).mean((2, 3))
        places = torch.arange(8).expand_as(means)
        return self.head(torch.zeros(len(x), 8).scatter(1, places, means))


class Backwards(nn.Module):
    """As `Viewed`, and only on the way back."""

    def __init__(self) -> None:
        super().__init__()
        self.maps, self.more = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 10, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.maps(x)
        if maps.requires_grad:
            maps.register_hook(lambda grad: grad.view(-1).view_as(grad))
        return self.more(maps).mean((2, 3))


class Broken(nn.Module):
    """Runs in no way."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Conv2d(1, 8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise ValueError("no")


class Noisy(nn.Module):
    """Draws, is listened to, and raises under bf16 only where it is judged."""

    def __init__(self) -> None:
        super().__init__()
        self.maps, self.drop, self.head = nn.Conv2d(1, 8, 3), nn.Dropout(), nn.Linear(8, 10)
        self.heard: list[str] = []
        self.register_forward_hook(lambda *_: self.heard.append("forward"))
        self.register_full_backward_hook(lambda *_: self.heard.append("backward"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        means = self.drop(self.maps(x).mean((2, 3)))
        if not self.training:
            means = torch.zeros(len(x), 8).scatter(1, torch.arange(8).expand_as(means), means)
        return self.head(means)


class Locked(nn.Module):
    """Holds what cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.maps, self.head, self.lock = nn.Conv2d(1, 8, 3), nn.Linear(8, 10), threading.Lock()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.maps(x).mean((2, 3)))


@pytest.mark.parametrize(
    ("net", "contiguous", "fp32"),
    [
        (Viewed(), "raises so: view size is not compatible", ""),
        (Backwards(), "raises so: view size is not compatible", ""),
        (Scattered(), "", "raises so: scatter()"),
        (Noisy(), "", "raises so: scatter()"),
        (Broken(), "", ""),
        (Locked(), "", ""),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), NO_MAPS, ""),
        (sn.model("resnet8_w32", classes=10, imgsz=8, channels=1), "", ""),
    ],
)
def test_what_a_network_does_not_take(net, contiguous, fp32):
    drawn = torch.get_rng_state()
    found = limits(net, (1, 8, 8))
    assert contiguous in found.contiguous
    assert bool(contiguous) == bool(found.contiguous)
    assert fp32 in found.fp32
    assert bool(fp32) == bool(found.fp32)
    assert all(p.grad is None and p.is_contiguous() for p in net.parameters())
    assert torch.equal(drawn, torch.get_rng_state())
    assert not getattr(net, "heard", [])


@pytest.mark.parametrize("order", [["lock", "step", "part"], ["part", "step", "lock"]])
def test_a_copy_of_what_holds_a_lock_calls_its_own_methods(order):
    net = Locked()
    lock = vars(net).pop("lock")
    own = {"lock": lock, "step": net.maps.forward, "part": functools.partial(net.forward)}
    for name in order:
        setattr(net, name, own[name])
    twin = unwatched_copy(net)
    assert twin.lock is lock
    assert twin.step.__self__ is twin.maps
    assert twin.part.func.__self__ is twin


def test_what_nobody_wants_is_not_tried(monkeypatch):
    asked = []
    monkeypatch.setattr(_limits, "_raised", lambda *a, last=False, bf16=False, training:
                        asked.append((last, bf16)) or "")  # fmt: skip
    assert limits(Viewed(), (1, 8, 8), last=False, bf16=False) == Limits()
    assert asked == []
    limits(Viewed(), (1, 8, 8), last=False)
    limits(nn.Linear(2, 2), (1, 8, 8))
    assert asked == [(False, True), (False, True)]


def test_what_raises_in_both_alone_is_kept_from_both(monkeypatch):
    monkeypatch.setattr(_limits, "_raised", lambda *a, last=False, bf16=False, training:
                        "no" if last and bf16 else "")  # fmt: skip
    assert limits(Viewed(), (1, 8, 8)) == Limits("the network raises so: no")


def test_a_judged_network_is_asked_for_its_answer_alone():
    class Split(Scattered):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) if self.training else self.head(self.maps(x).mean((2, 3)))

    assert limits(Split(), (1, 8, 8)).fp32
    assert limits(Split(), (1, 8, 8), training=False) == Limits()


@pytest.mark.parametrize("typed", [{"speed": "off"}, {"amp": "off", "channels_last": False}])
def test_a_network_is_not_tried_where_nothing_is_chosen(typed, tmp_path, monkeypatch):
    def tried(*args, last=False, bf16=False, training):
        raise AssertionError("a network was tried")

    monkeypatch.setattr(_limits, "_raised", tried)
    _, run = train(Viewed(), tmp_path, quiet=True, **typed)
    assert run.status == "finished"


def test_by_shape_is_refused_with_the_reason(tmp_path):
    with pytest.raises(UsageError, match="and the network raises so: view size is not"):
        train(Viewed(), tmp_path, convolution="by_shape")
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(UsageError, match=f"and {NO_MAPS}"):
        train(flat, tmp_path, convolution="by_shape")


def train(net, folder, **typed):
    x, y = torch.randint(256, (40, 8, 8), dtype=torch.uint8).numpy(), torch.arange(40).numpy() % 10
    return (x, y), sn.train((x, y), model=net, epochs=1, project=str(folder), preflight="off",
                            doctor=False, batch=20, **typed)  # fmt: skip


@pytest.mark.parametrize("tiny", [True, False])
@pytest.mark.parametrize(
    ("net", "words"),
    [
        (Viewed, "channels_last=False: the network raises so: view size is not compatible"),
        (Scattered, "amp=off: the network raises so: scatter()"),
    ],
)
def test_it_is_trained_as_it_is_and_told_why(net, words, tiny, tmp_path, capsys, monkeypatch):
    if not tiny:
        monkeypatch.setattr(speed, "TINY_STEP", 0)
        monkeypatch.setattr("snellen.train.speed.has_fast_bf16", lambda: True)
    _, run = train(net(), tmp_path)
    assert run.status == "finished"
    said = " ".join(capsys.readouterr().out.split())
    assert words in said or (tiny and "amp=off: a tiny network" in said)


def test_what_is_typed_all_the_same_is_refused_in_one_line(tmp_path):
    with pytest.raises(UsageError, match=r"your module Viewed raised .*, channels_last=yes: "):
        train(Viewed(), tmp_path, channels_last=True)
    with pytest.raises(UsageError, match=r"your module Scattered raised .*, amp=bf16"):
        train(Scattered(), tmp_path, amp="bf16")


@pytest.mark.parametrize(
    ("net", "names"), [(Viewed, ["eager fp32", "eager bf16"]), (Scattered, ["eager fp32"])]
)
def test_its_speed_is_measured_as_it_is(net, names, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "runtimes", dict)
    data, run = train(net(), tmp_path, quiet=True)
    rows, notes = run.bench(data=data, seconds=0.01)
    assert [row.name for row in rows] == names
    assert bool(notes) == (net is Scattered)


def test_lazy_layers_get_their_shapes_before_anything_is_counted(tmp_path):
    def build():
        norms = nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.ReLU()
        return nn.Sequential(*norms, nn.Flatten(), nn.LazyLinear(10))

    data, run = train(build(), tmp_path, quiet=True)
    assert run.status == "finished"
    again = sn.load(run.path, model=build())
    one, other = (found.predict(data[0])[0].scores_K for found in (run, again))
    assert torch.equal(one, other)
    with pytest.raises(UsageError, match="your module Sequential raised on a batch of shape"):
        train(nn.Sequential(nn.LazyLinear(4), nn.Linear(3, 10)), tmp_path)


def test_lazy_layers_are_settled_without_another_trace():
    task = Classify({"classes": ["a"], "inputs": {"channels": 1, "height": 8, "width": 8,
                                                  "mean": [0.5], "std": [0.25]}})  # fmt: skip
    net = settle(nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d()).double(), task)
    assert net[0].weight.dtype == torch.float64
    assert int(net[1].num_batches_tracked) == 0
    assert net.training

    class Aux(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main, self.aux = nn.LazyLinear(2), nn.LazyLinear(2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.aux(self.main(x)) if self.training else self.main(x)

    with pytest.raises(UsageError, match=r"aux\.weight, aux\.bias of your module Aux got no shape"):
        settle(Aux(), task)
