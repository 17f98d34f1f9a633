"""A sample that was trained on cannot be used to judge what was learnt."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import examined, training
from ._readings import num

SHARE, LEAST, REPEATS = 0.005, 3, 0.5


class LeakTrainVal(Check):
    """Validation samples that lie in the training set too."""

    id = "data-leak-train-val"
    signal = "rows, bytes and shrunk pictures of validation samples beside those of training"
    threshold = f"more than {SHARE:.1%} of the validation samples, {LEAST} or more"
    source = "notes 002: the validation set must hold other samples than the training set"
    why = "the score counts samples that the network knows by heart"
    do = "leave these samples out of the validation set; split before augmenting or copying"
    bad = "train, val = Subset(data, range(0, 900)), Subset(data, range(800, 1000))"
    good = "train, val = Subset(data, range(0, 800)), Subset(data, range(800, 1000))"
    explains = ("gen-val-too-good",)

    def look(self, chart: Chart) -> Finding | None:
        """Sets that repeat themselves anyway (small tables of whole numbers) repeat in val too."""
        exam = chart.exams.get("copies") or {}
        searched = num(exam, "searched") or 0
        exact, near = num(exam, "exact") or 0, num(exam, "near") or 0
        by_row = num(exam, "overlap") or 0
        whole = max(exact, by_row)
        share = whole / max(1.0, searched)
        near_share = near / max(1.0, num(exam, "searched_near") or searched)
        count = int(whole + near)
        if count < LEAST or share + near_share <= SHARE:
            return None
        if not by_row and (num(exam, "inside") or 0) > REPEATS * share:
            return None
        pairs = exam.get("pairs") or []
        shown = "; ".join(f"val {a} is train {b}" for a, b in pairs[:3])
        kind = f"{int(near)} of them nearly" if near else "exactly"
        return self.finding(
            f"{count} of {int(searched)} validation samples lie in the training set too, {kind}"
            f" ({shown})",
            samples=tuple(exam.get("samples") or ()),
            samples_of="val",
            paths=tuple(exam.get("paths") or ()),
            confidence=0.97 if by_row else 0.9 if exact else 0.8,
            evidence={"exact": int(exact), "near": int(near), "same_rows": int(by_row),
                      "pairs": pairs},
        )  # fmt: skip


def sick() -> list[Chart]:
    """A split that overlaps; copies of pictures."""
    rows = [[800, 3], [801, 9], [802, 11]]
    return [
        _copied(exact=100, overlap=100, samples=[800, 801, 802], pairs=rows),
        _copied(near=40, searched_near=497, samples=[800, 801, 802], pairs=rows),
    ]


def healthy() -> list[Chart]:
    """One chance copy; a table that repeats itself everywhere."""
    return [_copied(exact=1, samples=[4], pairs=[[4, 2]]), _copied(exact=60, inside=0.15)]


def _copied(**values: object) -> Chart:
    return training(sick=(examined("copies", **{"searched": 497, "inside": 0.0, **values}),))


CHECKS = {LeakTrainVal.id: LeakTrainVal()}
