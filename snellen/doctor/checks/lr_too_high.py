"""A step should move a weight by about a thousandth of its size; a tenth is a leap."""

import math
from collections import defaultdict
from statistics import mean, median

from ..chart import Chart, Trace
from ..check import Check
from ..finding import Finding
from ._cases import Values, seen, training
from ._readings import (
    ends,
    finite,
    losses,
    lr_now_and_peak,
    num_optimizers,
    one_digit,
    probed,
    short,
    surer,
    weights,
    went_nonfinite,
)

LEAP, WATCHED = 0.1, 20
USUAL, PLAIN = 3e-3, 0.02  # of the first step, as proposed; of descent without momentum
LEAPS, VAST = 5, 0.5  # where several optimisers step: of the first so many; of the very first
LEARNT = 0.9  # of the first loss is gone: the steps serve
GREW, FAR, WILD = 3.0, 10.0, 100.0  # times its first size: no noise, whatever the loss is


class LearningRateTooHigh(Check):
    """Steps that leap over the minimum: the loss grows, oscillates or stays at chance."""

    id = "lr-too-high"
    signal = "|dw| / |w| a step, median over the weights; and the trend of the loss"
    threshold = LEAP
    source = "notes 003, learning rates; torchmortem 0.1; healthy trainings measure up to 0.02"
    why = "each step leaps over the minimum, so the loss grows or stays where it was"
    do = "divide the learning rate by ten, or take the value given here"
    bad = "optimizer = torch.optim.SGD(net.parameters(), lr=10.0)"
    good = "optimizer = torch.optim.SGD(net.parameters(), lr=0.01)"
    explains = (
        "numerics-nan-loss", "arch-dead-relu", "arch-saturated", "grad-exploding",
        "grad-vanishing", "output-constant", "weights-not-updating", "params-no-grad",
        "gen-overfit", "loss-output-activation", "loss-unstable-log", "gen-underfit",
        "bn-stale-stats",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Leaps with a loss that does not fall, or a loss that grew many times over."""
        if chart.nonfinite and chart.nonfinite[0]["step"] == 0:
            return None  # it broke before the first step was taken
        ratios = _warm(chart, _step_ratios(weights(chart)))
        leaps = [step for step, ratio in ratios[:WATCHED] if ratio > LEAP]
        grew = _growth(chart)
        if not (_leaps_in_vain(chart, ratios, len(leaps)) or _blew_up(chart, ratios, grew)):
            return self._one_of_several(chart)
        typical = median([r for _, r in ratios[:WATCHED]] or [0.0])
        largest = max((r for _, r in ratios[:WATCHED]), default=0.0)
        seen_losses = losses(chart)
        return self.finding(
            f"one step moves the weights by up to {short(largest)} of their size (about 0.001 is"
            f" usual); the loss went from {_way(seen_losses)}"
            if seen_losses
            else f"one step moves the weights by up to {short(largest)} of their size",
            level="error" if went_nonfinite(chart) or grew > 2 else self.level,
            settings=_mend(chart, _first(ratios)),
            explains=self.explains if _statistics_follow(chart) else self.explains[:-1],
            since=leaps[0] if leaps else 0,
            confidence=surer(max(largest, LEAP), LEAP, 0.75, 0.95),
            evidence={"update_ratio": typical, "largest": largest, "loss_growth": grew},
        )

    def _one_of_several(self, chart: Chart) -> Finding | None:
        """An optimiser whose first step moves its weights by about their size, and goes on so.

        With several (a GAN, an actor and its critic) no loss has to fall: only the steps tell.
        """
        if num_optimizers(chart) < 2:
            return None
        for index, traces in _by_optimizer(chart).items():
            ratios = _step_ratios(traces)[:WATCHED]
            leaps = sum(ratio > LEAP for _, ratio in ratios)
            if len(traces) < 2 or leaps < LEAPS or ratios[0][1] < VAST:
                continue
            first, rate = ratios[0][1], max(finite(traces[0].column("lr")), default=0.0)
            named = traces[0].name.rpartition(".")[0] or traces[0].name
            return self.finding(
                f"of {num_optimizers(chart)} optimisers, that of {named} (learning rate"
                f" {short(rate)}) moved its weights by {short(first)} of their size at its first"
                f" step (about 0.001 is usual), and by more than {LEAP:g} at {leaps} of its first"
                f" {len(ratios)}",
                do=f"divide the learning rate of this optimiser by {_fold(first)}",
                where={"parameter": traces[0].name},
                since=ratios[0][0],
                confidence=surer(first, LEAP, 0.75, 0.95),
                evidence={"update_ratio": first, "leaps": leaps, "optimizer": index, "lr": rate},
            )
        return None


def _warm(chart: Chart, ratios: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """The ratios from where the rate has reached half of its peak, after a warm-up."""
    known = [(row["step"], row["lr"]) for row in chart.steps
             if finite([row.get("lr")]) and not row.get("optimizer")]  # fmt: skip
    peak = max((lr for _, lr in known), default=0.0)
    begins = next((step for step, lr in known if lr >= peak / 2), 0)
    return [(step, ratio) for step, ratio in ratios if step >= begins] or ratios


def _by_optimizer(chart: Chart) -> dict[int, list[Trace]]:
    """The weights by the optimiser that moves them, where that is known."""
    found: dict[int, list[Trace]] = defaultdict(list)
    for trace in weights(chart):
        index = trace.facts.get("optimizer")
        if index is not None and len(trace.facts.get("shape") or ()) > 1:
            found[index].append(trace)
    return dict(sorted(found.items()))


def _way(series: list[float]) -> str:
    """How the loss went, its peak where it came back from one and fell by half.

    >>> _way([2.3, 900.0, 0.1])
    '2.3 by way of 900 to 0.1'
    """
    peak, fell = max(series), series[-1] < series[0] / 2
    by_way = f" by way of {short(peak)}" if fell and peak > GREW * abs(series[0]) else ""
    return f"{short(series[0])}{by_way} to {short(series[-1])}"


def _fold(ratio: float) -> str:
    return short(10 ** math.ceil(math.log10(ratio / USUAL)))


def _step_ratios(traces: list[Trace]) -> list[tuple[int, float]]:
    """(step, median over the weights of |dw|/|w|); weights that began at zero do not count."""
    by_step: dict[int, list[float]] = defaultdict(list)
    for trace in traces:
        if trace.rows and trace.rows[0].get("weight_norm", 1.0) < 1e-6:
            continue  # any step is large beside nothing
        for row in trace.rows:
            size = row.get("weight_norm")
            if finite([row.get("update_ratio")]) and (size is None or size > 1e-6):
                by_step[row["step"]].append(row["update_ratio"])
    return sorted((step, median(values)) for step, values in by_step.items())


def _growth(chart: Chart) -> float:
    """How many times its first size the loss reached, where one optimiser minimises it."""
    series = losses(chart)
    if num_optimizers(chart) > 1 or len(series) < 2 or series[0] <= 0:
        return 1.0
    return max(series) / max(mean(series[:1]), 1e-12)


def _leaps_in_vain(chart: Chart, ratios: list[tuple[int, float]], leaps: int) -> bool:
    if went_nonfinite(chart):
        return leaps >= 1
    if leaps < 5 or _fell(chart) > LEARNT:
        return False
    if median([ratio for _, ratio in ratios[len(ratios) // 2 :]]) > LEAP:
        return True
    return _fell(chart) < 0.3 and (_growth(chart) > GREW or _is_told(chart))


def _is_told(chart: Chart) -> bool:
    """Whether what is minimised is one call of a loss: a policy gradient's need not fall."""
    calls: dict[int, list[float]] = defaultdict(list)
    for row in chart.loss_calls:
        calls[row["step"]] += finite([row.get("value")])
    both = [(row["loss"], calls[row["step"]]) for row in chart.steps
            if finite([row.get("loss")]) and calls[row["step"]]]  # fmt: skip
    alike = sum(any(abs(v - loss) <= 0.2 * abs(loss) for v in values) for loss, values in both)
    if not chart.loss_calls.count:
        return min(losses(chart), default=0.0) >= 0  # returns less their mean go below zero
    return 2 * alike >= len(both)


def _fell(chart: Chart) -> float:
    """Progress since the very first loss: the leap comes with the first step."""
    series = losses(chart)
    first = min(series[0], ends(series)[0]) if series else 0.0
    return (first - ends(series)[1]) / max(abs(first), 1e-12) if series else 0.0


def _blew_up(chart: Chart, ratios: list[tuple[int, float]], grew: float) -> bool:
    """The loss reached 5 times its first value, after large steps; 100 times after vast ones."""
    largest = max((ratio for _, ratio in ratios[:WATCHED]), default=LEAP)
    learnt = _fell(chart) > LEARNT and not went_nonfinite(chart)  # L-BFGS leaps once, and is there
    if grew > WILD and largest > 1 and ratios[0][1] > LEAP and not learnt:
        return True  # even where it came back: what was drawn at first is lost
    if grew > FAR and ratios and ratios[0][0] > 0 and ratios[0][1] > LEAP and _is_told(chart):
        return True  # after a warm-up, of which few steps were looked at
    stays = went_nonfinite(chart) or _fell(chart) < 0.1
    return grew > 5 and stays and largest > LEAP / 2


def _first(ratios: list[tuple[int, float]]) -> float:
    """The leap of the first steps: later ones start from weights that are lost already."""
    early = [ratio for _, ratio in ratios[:3]]
    return next((ratio for ratio in early if ratio > LEAP), max(early, default=LEAP))


def _statistics_follow(chart: Chart) -> bool:
    """Whether batch norm's momentum lets them: then that they lag is the work of the leaps."""
    return all(m is not None and m > 0 for row in probed(chart, "modes")
               for m in row.get("momentum") or ())  # fmt: skip


def _mend(chart: Chart, ratio: float) -> dict[str, float]:
    """The rate that would move the weights by the usual share."""
    lr = lr_now_and_peak(chart)[1]
    first = (chart.facts.get("optimizers") or [{}])[0]
    usual = PLAIN if first.get("name") == "SGD" and not first.get("momentum") else USUAL
    return {"lr": one_digit(lr * min(0.1, max(1e-5, usual / max(ratio, 1e-9))))} if lr else {}


def sick() -> list[Chart]:
    """Ten times too large: stuck at chance; and back; a GAN's one; after a warm-up; overflow."""
    leap = {"*": {"update_ratio": 0.6, "update_norm": 2.8}}
    stuck = {"loss": lambda t: 2.3 + 3 * (t in (1, 2, 3)) + 0.02 * (t % 3), "lr": 1.0}
    wild = {"loss": lambda t: 2.3 * 40**t if t < 8 else float("nan"), "lr": 100.0}
    lost = {"*": {"update_ratio": lambda t: 6.0 / (t + 1), "update_norm": 2.8}}
    back = {"loss": lambda t: 1.0 + 4e6 * (t in (1, 3)) - 0.01 * t, "lr": 1.0}
    adversary: Values = {"num_optimizers": 2, "targets": "unknown", "classes": None}
    maker: Values = {"update_ratio": lambda t: 8.0 / (1 + 2 * t), "lr": 1.0,
             "facts": {"optimizer": 1}}  # fmt: skip
    pair = {"fc1.weight": maker, "fc2.weight": maker, "head.weight": {"facts": {"optimizer": 0}}}
    warm = {"*": {"update_ratio": lambda t: 1e-6 if t < 20 else 0.6 if t < 24 else 0.05}}
    late = {"loss": lambda t: 2.3 if t < 20 else 90.0 - 2.3 * t, "lr": lambda t: 1.0 * (t > 19)}
    overflow = seen("nonfinite", 8, what="loss", module="head")
    return [
        training(params=leap, step=stuck),
        training(params=lost, step=back),
        training(params=warm, step=late, loss_call={"value": late["loss"]}),
        training(params=pair, facts=adversary, step={"loss": 0.7}, loss_call={"function": "bce"}),
        training(9, params={"*": {"update_ratio": 30.0}}, step=wild, sick=(overflow,)),
    ]


def healthy() -> list[Chart]:
    """LBFGS; a small regression's first steps; a zero head; a GAN's rising loss; an actor's."""
    fast = {"*": {"update_ratio": 0.076}}
    small = {"*": {"update_ratio": lambda t: 0.4 * 0.8**t}}
    head = {"head.weight": {"weight_norm": lambda t: 0.01 * t, "update_ratio": lambda t: 1 / t
                            if t else 0.0}}  # fmt: skip
    leaps = {"*": {"update_ratio": lambda t: 0.2 if t < 8 else 0.03}}
    newton = {"loss": lambda t: 0.7 + 80.0 * (t == 1) if t < 2 else 0.7 * 0.1**t, "lr": 1.0}
    search = {"*": {"update_ratio": lambda t: 2.3 * 0.5**t}}
    parts = {"function": "smooth_l1_loss", "value": 0.4, "classes": None}
    return [
        training(params=leaps, step={"loss": lambda t: 8 + 2 * math.sin(t)}, loss_call=parts,
                 facts={"targets": "value", "classes": None}),
        training(params=fast),
        training(params=search, step=newton, loss_call={"value": newton["loss"]}),
        training(params=small),
        training(params=head),
        training(facts={"num_optimizers": 2, "targets": "unknown", "classes": None},
                 step={"loss": lambda t: 0.5 + 0.1 * t}, loss_call={"function": "bce"}),
    ]  # fmt: skip


CHECKS = {LearningRateTooHigh.id: LearningRateTooHigh()}
