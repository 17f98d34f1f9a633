"""Weights drawn too wide make each layer's output larger than the one before."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import depth_factor, short, surer

FACTOR, LAYERS = 10 ** (1 / 5) * 1.26, 3


class InitTooLarge(Check):
    """Activations that grow with depth before the first step."""

    id = "init-too-large"
    signal = "std of the outputs of the weight layers at step 0, factor a layer"
    threshold = round(FACTOR, 2)
    source = "notes 002, weight initialisation"
    why = "outputs, losses and gradients start large: the first steps are leaps in the dark"
    do = "std = sqrt(2 / fan_in) for ReLU (He), sqrt(1 / fan_in) for tanh (Xavier)"
    bad = "nn.init.normal_(layer.weight, std=1.0)"
    good = "nn.init.kaiming_normal_(layer.weight)"
    explains = (
        "init-loss-unexpected", "grad-exploding", "arch-saturated", "numerics-nan-loss",
        "lr-too-high", "arch-dead-relu", "lr-too-low", "loss-output-activation", "gen-underfit",
        "output-constant", "grad-vanishing", "weights-not-updating", "params-no-grad",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Three weight layers or more, without norms between."""
        factor, first, last = depth_factor(chart, LAYERS)
        if factor <= FACTOR or last < 10:
            return None
        return self.finding(
            f"the outputs grow from std {short(first)} to {short(last)} with depth, {factor:.1f}"
            " times a layer, before the first step",
            confidence=surer(factor, FACTOR, 0.7, 0.9),
            evidence={"factor": factor, "first": first, "last": last},
        )


def sick() -> list[Chart]:
    """Standard normal weights in layers of 64."""
    wide = {"fc1": {"std": 27.0}, "fc2": {"std": 150.0}, "head": {"std": 860.0}}
    loss = {"value": lambda t: 900 - 5.0 * t}
    return [training(layers=wide, step={"loss": loss["value"]}, loss_call=loss)]


def healthy() -> list[Chart]:
    """Equal at all depths; a network that reads out in large units."""
    units = {"fc1": {"std": 0.5}, "fc2": {"std": 0.6}, "head": {"std": 1.4}}
    return [training(), training(layers=units)]


CHECKS = {InitTooLarge.id: InitTooLarge()}
