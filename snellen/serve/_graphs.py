"""A module as a torch.export program and as an ONNX graph, in fp32 and in int8.

int8 is ONNX's own notation (QuantizeLinear, DequantizeLinear) with weights by channel, which both
onnxruntime and OpenVINO compute with; so one calibration serves both, and no other library.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import UsageError
from .runtime import KEY, Card, Graph

if TYPE_CHECKING:
    from torch import Tensor

INPUT = "images"
PREPARES = ("Cast", "Sub", "Mul", "Div", "Add")  # what stands before the first layer: never int8


def program(graph: Graph) -> Any:
    """A module -> torch.export.ExportedProgram; raises UsageError where it cannot be traced."""
    import torch

    for module in graph.module.modules():
        if why := getattr(module, "graphless", ""):
            raise UsageError(
                f"this network cannot be written as a graph: {why}; `snellen predict` runs it from "
                "its run folder, and networks of one stage can be exported"
            )
    x, shapes = graph.pictures, None
    if graph.card.batch == 0:
        shapes = ({0: torch.export.Dim("batch", min=1)},)
    try:
        with quiet(), torch.no_grad():
            return torch.export.export(graph.module, (x,), dynamic_shapes=shapes)
    except Exception as error:  # tracing runs the user's own forward, which can raise anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        try_one = "" if graph.card.batch else " try batch=1, which fixes the number of pictures;"
        raise UsageError(
            f"the network cannot be written as a graph: {reason};{try_one} torch.export.export"
            "(net, (x,)) says more: a forward that decides by the values of its input cannot"
        ) from error


def onnx_graph(graph: Graph, path: Path) -> None:
    """A module -> an .onnx file with batch norm folded, in fp32."""
    import torch

    names = output_names(graph.card)
    with quiet():
        made = torch.onnx.export(program(graph), dynamo=True, optimize=True, verbose=False,
                                 input_names=[INPUT], output_names=names)  # fmt: skip
    assert made is not None
    _write(_bare(made.model_proto, graph.card), graph.card, path)


def int8_graph(graph: Graph, path: Path, *, groups: bool = True) -> None:
    """The same in int8: activations by their range over the calibration pictures. Without
    `groups`, convolutions by groups stay in float.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    plain = path.with_name("plain.onnx")
    onnx_graph(graph, plain)
    with quiet():
        quantize_static(
            plain, path, Pictures(graph.samples), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            nodes_to_exclude=_kept(onnx.load(plain), groups),
        )  # fmt: skip
    plain.unlink()
    _write(_bare(onnx.load(path), graph.card), graph.card, path)


class Pictures:
    """What onnxruntime asks for while it calibrates: one picture after the other."""

    def __init__(self, samples: "Sequence[Tensor]") -> None:
        self.rest = iter(samples)

    def get_next(self) -> dict[str, Any] | None:
        """The next input of the graph, or None."""
        picture = next(self.rest, None)
        return None if picture is None else {INPUT: picture[None].numpy()}


def output_names(card: Card) -> list[str]:
    """The names of a graph's outputs.

    >>> output_names(Card("detect", {}, "fp32", {}, {"kind": "list", "count": 2}))
    ['output0', 'output1']
    """
    if card.outputs["kind"] == "tensor":
        return ["output"]
    return [f"output{i}" for i in range(card.outputs["count"])]


def _bare(model: Any, card: Card) -> Any:
    """A graph without its tracer's remarks, which hold paths of this machine's files."""
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    del model.graph.metadata_props[:], model.metadata_props[:], model.graph.value_info[:]
    del model.functions[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
        value.doc_string = ""
    for value in (*model.graph.input, *model.graph.output):
        first = value.type.tensor_type.shape.dim[0]
        if card.batch == 0:
            first.dim_param = "batch"
    return model


def _write(model: Any, card: Card, path: Path) -> None:
    """A graph with its card, and the classes a second time for readers of other makers."""
    import onnx

    facts = {KEY: card.text(), "input": str(card.input["meaning"])}
    if "classes" in card.spec:
        facts["classes"] = "\n".join(card.spec["classes"])
    onnx.helper.set_model_props(model, facts)
    model.producer_name, model.producer_version = "snellen", card.made_by.rpartition(" ")[2]
    onnx.save(model, path)


def _kept(model: Any, groups: bool) -> list[str]:
    """The nodes that stay in float: those that prepare, and grouped ones where these are not had.

    A convolution with one filter a channel is no such one: its weights' second axis is 1.
    """
    shapes = {one.name: list(one.dims) for one in model.graph.initializer}
    grouped = [] if groups else [
        node.name for node in model.graph.node if node.op_type == "Conv" and any(
            one.name == "group" and one.i > 1 and shapes.get(node.input[1], [0, 0])[1] != 1
            for one in node.attribute)
    ]  # fmt: skip
    return [*_preparing(model), *grouped]


def _preparing(model: Any) -> list[str]:
    """The nodes between the input and the first layer."""
    reached, found = {INPUT}, []
    for node in model.graph.node:
        if node.op_type in PREPARES and node.input[0] in reached:
            reached.update(node.output)
            found.append(node.name)
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Without the remarks of tracers and quantisers, of which a user can act on none."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
