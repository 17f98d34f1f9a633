"""A penalty on the weights that pulls harder than the data."""

from statistics import median

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import answer, training
from ._readings import finite, probed, short, surer

RATIO, BOTH = 1.0, 0.01


class PenaltyDominates(Check):
    """The gradient of the terms that know only parameters beside that of the rest."""

    id = "reg-penalty-dominates"
    signal = "norm of the penalty's gradient over that of the data's, in the first steps"
    threshold = RATIO
    source = "TheDeepChecker; notes 004, regularisation"
    why = "the weights go where the penalty wants them, not where the data does"
    do = "a smaller factor: the penalty's gradient a hundredth of the data's to start with"
    bad = "loss = F.cross_entropy(z, y) + 10 * sum(p.square().sum() for p in net.parameters())"
    good = "loss = F.cross_entropy(z, y) + 1e-4 * sum(p.square().sum() for p in net.parameters())"
    explains = ("output-constant", "reg-weight-decay-too-high", "gen-underfit", "lr-too-high",
                "grad-vanishing", "init-loss-unexpected", "lr-too-low", "arch-dead-relu",
                "params-no-grad", "weights-not-updating")  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Early, for later the two are in balance; advice where weight decay does it once more."""
        rows = probed(chart, "penalty")
        pairs = [finite([row.get("penalty"), row.get("data")]) for row in rows]
        ratios = [pair[0] / pair[1] for pair in pairs if len(pair) == 2 and pair[1] > 0]
        if len(ratios) < 3:
            return None
        decay = max((o.get("weight_decay") or 0) for o in chart.facts.get("optimizers") or [{}])
        ratio = median(ratios[:4])
        if ratio <= RATIO and not (decay and ratio > BOTH):
            return None
        twice = f"; weight_decay={short(decay)} does the same again" if decay else ""
        return self.finding(
            f"the penalty's gradient is {short(ratio)} times the data's{twice}",
            level=self.level if ratio > RATIO else "advice",
            do="keep one of the two" if ratio <= RATIO else self.do,
            confidence=surer(ratio, RATIO, 0.75) if ratio > RATIO else 0.6,
            evidence={"ratio": ratio, "weight_decay": decay},
        )


def sick() -> list[Chart]:
    """A factor of 10."""
    return [training(sick=tuple(answer("penalty", t, penalty=60.0, data=0.9) for t in (1, 3, 5)))]


def healthy() -> list[Chart]:
    """A usual one; in balance at the end only; with weight decay beside (advice)."""
    usual = tuple(answer("penalty", t, penalty=0.01, data=0.9) for t in (1, 3, 5))
    later = tuple(answer("penalty", t, penalty=0.2, data=2.0 / t) for t in (1, 3, 5, 8, 12, 16))
    both = tuple(answer("penalty", t, penalty=0.05, data=0.9) for t in (1, 3, 5))
    facts = {"optimizers": [{"name": "SGD", "lr": 0.1, "weight_decay": 1e-4}]}
    return [training(sick=usual), training(sick=later), training(facts=facts, sick=both)]


CHECKS = {PenaltyDominates.id: PenaltyDominates()}
