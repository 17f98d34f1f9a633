"""A user's own network is trained whatever it keeps, refused by name, and given back as it came."""

import threading

import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector

import snellen as sn
from snellen.core.errors import UsageError
from snellen.nn.conv_by_shape import ConvByShape


class Maps(nn.Module):
    """Pictures -> means of maps -> logits."""

    def __init__(self) -> None:
        super().__init__()
        self.maps, self.head = nn.Conv2d(1, 16, 3), nn.Linear(16, 10)

    def means(self, x: torch.Tensor) -> torch.Tensor:
        return self.maps(x).relu().mean((2, 3))

    def forward(self, x: torch.Tensor):
        return self.head(self.means(x))


class Keeping(Maps):
    """Keeps its last maps, a lock and a list of results, as for a heat map of Grad-CAM."""

    def __init__(self) -> None:
        super().__init__()
        self.lock, self.seen = threading.Lock(), []

    def forward(self, x: torch.Tensor):
        self.last = self.means(x)
        self.seen = [self.last]
        return self.head(self.last)


class Silent(Maps):
    """Its own `train` and `eval` return nothing, as where a frozen batch norm is kept."""

    def train(self, mode: bool = True) -> None:
        super().train(mode)

    def eval(self) -> None:
        self.train(False)


class Aux(Maps):
    """Two answers while it trains."""

    def forward(self, x: torch.Tensor):
        logits = super().forward(x)
        return (logits, logits) if self.training else logits


class Named(Maps):
    """Answers by names, as torchvision's networks for maps do."""

    def forward(self, x: torch.Tensor):
        return {"aux": x, "out": super().forward(x)}


class Narrow(Maps):
    """Fewer classes while it trains."""

    def forward(self, x: torch.Tensor):
        return super().forward(x)[:, : 3 if self.training else 10]


class Detached(Maps):
    """Nothing can learn."""

    def forward(self, x: torch.Tensor):
        return super().forward(x).detach()


class Failing(Maps):
    """Raises while it trains."""

    def forward(self, x: torch.Tensor):
        if self.training:
            raise ValueError("not now")
        return super().forward(x)


def old_weight_norm() -> nn.Module:
    net = Maps()
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(net.maps)
    return net


def train(net, folder, **typed):
    x, y = torch.randint(256, (40, 8, 8), dtype=torch.uint8).numpy(), torch.arange(40).numpy() % 10
    return x, sn.train((x, y), model=net, epochs=1, project=str(folder), preflight="off",
                       doctor=False, batch=20, quiet=True, **typed)  # fmt: skip


@pytest.mark.parametrize("build", [Keeping, Silent, old_weight_norm])
def test_it_is_trained_and_predicts_whatever_it_keeps(build, tmp_path):
    net = build()
    net(torch.zeros(1, 1, 8, 8))  # as of a look at its shape
    x, run = train(net, tmp_path)
    again = sn.load(run.path, model=net)
    assert [p.label for p in run.predict(x)] == [p.label for p in again.predict(x)]


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (Aux, r"gave a tuple for a batch of shape \(2, 1, 8, 8\) while training; 10 classes need"),
        (Aux, r"let forward return \[0\] of it alone"),
        (Named, r"let forward return \['out'\] of it alone"),
        (Narrow, r"gave shape \(2, 3\) .* \(2, 1, 8, 8\) while training; .*mend its last layer"),
        (Detached, "nothing can learn in your module Detached"),
        (Failing, "raised on a batch of shape .* while training: ValueError: not now"),
        (lambda: Maps().requires_grad_(False), "nothing can learn in your module Maps"),
    ],
)
def test_what_goes_wrong_only_in_training_is_said_before_a_folder_is_made(net, words, tmp_path):
    with pytest.raises(UsageError, match=words):
        train(net(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_run_of_it_is_loaded_with_it_alone(tmp_path):
    _, run = train(Maps(), tmp_path)
    with pytest.raises(UsageError, match=r"your own module Maps; give it: .*model=net"):
        sn.load(run.path)
    assert sn.Run(run.path).metrics == run.metrics
    assert sn.load(run.path, model=Maps()).metrics == run.metrics


@pytest.mark.parametrize("model", [Maps, "resnet18"])
def test_a_run_wants_the_network_itself(model, tmp_path):
    x, run = train(Maps(), tmp_path)
    with pytest.raises(UsageError, match="model= takes the network itself"):
        sn.load(run.path, model=model).predict(x)


@pytest.mark.parametrize("fails", [False, True])
def test_it_is_given_back_as_it_came(fails, tmp_path):
    net = Aux() if fails else Maps()
    kinds = [type(m) for m in net.modules()]
    before = parameters_to_vector(net.parameters()).clone()
    typed = {"channels_last": True, "convolution": "by_shape"}
    if fails:
        with pytest.raises(UsageError):
            train(net, tmp_path, **typed)
    else:
        train(net, tmp_path, **typed)
    assert [type(m) for m in net.modules()] == kinds
    assert torch.equal(before, parameters_to_vector(net.parameters())) == fails
    assert "quickest" not in vars(net.maps)


def test_what_its_user_accelerated_stays_so(tmp_path):
    net = sn.accelerate(Maps())
    train(net, tmp_path)
    assert type(net.maps) is ConvByShape
    assert net.maps.weight.is_contiguous(memory_format=torch.channels_last)


def test_a_network_that_its_user_laid_channels_last_keeps_its_layers(tmp_path):
    net = Maps().to(memory_format=torch.channels_last)
    net.maps = nn.Conv2d(3, 16, 3).to(memory_format=torch.channels_last)
    x = torch.randint(256, (40, 8, 8, 3), dtype=torch.uint8).numpy()
    how = {"preflight": "off", "doctor": False, "batch": 20, "quiet": True}
    sn.train((x, torch.arange(40).numpy() % 10), model=net, epochs=1, project=str(tmp_path),
             convolution="by_shape", **how)  # fmt: skip
    assert type(net.maps) is nn.Conv2d
    assert not net.maps.weight.is_contiguous()
