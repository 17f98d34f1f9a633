"""A network with its preprocessing as one module, and an exported file as a network again."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..core import registry
from ..core.errors import DataError, UsageError
from ..core.exports import exported_damages
from ..data.inputs import Inputs
from ..tasks.compute import Compute
from ..tasks.task import Task
from .predict import Predictor
from .runtime import INSTALL, Card, Run, Runtime, by_suffix, missing


class Prepared(nn.Module):
    """Pictures as `task.encode` gives them, x_BCHW uint8 or float -> a tuple of raw outputs.

    >>> inputs = Inputs(1, 1, 1, (0.5,), (0.25,), "bytes")
    >>> Prepared(nn.Identity(), inputs)(torch.full((1, 1, 1, 1), 255, dtype=torch.uint8))
    (tensor([[[[2.]]]]),)
    """

    def __init__(self, net: nn.Module, inputs: Inputs, bf16: bool = False) -> None:
        super().__init__()
        self.net, self.bf16 = net, bf16
        factor = 1.0 / torch.tensor(inputs.std).view(1, -1, 1, 1)
        self.shift: Tensor
        self.factor: Tensor
        self.register_buffer("shift", -torch.tensor(inputs.mean).view(1, -1, 1, 1) * factor)
        self.register_buffer("factor", factor)
        self.standardises = any(inputs.mean) or any(s != 1.0 for s in inputs.std)

    def forward(self, x_BCHW: Tensor) -> tuple[Tensor, ...]:
        """x_BCHW -> the network's outputs in order, float."""
        x, factor = x_BCHW.float(), self.factor
        if not x_BCHW.is_floating_point():
            factor = factor / 255
        if self.standardises or not x_BCHW.is_floating_point():
            x = x * factor + self.shift
        if self.bf16:
            with torch.autocast("cpu", torch.bfloat16):
                out = self.net(x)
        else:
            out = self.net(x)
        return tuple(one.float() for one in flat(out)[0])


def flat(out: Any) -> tuple[list[Tensor], dict[str, Any]]:
    """Raw out -> its tensors, and how they were held; raises UsageError for anything nested.

    >>> flat([torch.zeros(1), torch.ones(1)])[1]
    {'kind': 'list', 'count': 2}
    """
    if isinstance(out, Tensor):
        return [out], {"kind": "tensor", "count": 1}
    if isinstance(out, list | tuple) and out and all(isinstance(one, Tensor) for one in out):
        return list(out), {"kind": "list" if isinstance(out, list) else "tuple", "count": len(out)}
    raise UsageError(
        f"the network gives a {type(out).__name__}; a graph can be written of a network that gives "
        "a tensor, or a list or tuple of tensors"
    )


class ExportedNet(nn.Module):
    """An exported file as a network: pictures, unprepared, -> raw out as the network gave it."""

    def __init__(self, run: Run, card: Card) -> None:
        super().__init__()
        self.run, self.card = run, card

    def forward(self, x_BCHW: Tensor) -> Any:
        """x_BCHW of the card's type -> a tensor, or a list or tuple of tensors."""
        wanted = self.card.input["dtype"]
        have = str(x_BCHW.dtype).removeprefix("torch.")
        if have != wanted:
            raise DataError(f"the exported file takes {wanted} pictures, and these are {have}")
        parts = x_BCHW.split(self.card.batch) if self.card.batch else [x_BCHW]
        found = [self.run(part.contiguous().numpy()) for part in parts]
        # A copy: what a runtime gives is its own memory, written again by the next call.
        outs = [torch.cat([torch.from_numpy(one.copy()) for one in column])
                for column in zip(*found, strict=True)]  # fmt: skip
        kind = self.card.outputs["kind"]
        return outs[0] if kind == "tensor" else list(outs) if kind == "list" else tuple(outs)


def open_file(runtime: Runtime, path: Path, threads: int | None = None) -> ExportedNet:
    """An exported file -> a network; raises DataError where it is damaged or another's."""
    for file in (path, *(path.with_suffix(suffix) for suffix in runtime.beside)):
        if not file.is_file():
            raise DataError(f"{file} is missing, which belongs to {path}; export the run again")
    try:
        text = runtime.card(path)
    except Exception as error:  # each runtime has errors of its own for rubbish
        raise DataError(_unreadable(runtime, path, error)) from error
    card = Card.read(text, path)
    try:
        run = runtime.open(path, card, threads or torch.get_num_threads())
    except Exception as error:
        raise DataError(_unreadable(runtime, path, error)) from error
    return ExportedNet(run, card)


def open_exported(path: str | Path) -> Predictor:
    """An exported file -> a predictor that answers as the run's own does.

    Raises DataError where the checksums beside it say that it was changed; a file that was moved
    without them is taken as it is.
    """
    path = Path(path)
    runtime = by_suffix(path)
    if runtime is None:
        raise UsageError(f"{path} is no exported file by its name")
    if not path.is_file():
        raise DataError(f"there is no {path}; `snellen export RUN format={runtime.name}` writes it")
    if runtime.runs_code:
        raise UsageError(
            f"{path} is for torch.export.load in a program of yours: reading such a file can run "
            "code that it holds, so predict takes the run, an .onnx or an .xml instead"
        )
    if absent := missing(runtime):
        raise UsageError(f"{path} needs {', '.join(absent)}, not installed here: {INSTALL}")
    if damages := exported_damages(path):
        raise DataError("\n".join([*map(str, damages), "export the run again"]))
    net = open_file(runtime, path)
    try:
        task: Task = registry.get("snellen.tasks", "TASKS", net.card.task)(net.card.spec)
        task.inputs()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path} does not say how its pictures are prepared; export the run again"
        ) from error
    how = net.card.decoding
    return Predictor(net, task, Compute.of("cpu"), prepares=False, decoding=how)


def _unreadable(runtime: Runtime, path: Path, error: Exception) -> str:
    reason = " ".join(str(error).split())[:150] or type(error).__name__
    return f"{path} cannot be read by {runtime.name}: {reason}; export the run again"
