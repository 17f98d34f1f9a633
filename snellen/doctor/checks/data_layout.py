"""PyTorch's convolutions want channels first; picture files have them last."""

from ..chart import Chart, Trace
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import parameter_place, weights

CHANNELS = (1, 3, 4)


class ChannelsLast(Check):
    """A convolution that takes rows of pixels for channels."""

    id = "data-layout"
    level = "error"
    signal = "axis sizes of the input beside the input channels of the first convolution"
    threshold = "last axis 1, 3 or 4, and as many input channels as rows"
    source = "torch-audit TA303 (which misses small pictures)"
    why = "the kernel slides over columns and colours, and every row has weights of its own"
    do = "x.permute(0, 3, 1, 2), which moves the axis; view and reshape would mix the pixels"
    bad = "net = nn.Conv2d(32, 16, 3); net(x_BHWC)"
    good = "net = nn.Conv2d(3, 16, 3); net(x_BHWC.permute(0, 3, 1, 2))"
    explains = ("lr-too-low", "output-constant")

    def look(self, chart: Chart) -> Finding | None:
        """The first convolution's weight (out, in, k, k) and the batch (B, a, b, c)."""
        first = next((t for t in weights(chart, trainable=False) if len(_shape(t)) == 4), None)
        for row in chart.batches.get("train", ()):
            shape = list(row.get("shape") or ())
            if first is None or len(shape) != 4:
                return None
            rows, columns, last = shape[1:]
            if last in CHANNELS and rows == _shape(first)[1] and rows not in CHANNELS:
                return self.finding(
                    f"inputs of shape {tuple(shape)} end in {last} channels, but the first"
                    f" convolution takes the {rows} rows for channels",
                    where=parameter_place(first),
                    confidence=0.95 if rows == columns else 0.85,
                    evidence={"input": shape, "weight": _shape(first)},
                )
        return None


def _shape(trace: Trace) -> list[int]:
    return list(trace.facts.get("shape") or ())


def sick() -> list[Chart]:
    """(B, 32, 32, 3) into a convolution of 32 channels."""
    return [training(batch={"shape": [64, 32, 32, 3]}, params=_conv(32))]


def healthy() -> list[Chart]:
    """Channels first; channels last that the network permutes itself; a narrow feature map."""
    return [
        training(batch={"shape": [64, 3, 32, 32]}, params=_conv(3)),
        training(batch={"shape": [64, 32, 32, 3]}, params=_conv(3)),
        training(batch={"shape": [64, 3, 32, 4]}, params=_conv(3)),
    ]


def _conv(channels: int) -> dict[str, dict]:
    return {"conv.weight": {"facts": {"shape": [16, channels, 3, 3], "kind": "Conv2d"}}}


CHECKS = {ChannelsLast.id: ChannelsLast()}
