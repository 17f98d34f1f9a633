"""A summed loss has gradients as many times larger as there are samples in the batch."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import answer, seen, training
from ._readings import lr_now_and_peak, one_digit, probed, progress, short, went_nonfinite

ADAPTIVE = ("adam", "rmsprop", "adagrad", "adadelta", "lbfgs", "rprop", "adafactor")
CALLS = 3


class SumReduction(Check):
    """A loss summed over the batch under an optimiser that follows its scale."""

    id = "loss-sum-reduction"
    signal = "reduction of the loss, the kind of optimiser, and whether the loss falls"
    threshold = "sum, not adaptive, and the loss does not fall (else advice)"
    source = "notes 003: the learning rate belongs to the mean over the batch"
    why = "the step is batch size times too long, and changes with the batch size"
    do = "reduction='mean', or divide the learning rate by the batch size"
    bad = "loss = F.cross_entropy(net(x), y, reduction='sum')"
    good = "loss = F.cross_entropy(net(x), y)"
    explains = ("lr-too-high", "grad-exploding", "numerics-nan-loss", "init-loss-unexpected",
                "arch-dead-relu", "arch-saturated", "output-constant")  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Adam divides the scale out again: quiet there."""
        calls = [row.get("reduction") for row in chart.loss_calls]
        names = [str(o.get("name")).lower() for o in chart.facts.get("optimizers") or ()]
        adaptive = any(name.startswith(ADAPTIVE) or "adam" in name for name in names)
        heard = len(calls) >= CALLS and set(calls) == {"sum"}
        if not (heard or len(probed(chart, "summed")) >= 2) or not names or adaptive:
            return None
        harmless = progress(chart) > 0.1 and not went_nonfinite(chart)
        batch, lr = chart.facts.get("batch_size") or 0, lr_now_and_peak(chart)[1]
        return self.finding(
            f"the loss is summed over {batch or 'the'} samples under {names[0]} at lr {short(lr)}"
            + ("" if harmless else ", and does not fall"),
            level="advice" if harmless else self.level,
            settings={"lr": one_digit(lr / batch)} if batch and lr else {},
            confidence=0.6 if harmless else 0.8,
            evidence={"batch": batch, "lr": lr},
        )


def sick() -> list[Chart]:
    """SGD at 0.1 on a sum over 64."""
    facts = {"optimizers": [{"name": "SGD", "lr": 0.1}]}
    call = {"reduction": "sum", "value": lambda t: 147.0 * 2**t}
    first = seen("nonfinite", 9, what="loss")
    own = [answer("summed", t, size=64) for t in (1, 8)]
    return [training(10, facts=facts, loss_call=call, step={"loss": call["value"], "lr": 0.1},
                     sick=(first,)),
            training(10, facts=facts, step={"loss": call["value"], "lr": 0.1},
                     sick=(*own, first))]  # fmt: skip


def healthy() -> list[Chart]:
    """Adam; SGD at a rate that fits."""
    call = {"reduction": "sum", "value": lambda t: 147.0 * 0.9**t}
    facts = {"optimizers": [{"name": "SGD", "lr": 1e-3}]}
    return [training(loss_call=call, step={"loss": call["value"]}),
            training(facts=facts, loss_call=call, step={"loss": call["value"]})]  # fmt: skip


CHECKS = {SumReduction.id: SumReduction()}
