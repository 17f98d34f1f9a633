"""A reader that returns the same thing each time gives the network nothing to tell apart."""

from statistics import median

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import finite, short

STD, SHARE, BATCHES = 1e-5, 0.999, 3


class ConstantInput(Check):
    """Inputs without spread, or equal from sample to sample."""

    id = "data-constant-input"
    level = "error"
    signal = "std of the inputs, and the share of features that are equal in all samples of a batch"
    threshold = {"std": STD, "share": SHARE}
    source = "torch-audit TA302; TheDeepChecker (bags of words reach 0.9, so 0.999 here)"
    why = "inputs that are all alike can only teach the most frequent answer"
    do = "look at what the data set returns for two indices: a path, a cast or a crop is wrong"
    bad = "image = (image / 255).astype(np.uint8)"
    good = "image = image.astype(np.float32) / 255"
    explains = (
        "data-unnormalised", "output-constant", "arch-dead-relu", "lr-too-low", "params-no-grad",
        "weights-not-updating", "init-zero", "data-not-centred", "init-too-small",
        "grad-vanishing", "gen-underfit", "bn-stale-stats",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """The first batches of two samples and more."""
        rows = [r for r in chart.batches.get("train", ()) if (r.get("shape") or [0])[0] > 1]
        stds = finite(r.get("std") for r in rows)
        shares = finite(r.get("constant_share") for r in rows)
        flat = len(stds) >= BATCHES and max(stds) < STD
        same = len(shares) >= BATCHES and min(shares) >= SHARE
        if not flat and not same:
            return None
        said = (
            f"all samples of a batch are alike: {median(shares):.1%} of the features are constant"
            if same
            else f"the inputs have a std of {short(max(stds))}"
        )
        return self.finding(
            f"{said}, in {len(rows)} batches",
            confidence=0.95,
            evidence={"std": median(stds or [0.0]), "constant_share": median(shares or [0.0])},
        )


def sick() -> list[Chart]:
    """A cast that leaves zeros; the same image for each index."""
    zeros = {"min": 0.0, "max": 0.0, "absmax": 0.0, "mean": 0.0, "std": 0.0, "constant_share": 1.0}
    return [training(batch=zeros), training(batch={"constant_share": 1.0})]


def healthy() -> list[Chart]:
    """Image borders; a bag of words; batches of one."""
    return [training(batch={"constant_share": 0.55}), training(batch={"constant_share": 0.97}),
            training(batch={"constant_share": 1.0, "shape": [1, 784]})]  # fmt: skip


CHECKS = {ConstantInput.id: ConstantInput()}
