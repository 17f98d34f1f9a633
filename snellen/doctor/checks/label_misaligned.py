"""Labels that went through another shuffle than their samples: there is nothing to learn."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import examined, training
from ._readings import ends, finite, is_cross_entropy, label_entropy, num, num_optimizers

LEAST, SIGMAS, UNEVEN = 200, 3.0, 0.8  # samples; noise; a share of one class that hides all
CHANCE, EPOCH, STEPS = 0.93, 0.97, 20  # of chance's loss: at the end, over the first epoch


class LabelMisaligned(Check):
    """Labels that have nothing in common with their samples."""

    id = "label-misaligned"
    signal = "votes of each sample's likenesses on its label, and the loss beside that of chance"
    threshold = (
        f"agreement within {SIGMAS:g} sigma of guessing, {LEAST} samples or more; and a"
        " loss that stays at chance, or falls only by learning single samples by heart"
    )
    source = (
        "measured: 19 real and made sets are right in 12 sigma more than guessing, shuffled"
        " ones in 1"
    )
    why = "where labels do not belong to their samples the network can only learn them by heart"
    do = "shuffle images and labels with the same permutation, and look at some pairs"
    bad = "x, y = x[torch.randperm(n)], y[torch.randperm(n)]"
    good = "order = torch.randperm(n); x, y = x[order], y[order]"
    explains = (
        "gen-overfit", "gen-underfit", "gen-stopped-early", "label-noise", "lr-too-high",
        "lr-too-low", "output-constant", "label-map-mismatch", "init-loss-unexpected",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Before a training the votes need a network that can learn twenty samples by heart."""
        exam = chart.exams.get("votes") or {}
        right, chance, count = (num(exam, k) for k in ("right", "chance", "count"))
        if right is None or chance is None or count is None or count < LEAST:
            return None
        if chance > UNEVEN:
            return None
        sigma = (chance * (1 - chance) / count) ** 0.5
        if right > chance + SIGMAS * sigma or num_optimizers(chart) > 1:
            return None
        told = self._training(chart)
        if not told:
            return None
        words, confidence = told
        return self.finding(
            f"of {int(count)} samples {right:.0%} have the label of their likenesses, and guessing"
            f" gives {chance:.0%}; {words}",
            confidence=confidence,
            evidence={"right": right, "chance": chance, "count": int(count)},
        )

    def _training(self, chart: Chart) -> tuple[str, float] | None:
        """What the loss says of it, or None where the training does learn something."""
        skill = chart.exams.get("skill") or {}
        series = [(r["step"], *finite([r.get("loss")])) for r in chart.steps if not
                  r.get("optimizer")]  # fmt: skip
        losses = [row for row in series if len(row) == 2]
        if len(losses) < STEPS or not is_cross_entropy(chart):
            memory = chart.exams.get("memory") or {}
            if len(losses) < STEPS and memory.get("learnt"):
                return "20 samples can be learnt by heart, so the network works", 0.7
            return None
        base, at_end = label_entropy(chart), ends([loss for _, loss in losses])[1]
        if at_end > CHANCE * base:
            return f"the loss is {at_end:.3g} where guessing costs {base:.3g}", 0.8
        epoch = int(chart.facts.get("steps_per_epoch") or 0)
        first = [loss for step, loss in losses if step < epoch]
        if len(first) < STEPS or ends(first)[1] < EPOCH * base:
            return None
        score, chance = num(skill, "val_accuracy"), num(skill, "val_chance")
        if score is None or chance is None:
            return f"the first epoch taught nothing (loss {ends(first)[1]:.3g})", 0.65
        sigma = (chance * (1 - chance) / max(1.0, num(skill, "val_count") or 1)) ** 0.5
        if score > chance + SIGMAS * sigma:
            return None
        return f"validation is right in {score:.0%}, as by guessing", 0.85


def sick() -> list[Chart]:
    """At chance all along; learnt by heart; not yet trained."""
    by_heart = {"loss": lambda t: 2.32 if t < 30 else 2.3 * 0.9 ** (t - 30)}
    exam, skill = examined("votes", right=0.11, chance=0.1, count=1400), examined(
        "skill", val_accuracy=0.1, val_chance=0.11, val_count=300)  # fmt: skip
    return [
        training(step={"loss": 2.3}, loss_call={"value": 2.3}, sick=(exam,)),
        training(60, step=by_heart, facts={"steps_per_epoch": 30}, sick=(exam, skill)),
        training(0, sick=(exam, examined("memory", learnt=True, finished=True, samples=20))),
    ]


def healthy() -> list[Chart]:
    """Labels that agree; a task that no likeness solves but the network does; few samples."""
    return [
        training(sick=(examined("votes", right=0.9, chance=0.1, count=1400),)),
        training(sick=(examined("votes", right=0.11, chance=0.1, count=1400),)),
        training(step={"loss": 2.3}, loss_call={"value": 2.3}, params={"*": {"update_ratio": 1e-3}},
                 sick=(examined("votes", right=0.11, chance=0.1, count=150),)),
    ]  # fmt: skip


CHECKS = {LabelMisaligned.id: LabelMisaligned()}
