"""Which operation made what is not finite, and which parameter lies last before a cut."""

import pytest
import torch
from torch import nn

import snellen as sn
from snellen.doctor.graph import guilty_rows

P = torch.tensor([[0.5], [0.0], [2.0]])
ORIGINS = {
    "log": lambda p, y: (p.log() ** 2).mean(),
    "div": lambda p, y: ((y / p) ** 2).mean(),
    "pow": lambda p, y: (p**-1.5).sin().mean(),
    "pow's input": lambda p, y: ((p - y.log()) ** 2).mean(),
    "mul's input": lambda p, y: (p * (1 / y)).mean(),
}


@pytest.mark.parametrize("name", ORIGINS)
def test_the_first_operation_whose_output_is_not_finite_is_named(name):
    p = P.clone().requires_grad_()
    assert guilty_rows(ORIGINS[name](p * 1, P), 3) == ([1], name)


class Cut(nn.Module):
    """Layers are registered in another order than they are called; the graph ends after `first`."""

    def __init__(self):
        super().__init__()
        self.third, self.first, self.second = nn.Linear(16, 4), nn.Linear(8, 16), nn.Linear(16, 16)
        self.zeroth = nn.Linear(8, 8)

    def forward(self, x):
        h = self.first(self.zeroth(x).relu()).relu().detach()
        return self.third(self.second(h).relu())


def test_the_last_before_a_cut_is_the_last_that_is_called():
    torch.manual_seed(0)
    net, y = Cut(), torch.randint(0, 4, (64,))
    x = torch.randn(64, 8)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    with sn.doctor(net, optimizer) as doc:
        for _ in range(60):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            optimizer.step()
    (found,) = doc.findings
    assert (found.id, found.where["parameter"]) == ("graph-detached", "first.bias")
    (silent,) = [f for f in found.symptoms if f.id == "params-no-grad"]
    assert found.message.startswith("4 parameters ")
    assert silent.message.startswith("4 of 8 trainable parameters ")
