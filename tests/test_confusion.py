"""The confusion matrix and its scores are those of torchmetrics, absent classes included."""

import pytest
import torch

from snellen.data.sample import Prediction, Target
from snellen.tasks.classify import Confusion

# torchmetrics' macro mean leaves out a class that is neither true nor said; ours one that is not
# true. So in these cases each class that is said occurs.
CASES = {
    "many": (torch.randint(0, 5, (400,), generator=torch.Generator().manual_seed(0)), 5),
    "a class absent": (torch.tensor([0, 1, 3, 3, 1, 0, 0, 3]), 4),
    "one sample": (torch.tensor([2]), 3),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("wrong", [0.0, 0.3])
def test_scores_are_those_of_torchmetrics(name, wrong):
    functional = pytest.importorskip("torchmetrics.functional.classification")
    truth_N, num_classes = CASES[name]
    generator = torch.Generator().manual_seed(1)
    said_N = truth_N.clone()
    moved = torch.rand(len(truth_N), generator=generator) < wrong
    said_N[moved] = truth_N[torch.randperm(len(truth_N), generator=generator)][moved]
    metric = Confusion(num_classes)
    for part in torch.arange(len(truth_N)).split(3):  # in batches, as an evaluation does it
        predictions = [Prediction(label=int(said_N[i])) for i in part]
        metric.update(predictions, [Target(label=int(truth_N[i])) for i in part])
    scores = metric.compute()
    pair = (said_N, truth_N, num_classes)
    micro = functional.multiclass_accuracy(*pair, average="micro")
    assert scores["accuracy"] == pytest.approx(micro.item(), abs=1e-6)
    for ours, theirs in {"precision": functional.multiclass_precision,
                         "recall": functional.multiclass_recall,
                         "f1": functional.multiclass_f1_score}.items():  # fmt: skip
        assert scores[ours] == pytest.approx(theirs(*pair, average="macro").item(), abs=1e-6)
    counts_KK = functional.multiclass_confusion_matrix(*pair)
    assert torch.equal(metric.counts_KK, counts_KK)
