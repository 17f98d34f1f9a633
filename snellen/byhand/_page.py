"""What a walk prints: plain text of 80 columns, every number computed as it is printed."""

import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

from . import descent, gradients
from ._steps import Step, Stepper

WIDTH = 80


class Page:
    """Collects the lines of one walk.

    >>> page = Page()
    >>> page.show("the sum", y=np.array([1.0, 2.5]))
    >>> print(page.text)
      # the sum
          y = [1.  2.5]
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    @property
    def text(self) -> str:
        """All that was said."""
        return "\n".join(self.lines).strip("\n")

    def line(self, words: str) -> None:
        """One line as it is."""
        self.lines.append(f"  {words}".rstrip())

    def say(self, words: str) -> None:
        """A paragraph, wrapped."""
        self.lines += ["", *textwrap.wrap(words, WIDTH)]

    def given(self, **values: Any) -> dict[str, Any]:
        """Shows what the walk starts from, and returns it."""
        self.say("Given")
        for name, value in values.items():
            self._value(f"{name} ", value, 2)
        return values

    def show(self, why: str, **values: Any) -> None:
        """A remark and some values."""
        self._step(Step(why, "", values))

    def run(self, function: Callable[..., Any], **given: Any) -> Any:
        """Runs a function a statement at a time, and shows each with its numbers."""
        self.say(f"{function.__name__}({', '.join(given)})")
        bound = inspect.signature(function).bind(**given)
        bound.apply_defaults()
        numbers = {n: v for n, v in bound.arguments.items() if type(v) in (int, float, str)}
        if numbers:
            said = ", ".join(f"{name} = {value}" for name, value in numbers.items())
            self._wrapped(f"with {said}", "  ", "  ")
        return Stepper(self._step)(function, **given)

    def layer(
        self, forward: Callable[..., Any], backward: Callable[..., Any], **given: Any
    ) -> dict[str, Any]:
        """A whole pair: what is given, forward, backward, and the check of its gradients."""
        self.given(**given)
        self.pair(forward, backward, **given)
        return given

    def pair(self, forward: Callable[..., Any], backward: Callable[..., Any], **given: Any) -> None:
        """Forward, backward and the check, of what was shown before."""
        out, cache = self.run(forward, **given)
        name = next(iter(inspect.signature(backward).parameters))
        d_out = gradients.upstream(out)
        self.say("The layers above hand down" if d_out.ndim else "This is the loss itself, so")
        self._value(f"{name} ", d_out, 2)
        self.run(backward, **{name: d_out, "cache": cache})
        self.check(forward, backward, **given)

    def check(
        self, forward: Callable[..., Any], backward: Callable[..., Any], **given: Any
    ) -> None:
        """Each gradient against the centred difference."""
        self.say("Against the centred difference (f(x + h) - f(x - h)) / 2h, h = 1e-05")
        for name, error in gradients.check(forward, backward, **given).items():
            self.verdict(f"d_{name}", error)

    def optimiser(self, step: Callable[..., Any], *, num_steps: int, **settings: Any) -> None:
        """Some steps of an optimiser down the bowl of descent.py, and the check of its gradient."""
        x_N, state = np.array([2.0, 1.0]), None
        names = list(inspect.signature(step).parameters)
        for t in range(num_steps):
            self.say(f"step {t + 1}: f = {descent.bowl(x_N):.6g}")
            d_x_N = descent.bowl_gradient(x_N)
            self._value(f"{names[0]} ", x_N, 2)
            self._value(f"{names[1]} ", d_x_N, 2)
            given = {names[0]: x_N, names[1]: d_x_N, names[2]: state}
            x_N, state = self.run(step, **given, **settings)
        self.say(f"after {num_steps} steps: f = {descent.bowl(x_N):.6g}")
        self.bowl(x_N)

    def bowl(self, x_N: gradients.Array) -> None:
        """The gradient that the optimisers followed, against the centred difference."""
        numerical_N = gradients.numerical_gradient(descent.bowl, x_N)
        error = gradients.relative_error(descent.bowl_gradient(x_N), numerical_N)
        self.say("The gradient that was followed, against the centred difference, h = 1e-05")
        self.verdict("d_x_N", error)

    def verdict(self, name: str, error: float) -> None:
        """A relative error and what it means."""
        self.line(f"{name:12} relative error {error:.0e}: {gradients.band(error)}")

    def _step(self, step: Step) -> None:
        if "cache" in step.code.partition("=")[2].split():
            return  # unpacking what was shown before
        self.lines.append("")
        self._wrapped(step.comment, "  # ", "  # ")
        if not step.code.startswith("for "):
            self._wrapped(step.code, "  ", " " * 6)
        shown = {name: its for name, its in step.values.items() if name != "_"}
        self._values(step.code, {name: its for name, its in shown.items() if not _is_cache(its)})

    def _values(self, code: str, values: dict[str, Any]) -> None:
        arrays = [value for value in values.values() if isinstance(value, np.ndarray)]
        if len(values) > 1 and not arrays:
            said = ", ".join(f"{name} = {_text(value, 60)}" for name, value in values.items())
            self._wrapped(said, " " * 6, " " * 6)
        elif "zeros" in code and len(arrays) == len(values) and not any(map(np.any, arrays)):
            shapes = ", ".join(f"{name} {value.shape}" for name, value in values.items())
            self._wrapped(f"zeros: {shapes}", " " * 6, " " * 6)
        elif code.startswith("for "):
            self.lines += [f"  for {name} = {_text(value, 60)}" for name, value in values.items()]
        elif code.startswith((*(f"{name} =" for name in values), "return")) and len(values) == 1:
            (name,) = values
            self._value("", values[name], 3 + len(name))  # under the sign of its line
        else:
            for name, value in values.items():
                self._value(f"{name} ", value, 6)

    def _wrapped(self, words: str, first: str, rest: str) -> None:
        self.lines += textwrap.wrap(words, WIDTH, initial_indent=first, subsequent_indent=rest)

    def _value(self, name: str, value: Any, indent: int) -> None:
        head = " " * indent + f"{name}= "
        first, *rest = _text(value, WIDTH - len(head)).splitlines()
        self.lines += [head + first, *(" " * len(head) + line for line in rest if line.strip())]


def _is_cache(value: Any) -> bool:
    """What a pair keeps for its own backward; its arrays were shown when they were made."""
    return isinstance(value, tuple) and any(isinstance(part, np.ndarray) for part in value)


def _text(value: Any, width: int) -> str:
    """Numbers as one reads them: four digits, no minus before a zero."""
    if not isinstance(value, float | np.ndarray):
        return textwrap.shorten(str(value), width, placeholder=" ...")
    value = np.asarray(value)
    if not value.ndim:
        return f"{float(value):.6g}"
    if value.dtype.kind != "f":
        return np.array2string(value, max_line_width=width)
    value = np.where(np.abs(value) < 1e-14, 0.0, value)  # what rounding left of a zero
    if ((value != 0) & (np.abs(value) < 5e-4)).any():
        return np.array2string(value, max_line_width=width, formatter={"float": "{:.4g}".format})
    return np.array2string(value.round(4) + 0.0, max_line_width=width, suppress_small=True)
