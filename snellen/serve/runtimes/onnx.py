"""ONNX, read by onnxruntime and most others: fp32, or int8 for processors with VNNI.

The card stands in the file's metadata under "snellen", the classes under "classes".
"""

from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime import KEY, Card, Graph, Run, Runtime

if TYPE_CHECKING:
    from numpy import ndarray


class Onnx(Runtime):
    """One .onnx file."""

    name = "onnx"
    suffix = ".onnx"
    needs = ("onnx", "onnxscript", "onnxruntime")
    refused = {
        "bf16": "onnxruntime computes in no bf16 on a processor (format=openvino does where it has "
        "units; int8 is faster still)"
    }

    def write(self, graph: Graph, path: Path) -> None:
        """Traced, folded, and in int8 calibrated."""
        from .._graphs import int8_graph, onnx_graph

        (int8_graph if graph.card.precision == "int8" else onnx_graph)(graph, path)

    def card(self, path: Path) -> str | None:
        """Out of the metadata, the graph itself unread."""
        import onnx

        facts = onnx.load(path, load_external_data=False).metadata_props
        return next((fact.value for fact in facts if fact.key == KEY), None)

    def open(self, path: Path, card: Card, threads: int) -> Run:
        """An onnxruntime session on the processor."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name

        def run(pictures: "ndarray") -> "list[ndarray]":
            return session.run(None, {name: pictures})

        return run


RUNTIMES = {"onnx": Onnx()}
