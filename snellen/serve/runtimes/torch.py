"""PyTorch's own torch.export, .pt2: fp32 or bf16, for programs that load it without Snellen.

`torch.export.load` may unpickle what a file holds, so only files that this process wrote are
opened here: `snellen predict` takes the run itself.
"""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime import KEY, Card, Graph, Run, Runtime

if TYPE_CHECKING:
    from numpy import ndarray

FACTS = f"{KEY}.json"


class TorchExport(Runtime):
    """One .pt2 file; the card is its extra file "snellen.json"."""

    name = "torch"
    suffix = ".pt2"
    refused = {"int8": "PyTorch itself computes in no int8 here (format=onnx or openvino does)"}
    runs_code = True

    def write(self, graph: Graph, path: Path) -> None:
        """Traced; in bf16 the autocast is part of the graph."""
        import torch

        from .._graphs import program, quiet

        with quiet():
            torch.export.save(program(graph), path, extra_files={FACTS: graph.card.text()})

    def card(self, path: Path) -> str | None:
        """Out of the archive, of which nothing else is read."""
        with zipfile.ZipFile(path) as archive:
            inside = [name for name in archive.namelist() if name.endswith(f"/extra/{FACTS}")]
            return archive.read(inside[0]).decode() if inside else None

    def open(self, path: Path, card: Card, threads: int) -> Run:
        """The loaded program, run by PyTorch."""
        import torch

        from .._graphs import quiet

        with quiet():
            net = torch.export.load(path).module()

        def run(pictures: "ndarray") -> "list[ndarray]":
            with torch.inference_mode():
                return [out.numpy() for out in net(torch.from_numpy(pictures))]

        return run


RUNTIMES = {"torch": TorchExport()}
