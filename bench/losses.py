"""What losses do: digits by each loss of a recipe, and toy faces told apart that nobody trained on.

Digits: recipe=digits_lenet with `loss=`, three seeds, accuracy of the last epoch on the 360 images
of other writers. Faces: toy faces of 100 people; a network learns 60 of them, and pairs of the
other 40 are the same person or not by the cosine of their features. The score is the accuracy at
the best threshold; the losses differ in the last layer only.
"""

import sys
import tempfile

import torch
from _timing import record_goals
from torch import Tensor, nn
from torch.nn import functional as F

import snellen as sn

LOSSES = {  # squared hinge has gradients that grow with the scores: a tenth of the recipe's lr
    "cross-entropy": {},
    "hinge": {"label_smoothing": 0.0, "lr": 0.02},
    "squared-hinge": {"label_smoothing": 0.0, "lr": 0.02},
    "am-softmax": {"label_smoothing": 0.0},
}
SEEDS = (0, 1, 2)
PEOPLE, KNOWN, PICTURES, PIXELS, BASIS, WIDTH = 100, 60, 20, 100, 10, 16


def digits(loss: str, seed: int, project: str) -> float:
    """Accuracy of the last epoch."""
    run = sn.train(recipe="digits_lenet", loss=loss, seed=seed, project=project, quiet=True,
                   **LOSSES[loss])  # fmt: skip
    rows = [line.split(",") for line in run.folder.metrics.read_text().splitlines()]
    return float(next(r[-1] for r in reversed(rows) if r[2] == "val" and r[3] == "accuracy"))


def faces(seed: int) -> tuple[Tensor, Tensor]:
    """Faces as eigenfaces make them, x_ND and person_N: a person's mixture of ten pictures, three
    times as much of ten pictures of light and pose, and noise.
    """
    generator = torch.Generator().manual_seed(seed)

    def randn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    person_N = torch.arange(PEOPLE).repeat_interleave(PICTURES)
    identity_ND = randn(PEOPLE, BASIS)[person_N] @ randn(BASIS, PIXELS)
    light_ND = randn(len(person_N), BASIS) @ randn(BASIS, PIXELS)
    x_ND = (identity_ND + 3.0 * light_ND) / BASIS**0.5
    return x_ND + 0.3 * randn(*x_ND.shape), person_N


class Plain(nn.Module):
    """features_BD, labels_B -> softmax cross-entropy of a linear layer."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.last = nn.Linear(width, classes)

    def forward(self, features_BD: Tensor, labels_B: Tensor) -> Tensor:
        return F.cross_entropy(self.last(features_BD), labels_B)


class Cosine(nn.Module):
    """features_BD, labels_B -> AM-softmax; margin 0 is the normalised softmax."""

    def __init__(self, classes: int, width: int, margin: float) -> None:
        super().__init__()
        self.last, self.margin = sn.nn.CosineLinear(width, classes, scale=1.0), margin

    def forward(self, features_BD: Tensor, labels_B: Tensor) -> Tensor:
        cosines_BK = self.last(features_BD)
        return sn.nn.am_softmax(cosines_BK, labels_B, margin=self.margin, scale=20.0)


MARGIN = "AM-softmax, m=0.35"
HEADS = {
    "softmax": lambda: Plain(KNOWN, WIDTH),
    "normalised softmax": lambda: Cosine(KNOWN, WIDTH, 0.0),
    "L-softmax, m=2": lambda: sn.nn.LSoftmax(KNOWN, WIDTH, 2, mix=1.0),
    "A-softmax, m=4": lambda: sn.nn.ASoftmax(KNOWN, WIDTH, 4),
    MARGIN: lambda: Cosine(KNOWN, WIDTH, 0.35),
}


def verification(name: str, seed: int, num_steps: int = 400) -> float:
    """Share of the pairs of unknown people that a threshold on the cosine tells right."""
    x_ND, person_N = faces(seed)
    torch.manual_seed(seed)
    known = person_N < KNOWN
    body = nn.Sequential(nn.Linear(PIXELS, 64), nn.ReLU(), nn.Linear(64, WIDTH))
    loss = HEADS[name]()
    optimizer = torch.optim.Adam([*body.parameters(), *loss.parameters()], 2e-3)
    x, y = x_ND[known], person_N[known]
    for _ in range(num_steps):
        rows = torch.randint(len(x), (128,))
        optimizer.zero_grad()
        loss(body(x[rows]), y[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        features = body(x_ND[~known])
    return told_apart(features, person_N[~known])


def told_apart(features_ND: Tensor, person_N: Tensor) -> float:
    """As many other pairs as same ones, accuracy at the best threshold on the cosine."""
    cos_NN = F.normalize(features_ND) @ F.normalize(features_ND).T
    upper = torch.ones_like(cos_NN, dtype=torch.bool).triu(1)
    same = (person_N[:, None] == person_N) & upper
    ours, others = cos_NN[same].sort().values, cos_NN[upper & ~same].sort().values
    true = 1 - torch.searchsorted(ours, others) / len(ours)  # accepted at each threshold
    false = 1 - torch.arange(len(others)) / len(others)
    return float(((true + 1 - false) / 2).max())


def rise(verified: dict[str, list[float]], peer: str) -> float:
    """By how much AM-softmax is above another, in the seed where that is least."""
    return min(a - b for a, b in zip(verified[MARGIN], verified[peer], strict=True))


def main() -> None:
    torch.set_num_threads(1)
    verified = {name: [verification(name, seed) for seed in SEEDS] for name in HEADS}
    for name, scores in verified.items():
        print(f"  faces   {name:<20} {'  '.join(f'{s:.4f}' for s in scores)}")
    if "faces" in sys.argv:
        return
    with tempfile.TemporaryDirectory() as folder:
        right = {name: [digits(name, seed, folder) for seed in SEEDS] for name in LOSSES}
    for name, scores in right.items():
        print(f"  digits  {name:<20} {'  '.join(f'{s:.4f}' for s in scores)}")
    worst = min(map(min, right.values()))
    goals = {
        "digits, worst of three seeds, any loss": (worst, 0.95, "at least"),
        **{f"faces, {MARGIN} over {peer}, least rise": (rise(verified, peer), 0.002, "at least")
           for peer in ("softmax", "normalised softmax")},
    }  # fmt: skip
    record_goals("losses", goals, digits=right, faces=verified)


if __name__ == "__main__":
    main()
