"""What the layers put out and what comes back to them, with hooks that live for one step.

Modules and functional activations (`F.relu` inside a forward) are both layers. A hook that stayed
on would triple the time of a small network; global backward hooks break models with in-place ReLU.
"""

import inspect
from collections import deque
from typing import Any

import torch
from torch import Tensor, nn

from ..calls import ACTIVATIONS, LAYERS
from ..hung import Hook
from ._measure import SAMPLE
from ._probe import Feed, Probe, Stepper

KINDS = {nn.ReLU: "relu", nn.ReLU6: "relu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid",
         nn.LeakyReLU: "leaky_relu", nn.GELU: "gelu", nn.ELU: "elu", nn.SiLU: "silu",
         nn.Softmax: "softmax", nn.Hardtanh: "hardtanh", nn.PReLU: "prelu"}  # fmt: skip
CALLS = 4  # calls of one module in one forward pass that are told apart
WINDOW = 4  # sampled steps over which a unit must be silent to be dead


class Activations(Probe):
    """A layer event for each layer of the first forward pass of a sampled step."""

    def __init__(self, eyes: Any) -> None:
        super().__init__(eyes)
        self._handles: list[Any] = []
        self._rows: dict[str, dict[str, Any]] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        self._silent: dict[str, deque[Tensor]] = {}
        self._stack: list[tuple[str, nn.Module]] = []
        self._done: tuple[int, set[int]] = (-1, set())  # turn, networks
        self._weights: dict[tuple[str, int], int] = {}  # of functional layers: owner, id
        self._step = 0
        self._sources: dict[type, tuple[str, int] | None] = {}

    def forward(self, feed: Feed, full: bool) -> None:
        """Hook the parts of the network for this forward pass, once a step and network."""
        self._unhook()
        if self._done[0] != feed.turn:
            self._flush()
            self._done, self._step = (feed.turn, set()), feed.step
        if not full or id(feed.patient) in self._done[1]:
            return
        self._done[1].add(id(feed.patient))
        modules = feed.patient.modules()
        self._stack = []
        for name, module in modules:
            if isinstance(module, torch.jit.ScriptModule):
                continue
            if module is not feed.patient.inner:
                enter = module.register_forward_pre_hook(self._enter(name))
                self._handles.append(enter)
            leave = module.register_forward_hook(self._leave(name), always_call=True)
            self._handles.append(leave)
        self._stack.append(modules[0])

    def called(self, name: str, args: Any, kwargs: Any, result: Any, error: Any) -> None:
        """A functional activation or layer, unless a module of that kind has called it."""
        if not self._stack or not isinstance(result, Tensor):
            return
        owner, module = self._stack[-1]
        if name in ACTIVATIONS and type(module) not in KINDS:
            self._look(f"{owner}.{name}", result, {"kind": name, "activation": name}, module)
        own = not type(module).__module__.startswith("torch.")
        if own and name in LAYERS and any(_is_weight(a) for a in (*args, *kwargs.values())):
            kind = name if name.startswith("conv") else "linear"
            weight = next(id(a) for a in (*args, *kwargs.values()) if _is_weight(a))
            place = self._weights.setdefault((owner, weight), len(self._weights))
            facts = {"kind": kind, "activation": ""}
            self._look(f"{owner}.{kind}{place}", result, facts, module)

    def backward(self, feed: Feed, loss: Tensor) -> None:
        """The forward pass is over."""
        self._unhook()

    def after_update(self, stepper: Stepper, step: int) -> None:
        """All gradients have come: emit the rows."""
        if self._rows:
            self._flush()

    def close(self) -> None:
        """Take all hooks away and emit what has not been."""
        self._unhook()
        self._flush()

    def _enter(self, name: str) -> Any:
        return Hook(lambda module, args: self._stack.append((name, module)))

    def _leave(self, name: str) -> Any:
        def left(module: nn.Module, args: Any, out: Any) -> None:
            try:
                is_leaf = next(module.children(), None) is None
                out = out[0] if isinstance(out, tuple | list) and out else out
                if (is_leaf or type(module) in KINDS) and isinstance(out, Tensor):
                    facts: dict[str, Any] = {
                        "kind": type(module).__name__,
                        "activation": KINDS.get(type(module), ""),
                    }
                    if isinstance(module, nn.modules.dropout._DropoutNd):
                        facts["p"] = module.p
                    parent = self._stack[-2][1] if len(self._stack) > 1 else module
                    with torch._C.DisableTorchFunction():  # our own calls are not heard
                        self._look(name, out, facts, parent)
            except Exception as error:
                self.eyes.fail(self, error)
            if self._stack and self._stack[-1][1] is module:
                self._stack.pop()
            if not self._stack and out is not None:  # after an error torch walks the live hooks
                self._unhook()

        return Hook(left)

    def _unhook(self) -> None:
        handles, self._handles = self._handles, []
        for handle in handles:
            handle.remove()
        self._stack = []

    def _look(self, name: str, out: Tensor, facts: dict[str, Any], owner: nn.Module) -> None:
        """Measure one output; hook it for its gradient."""
        calls = sum(1 for known in self._rows if known.partition("#")[0] == name)
        if calls >= CALLS or out.numel() == 0 or out.is_sparse or out.is_nested:
            return
        if calls:
            name = f"{name}#{calls + 1}"
        values = self._values(name, out, facts["activation"])
        if name not in self._facts:
            facts |= {"depth": len(self._facts), "module": name.partition("#")[0],
                      "out_shape": list(out.shape), **self._source(owner)}  # fmt: skip
            values["facts"] = self._facts[name] = facts
        self._rows[name] = values
        if out.requires_grad:
            out.register_hook(lambda grad: self._gradient(values, grad))

    def _gradient(self, values: dict[str, Any], grad: Tensor) -> None:
        try:
            grad = grad.detach()
            is_wide = grad.is_complex() or grad.dtype == torch.float64
            values["grad_norm"] = torch.linalg.vector_norm(grad if is_wide else grad.float()).item()
            values["grad_mean_abs"] = grad.abs().float().mean().item()
        except Exception as error:
            self.eyes.fail(self, error)

    def _values(self, name: str, out: Tensor, activation: str) -> dict[str, Any]:
        out = out.detach()
        if out.is_complex() or not out.dim():
            return {}
        few = out[: max(2, SAMPLE // max(1, out[:1].numel()))].float()
        low, high = torch.aminmax(few)
        std, mean = torch.std_mean(few, correction=0)
        spread = (few - few[:1]).abs().amax() if len(few) > 1 else high - low
        numbers = torch.stack([low, high, mean, std, (few == 0).float().mean(), spread]).tolist()
        absmax = max(abs(numbers[0]), abs(numbers[1]))
        values: dict[str, Any] = {
            "mean": numbers[2], "std": numbers[3], "absmax": absmax, "zero_share": numbers[4],
            "constant": len(few) > 1 and numbers[5] <= 1e-6 * absmax,
            "nonfinite": 0 if numbers[2] - numbers[2] == 0 else int((~torch.isfinite(few)).sum()),
        }  # fmt: skip
        if activation in ("tanh", "sigmoid"):
            edge = few.abs() > 0.99 if activation == "tanh" else (few < 0.01) | (few > 0.99)
            values["saturated_share"] = edge.float().mean().item()
        if activation == "relu" and out.dim() > 1:
            values["dead_share"] = self._dead(name, out)
        return values

    def _dead(self, name: str, out: Tensor) -> float:
        """The share of units that were silent on every sample of the last sampled steps."""
        dims = [0, *range(2, out.dim())] if out.dim() in (2, 4, 5) else [*range(out.dim() - 1)]
        silent = out.amax(dims) <= 0
        window = self._silent.setdefault(name, deque(maxlen=WINDOW))
        if window and window[-1].shape != silent.shape:
            window.clear()
        window.append(silent)
        return torch.stack(list(window)).all(0).float().mean().item()

    def _source(self, owner: nn.Module) -> dict[str, Any]:
        """File and line of the class that uses the layer, where it is the user's own."""
        kind = type(owner)
        if kind not in self._sources:
            self._sources[kind] = None
            if not kind.__module__.startswith("torch."):
                try:
                    line = inspect.getsourcelines(kind)[1]
                    self._sources[kind] = (inspect.getsourcefile(kind) or "", line)
                except (OSError, TypeError):  # typed at a prompt, or built in
                    pass
        found = self._sources[kind]
        return {"file": found[0], "line": found[1]} if found else {}

    def _flush(self) -> None:
        rows, self._rows = self._rows, {}
        for name, values in rows.items():
            self.eyes.emit("layer", self._step, name=name, values=values)


def _is_weight(value: Any) -> bool:
    """Whether an argument is a parameter with rows and columns."""
    return isinstance(value, Tensor) and value.is_leaf and value.requires_grad and value.dim() > 1


PROBES = {"activations": Activations}
