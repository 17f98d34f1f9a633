"""What the notes read off a training, and who reads it here: this file only says where each one is.

Words like `grad-vanishing` are checks of the doctor; docs/checks.md has their thresholds.
"""

from ..core.parts import Part


def _reading(where: str, about: str, notes: str = "003") -> Part:
    return Part("Gradients and checks", where, about, notes)


PARTS = {
    "Backpropagation by hand": _reading(
        "snellen.byhand.linear, snellen.byhand.activations, snellen.byhand.conv, "
        "snellen.byhand.pool, snellen.byhand.network",
        "forward and backward of every layer in NumPy; `python -m snellen.byhand conv`",
        "000 003",
    ),
    "Numerical gradient": _reading(
        "snellen.byhand.gradients.numerical_gradient, sn.optim.numerical_gradient",
        "(f(x+h) - f(x)) / h errs by h, (f(x+h) - f(x-h)) / 2h by its square",
        "001 003",
    ),
    "Vanishing and exploding gradients": _reading(
        "sn.doctor, snellen.byhand.network.sigmoid_chain",
        "norms layer by layer: a product of W f'; `grad-vanishing`, `grad-exploding`",
        "000 001 003 004",
    ),
    "Activations and gradients by layer": _reading(
        "sn.doctor",
        "mean, deviation, dead and saturated share, gradient's norm; `arch-saturated`, "
        "`arch-dead-relu`, `init-too-small`, `init-too-large`",
    ),
    "Dead ReLU rate": _reading(
        "sn.doctor", "share of units that no sample of a batch opens; `arch-dead-relu`",
        "002 003 004",
    ),
    "Weight-update ratio": _reading(
        "sn.doctor",
        "|change| / |weight| of a step, about 1e-3; measured for every weight of a training",
    ),
    "Initial loss": _reading(
        "sn.doctor",
        "ln K of a cross-entropy, which `init-loss-unexpected` judges; (K-1) delta of the hinge",
    ),
    "Overfitting 20 samples": _reading(
        "sn.doctor", "`snellen doctor --preflight`; `check-cannot-overfit-20`", "002 003"
    ),
    "Reading a loss curve": _reading(
        "sn.doctor",
        "`lr-too-low`, `lr-too-high`, `numerics-nan-loss`, `gen-stopped-early`",
        "002 003",
    ),
    "Gap between training and validation": _reading(
        "sn.doctor", "`gen-overfit`, `gen-underfit`, `gen-val-too-good`"
    ),
    "First-layer filters": _reading("sn.doctor", "noisy or smooth; `arch-filters-noisy`"),
    "Where a NaN comes from": _reading(
        "sn.doctor",
        "the bad sample in one pass, the layer, log(0); `data-nonfinite`, `data-poison-sample`, "
        "`loss-unstable-log`, `numerics-nan-loss`",
        "000",
    ),
    "Zero-centred inputs": _reading(
        "sn.doctor", "all inputs positive: a unit's gradients share one sign; `data-not-centred`",
        "002 003",
    ),
}  # fmt: skip
