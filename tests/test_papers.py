"""Our networks give what their papers' tables give, written a second time (tests/parity/papers.py).

Weights and statistics are drawn; outputs and input gradients are compared in float64. Networks are
narrow where their columns allow it, and pictures small where the architecture does.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from parity import papers

import snellen as sn


@dataclass(frozen=True)
class Case:
    """A row, the second writing with its arguments, and what makes our network as narrow."""

    name: str
    paper: Any
    given: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    size: tuple[int, int, int] = (3, 32, 36)


NARROW = {"widths": (8, 12, 16, 16, 12), "hidden": 20}
CASES = [
    Case("lenet5", papers.lenet5, size=(1, 32, 32)),
    Case("lenet5_1998", papers.lenet5_1998, size=(1, 32, 32)),
    Case("alexnet_2gpu", papers.two_gpus, NARROW, NARROW, (3, 227, 227)),
    Case("zfnet", papers.zfnet, NARROW, NARROW, (3, 224, 224)),
    Case("vgg_c", papers.vgg_c, NARROW, {**NARROW, "pooled": 1}),
    Case("inception_v1_nobn", papers.inception_v1, {"scale": 8}, {"scale": 8}, (3, 76, 90)),
    Case("inception_v2_bn", papers.inception_v2, size=(3, 70, 70)),
    Case("inception_v2_bn_convbias", papers.inception_v2, {"bias": True}, size=(3, 38, 38)),
    Case("se_inception_v2", papers.inception_v2, {"gated": 16}, size=(3, 38, 38)),
    *(Case(f"mobilenet_v1_{w}", papers.mobilenet_v1, {"width": w}, size=(3, 64, 70))
      for w in (0.25, 0.5)),
    *(Case(f"shufflenet_v1_g{g}_{w}x", papers.shufflenet_v1, {"groups": g, "width": w, **more})
      for g, w, more in ((1, 1.0, {}), (2, 1.0, {}), (3, 0.5, {"stem": 12}), (8, 1.0, {}),
                         (8, 0.5, {"stem": 16}))),
    Case("resnet20_cifar_A", papers.cifar_resnet, {"n": 3}),
    Case("plain20_cifar", papers.cifar_resnet, {"n": 3, "plain": True}),
    Case("paper:resnet50", papers.resnet50_v1, {"width": 16, "depths": (1, 2, 1, 1)},
         {"width": 16, "depths": (1, 2, 1, 1)}, (3, 64, 70)),
    Case("resnext29_8x64d_cifar", papers.resnext29, {"cardinality": 2}, {"groups": 2},
         (3, 16, 20)),
    Case("preact_resnet164_cifar", papers.preact_cifar, {"units": 2}, {"depths": (2, 2, 2)}),
    Case("densenet40_k12_cifar", papers.densenet_cifar, {"growth": 12, "layers": 4},
         {"depths": (4, 4, 4)}),
    Case("densenet_bc100_k12_cifar", papers.densenet_cifar,
         {"growth": 12, "layers": 3, "bottleneck": True}, {"depths": (3, 3, 3)}),
    Case("darknet19", papers.darknet19, {"scale": 8}, {"width": 4}, (3, 64, 70)),
    Case("darknet53", papers.darknet53, {"scale": 8}, {"width": 4}, (3, 64, 70)),
    Case("squeezenet1_0_bypass", papers.squeezenet_bypass, {"scale": 1}, size=(3, 64, 70)),
]  # fmt: skip


def give(tensors, net):
    """Tensors of one size are matched in the order in which they stand; all must be used."""
    waiting = defaultdict(list)
    for value in tensors:
        waiting[tuple(value.shape)].append(value)
    for key, value in net.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            shape = tuple(value.shape)
            if not waiting[shape] and len(shape) == 4:  # a 1x1 convolution for a linear layer
                shape = shape[:2]
            value.copy_(waiting[shape].pop(0).reshape(value.shape))
    assert not any(waiting.values())


def both(case, net_options=(), aux=False):
    """(outputs, input gradient) of the paper's writing and of ours, with the same numbers."""
    options = {**case.options, **dict(net_options)}
    net = sn.model(case.name, classes=5, channels=case.size[0], **options).double()
    x = torch.randn(2, *case.size, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    x = x.requires_grad_()
    draw = papers.Draw()
    theirs = case.paper(draw, x, 5, **case.given)
    give(draw.tensors, net)
    weights = torch.randn(theirs.shape, generator=draw.generator, dtype=torch.double)
    (theirs_grad,) = torch.autograd.grad((theirs * weights).sum(), x)
    net.train(aux)
    ours = net(x)
    if aux:
        ours = torch.stack([*net.aux_logits, ours])
    ours = ours.reshape(theirs.shape)
    (ours_grad,) = torch.autograd.grad((ours * weights).sum(), x)
    return (theirs, ours), (theirs_grad, ours_grad)


def apart(a, b):
    return float((a - b).detach().abs().max() / a.detach().abs().max())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_network_is_its_papers(case):
    for theirs, ours in both(case):
        assert apart(theirs, ours) < 1e-9


def test_googlenet_with_its_auxiliary_heads_is_its_papers():
    """The heads branch off after 4a and 4d, where the pool of 5x5 leaves 4x4 of 14x14."""
    case = Case("inception_v1_nobn_aux", papers.inception_v1, {"scale": 16, "aux": True},
                {"scale": 16, "dropout": 0.0, "dropout_aux": 0.0}, (3, 224, 224))  # fmt: skip
    for theirs, ours in both(case, aux=True):
        assert apart(theirs, ours) < 1e-9


@pytest.mark.parametrize(
    ("name", "mutation"),
    [("darknet19", {"slope": 0.01}), ("paper:resnet50", {"stride_on": "3x3"}),
     ("plain20_cifar", {"shortcut": "pad"}), ("preact_resnet164_cifar", {"stride_on": "3x3"}),
     ("zfnet", {"norm": "before"}), ("alexnet_2gpu", {"norm": "none"}),
     ("squeezenet1_0_bypass", {"bypass": False}), ("inception_v1_nobn", {"response": False})],
)  # fmt: skip
def test_a_changed_network_of_equal_size_is_told_apart(name, mutation):
    case = next(case for case in CASES if case.name == name)
    assert apart(*both(case, mutation.items())[0]) > 1e-6
