"""Several optimisers in the one loop: a GAN through it is the GAN of a loop written by hand."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import snellen as sn
from snellen.data.sample import Batch
from snellen.tasks.compute import Compute
from snellen.tasks.task import Phase
from snellen.train.recipe import Recipe
from snellen.train.session import make_loop

N = sn.nn
SETTINGS = {"optim": "adam", "lr": 0.002, "momentum": 0.5, "weight_decay": 0.0}


def gan():
    """-> the two networks of DCGAN for 8x8 pixels, as one module."""
    torch.manual_seed(0)
    makes = N.dcgan_generator(4, 1, size=8, width=4)
    return nn.ModuleDict({"makes": makes, "judges": N.dcgan_discriminator(1, size=8, width=4)})


def judged(net, batch):
    """The loss of the first phase."""
    fake = net["makes"](torch.randn(len(batch.x), 4)).detach()
    return {"loss": N.discriminator_loss(net["judges"](batch.x), net["judges"](fake))}


def made(net, batch):
    """The loss of the second."""
    fake = net["makes"](torch.randn(len(batch.x), 4))
    return {"loss": N.generator_loss(net["judges"](fake))}


def batches():
    """Six batches of noise that are normalised already."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(6, 8, 1, 8, 8, generator=generator) * 2 - 1
    of_none = torch.zeros(8, dtype=torch.long)
    return [Batch(one, {}, of_none, torch.full((8, 2), 8), is_ready=True) for one in x]


class Ear:
    def before_step(self, batch):
        pass

    def after_step(self, loss, lr, samples):
        pass

    def after_epoch(self, means):
        self.means = means
        return True


def through_the_loop(net, every):
    phases = [Phase("judges", tuple(net["judges"].parameters()), judged, SETTINGS),
              Phase("makes", tuple(net["makes"].parameters()), made, SETTINGS, every)]  # fmt: skip
    job = SimpleNamespace(
        recipe=Recipe(epochs=1, augment="off"), net=net, compute=Compute.of("cpu"),
        source=SimpleNamespace(train=None), task=SimpleNamespace(phases=lambda net: phases),
        train=SimpleNamespace(steps=6, epoch=lambda *at: iter(batches())),
    )  # fmt: skip
    loop, ear = make_loop(job), Ear()
    torch.manual_seed(2)
    loop.run(ear)
    return ear.means


def by_hand(net, every):
    adam = {
        name: torch.optim.Adam(part.parameters(), lr=0.002, betas=(0.5, 0.999))
        for name, part in net.items()
    }
    torch.manual_seed(2)
    for step, batch in enumerate(batches()):
        for name, loss in (("judges", judged), ("makes", made)):
            if name == "judges" or step % every == 0:
                adam[name].zero_grad()
                loss(net, batch)["loss"].backward()
                adam[name].step()


@pytest.mark.parametrize("every", [1, 2])
def test_a_gan_is_trained_as_by_hand(every):
    start = gan()
    looped, hand = copy.deepcopy(start), copy.deepcopy(start)
    means = through_the_loop(looped, every)
    by_hand(hand, every)
    for name, wanted in hand.state_dict().items():
        torch.testing.assert_close(looped.state_dict()[name], wanted, msg=name)
    assert not torch.equal(start["makes"][1].weight, looped["makes"][1].weight)
    assert {"loss", "judges_loss", "makes_loss"} <= means.keys()
