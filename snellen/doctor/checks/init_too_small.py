"""Weights drawn too narrow make the signal fade before it reaches the last layer."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import depth_factor, progress, short, surer

FACTOR, LAYERS = 0.2, 3


class InitTooSmall(Check):
    """Activations that fade with depth before the first step."""

    id = "init-too-small"
    signal = "std of the outputs of the weight layers at step 0, factor a layer"
    threshold = FACTOR
    source = "notes 002, weight initialisation: N(0, 0.01); PyTorch's own default measures 0.4"
    why = "the last layers see almost nothing, and the first ones get almost no gradient"
    do = "std = sqrt(2 / fan_in) for ReLU (He), sqrt(1 / fan_in) for tanh (Xavier), or batch norm"
    bad = "nn.init.normal_(layer.weight, std=0.001)"
    good = "nn.init.kaiming_normal_(layer.weight)"
    explains = (
        "grad-vanishing", "lr-too-low", "output-constant", "weights-not-updating",
        "params-no-grad", "arch-dead-relu", "gen-underfit",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Without the last layer, which may start at zero; quiet where the loss falls anyway."""
        factor, first, last = depth_factor(chart, LAYERS, head=False)
        if not 0 < factor < FACTOR or progress(chart) > 0.2:
            return None
        return self.finding(
            f"the outputs fade from std {short(first)} to {short(last)} with depth, to"
            f" {factor:.2f} of their size a layer, before the first step",
            confidence=surer(factor, FACTOR, 0.7, 0.9),
            evidence={"factor": factor, "first": first, "last": last},
        )


def sick() -> list[Chart]:
    """N(0, 0.001) in layers of 64: a hundredth a layer."""
    fading: dict[str, dict] = {"fc1": {"std": 0.03}, "fc2": {"std": 3e-4}, "head": {"std": 3e-8},
              "fc3": {"std": 3e-6, "facts": {"kind": "Linear"}},
              "out": {"std": 0.07, "facts": {"kind": "Linear"}}}  # fmt: skip
    return [training(layers=fading, step={"loss": 2.303})]


def healthy() -> list[Chart]:
    """PyTorch's default: 0.4 a layer; a zero head."""
    default = {"fc1": {"std": 0.58}, "fc2": {"std": 0.22}, "head": {"std": 0.1}}
    return [training(layers=default), training(layers={"head": {"std": 0.0}})]


CHECKS = {InitTooSmall.id: InitTooSmall()}
