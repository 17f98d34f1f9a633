"""Class 3 of train must be class 3 of val; two folders sorted on their own need not agree."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import examined, training
from ._readings import num

LIFT, LEAST = 0.3, 50


class LabelMapMismatch(Check):
    """Validation labels that number the classes in another way than the training labels."""

    id = "label-map-mismatch"
    signal = "answers on validation samples by class, before and after renaming the classes"
    threshold = f"a renaming lifts the accuracy by more than {LIFT:g}, {LEAST} samples or more"
    source = "two readers that number the classes by themselves"
    why = "the network is right and is counted wrong; training longer cannot help"
    do = "number the classes once, from one list, for all parts"
    bad = "val = Folder('val')                          # one class is missing there: 0..8"
    good = "val = Folder('val', classes=train.classes)"
    explains = ("gen-overfit", "data-shift-train-val", "gen-val-too-good")

    def look(self, chart: Chart) -> Finding | None:
        """Only where the network has learnt the training labels."""
        exam = chart.exams.get("skill") or {}
        score, better = num(exam, "val_accuracy"), num(exam, "relabelled_accuracy")
        known, count = num(exam, "train_accuracy"), num(exam, "val_count")
        if score is None or better is None or known is None or not count or count < LEAST:
            return None
        if better - score <= LIFT or known < score + LIFT or better < 0.5 * known:
            return None
        mapping = exam.get("mapping") or {}
        shown = ", ".join(f"{a} is train's {b}" for a, b in list(mapping.items())[:5])
        return self.finding(
            f"validation is right in {score:.0%} of {int(count)} samples, and in {better:.0%} if"
            f" its classes are renamed (val's {shown}); training is right in {known:.0%}",
            confidence=0.9,
            evidence={"val": score, "renamed": better, "mapping": mapping},
        )


def sick() -> list[Chart]:
    """Nine classes in val, counted from 0 without the missing one."""
    mapping = {str(k): k + 1 for k in range(3, 9)}
    return [_skilled(val_accuracy=0.31, relabelled_accuracy=0.93, mapping=mapping)]


def healthy() -> list[Chart]:
    """The same numbers; a network that has learnt nothing, where any renaming helps a little."""
    return [
        _skilled(val_accuracy=0.93, relabelled_accuracy=0.93, mapping={}),
        _skilled(train_accuracy=0.12, val_accuracy=0.1, relabelled_accuracy=0.2),
    ]


def _skilled(**values: object) -> Chart:
    usual = {"train_accuracy": 0.97, "val_count": 300, "train_count": 1400}
    return training(sick=(examined("skill", **usual | values),))


CHECKS = {LabelMapMismatch.id: LabelMapMismatch()}
