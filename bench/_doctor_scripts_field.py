"""Scripts as they are met outside, in which the doctor once missed a fault or saw one too many."""

from collections.abc import Callable
from typing import Any

from _doctor_scripts import script

LAST, TABLE = ("loss-output-activation",), ("loss-shape-broadcast",)
RATE, HELD, SIGN = ("lr-too-high",), ("optim-missing-params",), ("loss-sign-flipped",)

WARMED = """
net = mlp(64, 64, 10)
optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.05)
loader = DataLoader(TensorDataset(x, y), 64, shuffle=True, drop_last=True)
for epoch in range(5):
    optimizer.param_groups[0]["lr"] = RATE if epoch else 1e-6
    for a, b in loader:
        share = torch.distributions.Beta(0.2, 0.2).sample()
        soft = 0.9 * F.one_hot(b, 10) + 0.01
        a, soft = share * a + (1 - share) * a.flip(0), share * soft + (1 - share) * soft.flip(0)
        loss = -(soft * net(a).log_softmax(1)).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
DISTILLED = """
teacher = train(Net(128), TensorDataset(x, y))
student = Net(16)
optimizer = torch.optim.Adam(WHOSE.parameters(), 3e-3)
for epoch in range(3):
    for a, b in DataLoader(TensorDataset(x, y), 64, shuffle=True):
        with torch.no_grad():
            told = teacher(a)
        optimizer.zero_grad()
        F.mse_loss(student(a), told).backward()
        optimizer.step()
"""
CODED = """
class Coder(nn.Module):
    def __init__(self):
        super().__init__()
        self.into, self.out = mlp(64, 64, 16), mlp(8, 64, 64)
    def forward(self, a):
        mean, log_var = self.into(a).chunk(2, 1)
        code = mean + torch.randn_like(mean) * (log_var / 2).exp()
        return torch.sigmoid(self.out(code)), mean, log_var
net, x = Coder(), (x - x.min()) / (x.max() - x.min())
optimizer = torch.optim.Adam(net.parameters(), 1e-3)
for epoch in range(6):
    for (a,) in DataLoader(TensorDataset(x), 64, shuffle=True):
        again, mean, log_var = net(a)
        spread = -0.5 * (1 + log_var - mean.square() - log_var.exp()).sum()
        loss = SIGN F.binary_cross_entropy(again, a, reduction="sum") + spread
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
TRUNK = """
trunk, head = mlp(64, 64, 32), nn.Sequential(nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.Adam(HELD, 3e-3)
for epoch in range(3):
    for a, b in DataLoader(TensorDataset(x, y), 64, shuffle=True):
        optimizer.zero_grad()
        F.cross_entropy(head(trunk(a)), b).backward()
        optimizer.step()
"""

FITTED = """
net = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 64)LAST)
x = (x - x.mean(0)) / (x.std(0) + 1e-6)
optimizer = torch.optim.Adam(net.parameters(), 1e-3)
for step in range(120):
    a = x[torch.randint(0, len(x), (64,))]
    optimizer.zero_grad()
    F.mse_loss(OUT, a).backward()
    optimizer.step()
"""
ROBUST = """
net, far = mlp(64, 32, 1), y.float() / 5 - 1
optimizer = torch.optim.Adam(net.parameters(), 1e-3)
for step in range(120):
    k = torch.randint(0, len(x), (64,))
    error = net(x[k])SHAPE - far[k]
    loss = torch.where(error.abs() < 1, 0.5 * error * error, error.abs() - 0.5).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def made(code: str, **words: str) -> Callable[[], Any]:
    """A script with its words put in."""
    for name, value in words.items():
        code = code.replace(name, value)
    return script(code)


MET_FAULTY: dict[str, tuple[tuple[str, ...], Callable[[], Any]]] = {
    "met: rate, after a warm-up, mixup": (RATE, made(WARMED, RATE="3.0")),
    "met: student, teacher's optimiser": (HELD, made(DISTILLED, WHOSE="teacher")),
    "met: vae, minus the error": (SIGN, made(CODED, SIGN="-")),
    "met: coder, sigmoid last": (LAST, made(FITTED, LAST=", nn.Sigmoid()", OUT="net(a)")),
    "met: coder, tanh in the loop": (LAST, made(FITTED, LAST="", OUT="net(a).tanh()")),
    "met: huber by hand, a table": (TABLE, made(ROBUST, SHAPE="")),
    "met: trunk in its own variable": (HELD, made(TRUNK, HELD="head.parameters()")),
}
MET_HEALTHY: dict[str, Callable[[], Any]] = {
    "met: warm-up, mixup": made(WARMED, RATE="3e-3"),
    "met: coder": made(FITTED, LAST="", OUT="net(a)"),
    "met: coder, tanh scaled": made(FITTED, LAST=", nn.Tanh()", OUT="12 * net(a)"),
    "met: huber by hand": made(ROBUST, SHAPE="[:, 0]"),
    "met: student and teacher": made(DISTILLED, WHOSE="student"),
    "met: vae": made(CODED, SIGN=""),
    "met: trunk and head": made(TRUNK, HELD="[*trunk.parameters(), *head.parameters()]"),
}
