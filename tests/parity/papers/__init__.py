"""The networks that no library has, written a second time straight from their papers' tables.

Plain functions of F.conv2d and a few sums, without the zoo's blocks; each draws its weights and
statistics while it runs, in the order in which the paper's layers stand. The same numbers are given
to the zoo's networks, and outputs and input gradients compared in float64: narrow and shallow in
tests/test_papers.py, every row as it stands in `make parity`.

Each file lists in WRITTEN the rows that it writes.
"""

from collections import defaultdict

import torch

import snellen as sn

from . import classic, inception, mobile, residual
from ._draw import Draw

WRITTEN = {**classic.WRITTEN, **inception.WRITTEN, **mobile.WRITTEN, **residual.WRITTEN}


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


def both(name, *, thin=True, **changes):
    """(outputs, input gradient) of the paper's writing and of ours, with the same numbers."""
    case = WRITTEN[name]
    given, columns = ({**case.given, **case.thin}, case.columns) if thin else (case.given, {})
    size = case.size if thin or case.whole is None else case.whole
    quiet = {} if thin or not given.get("aux") else {"dropout": 0.0, "dropout_aux": 0.0}
    options = {**columns, **quiet, **changes}
    net = sn.model(name, classes=5, channels=size[0], **options).double().requires_grad_(False)
    x = torch.randn(2, *size, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    x = x.requires_grad_()
    draw = Draw()
    theirs = case.function(draw, x, 5, **given)
    give(draw.tensors, net)
    weights = torch.randn(theirs.shape, generator=draw.generator, dtype=torch.double)
    (theirs_grad,) = torch.autograd.grad((theirs * weights).sum(), x)
    net.eval()
    net.training = bool(given.get("aux"))  # the auxiliary heads answer while training only
    ours = net(x)
    ours = torch.stack([*net.aux_logits, ours]).reshape(theirs.shape)
    (ours_grad,) = torch.autograd.grad((ours * weights).sum(), x)
    return (theirs, ours), (theirs_grad, ours_grad)


def apart(a, b):
    """The largest difference, as a share of the largest value."""
    return float((a - b).detach().abs().max() / a.detach().abs().max())
