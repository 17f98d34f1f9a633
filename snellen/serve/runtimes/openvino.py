"""OpenVINO's .xml and .bin: fp32, bf16, int8 on Intel and other processors.

Made of the ONNX graph. A graph for any number of pictures is compiled once for one picture, which
is faster, and once for any other number.
"""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import UsageError
from ..runtime import KEY, Card, Graph, Run, Runtime

if TYPE_CHECKING:
    from numpy import ndarray


class OpenVino(Runtime):
    """A pair of files of one name."""

    name = "openvino"
    suffix = ".xml"
    beside = (".bin",)
    needs = ("onnx", "onnxscript", "onnxruntime", "openvino")

    def write(self, graph: Graph, path: Path) -> None:
        """By way of ONNX; bf16 keeps its weights in 16 bits."""
        import openvino

        from .._graphs import int8_graph, onnx_graph

        between = path.with_suffix(".onnx")
        if graph.card.precision == "int8":
            # 2026.4 computes int8 convolutions by groups wrongly: ShuffleNet v1 was off by half of
            # its largest output, in onnxruntime by 0.04; with these in float by 0.03.
            int8_graph(graph, between, groups=False)
        else:
            onnx_graph(graph, between)
        model = _core().read_model(between)
        model.set_rt_info(graph.card.text(), [KEY, "card"])
        if "classes" in graph.card.spec:
            model.set_rt_info("\n".join(graph.card.spec["classes"]), [KEY, "classes"])
        openvino.save_model(model, path, compress_to_fp16=graph.card.precision == "bf16")
        between.unlink()
        if graph.card.precision == "int8":
            _refuse_fatal(path)

    def card(self, path: Path) -> str | None:
        """Out of the .xml."""
        model = _core().read_model(path)
        return model.get_rt_info([KEY, "card"]).value if model.has_rt_info([KEY, "card"]) else None

    def computing(self, precision: str) -> str:
        """In bf16 only where the processor has units for it."""
        if precision == "bf16" and _hint(_core(), precision) != "bf16":
            return "fp32 (weights of 16 bits; no bf16 units here)"
        return precision

    def open(self, path: Path, card: Card, threads: int) -> Run:
        """Compiled for the least time of one batch."""
        import openvino

        core, made = _core(), dict[bool, Any]()
        settings = {
            "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": _hint(core, card.precision),
        }  # fmt: skip

        def request(one: bool) -> Any:
            model = core.read_model(path)
            if one and card.batch == 0:
                model.reshape([1, *card.input["shape"][1:]])
            return core.compile_model(model, "CPU", settings).create_infer_request()

        def run(pictures: "ndarray") -> "list[ndarray]":
            one = len(pictures) == 1
            if one not in made:
                made[one] = request(one)
            made[one].set_input_tensor(openvino.Tensor(pictures, shared_memory=True))
            made[one].infer()
            return [made[one].get_output_tensor(i).data for i in range(card.outputs["count"])]

        return run


@cache
def _core() -> Any:
    """One for the whole process: each gives its thread a stack for signals and puts back the one it
    found, so that of two, the first to go leaves the second's end with a stack that is no more, and
    the next signal, as of a loader's worker that ends, kills the process (2026.4).
    """
    import openvino

    return openvino.Core()


COMPILED = """
import sys, openvino
core = openvino.Core()
for one in (True, False):
    model = core.read_model(sys.argv[1])
    shape = model.input(0).partial_shape
    if one and shape[0].is_dynamic:
        shape[0] = 1
        model.reshape(shape)
    core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": sys.argv[2]})
"""


def _refuse_fatal(path: Path) -> None:
    """Raise UsageError, without the files, where OpenVINO ends the process that compiles them.

    2026.4 divides by zero for some small networks in int8 on processors without AMX (SIGFPE),
    which nothing in the process can catch; so another one tries first, in about a second.
    """
    tried = [sys.executable, "-c", COMPILED, str(path), _hint(_core(), "int8")]
    died = subprocess.run(tried, capture_output=True, check=False).returncode
    if died < 0:
        for file in (path, *(path.with_suffix(end) for end in OpenVino.beside)):
            file.unlink(missing_ok=True)
        raise UsageError(f"OpenVINO ends the process (signal {-died}) while it compiles this "
                         "network in int8 here; take format=onnx, or precision=fp32")  # fmt: skip


def _hint(core: Any, precision: str) -> str:
    """What is computed in; beside int8 layers bf16 is faster than fp32 where there are units."""
    can = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if can and precision != "fp32" else "f32"


RUNTIMES = {"openvino": OpenVino()}
