"""What a walk prints: plain text of 80 columns, every number computed as it is printed."""

import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

from . import gradients
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

    def verdict(self, name: str, error: float) -> None:
        """A relative error and what it means."""
        self.line(f"{name:12} relative error {error:.0e}: {gradients.band(error)}")

    def _step(self, step: Step) -> None:
        if "cache" in step.code.partition("=")[2].split():
            return  # unpacking what was shown before
        self.lines.append("")
        if step.comment:
            self.lines += textwrap.wrap(
                step.comment, WIDTH, initial_indent="  # ", subsequent_indent="  # "
            )
        if step.code and not step.code.startswith("for "):
            self.lines += textwrap.wrap(
                step.code, WIDTH, initial_indent="  ", subsequent_indent="      "
            )
        values = {name: value for name, value in step.values.items() if name != "_"}
        if len(values) > 1 and not any(isinstance(value, np.ndarray) for value in values.values()):
            said = ", ".join(f"{name} = {_text(value, 60)}" for name, value in values.items())
            self.lines.append(f"      {said}")
            return
        for name, value in values.items():
            if step.code.startswith("for "):
                self.lines.append(f"  for {name} = {_text(value, 60)}")
            elif step.code.startswith((f"{name} =", f"{name}[", "return")):
                self._value("", value, 3 + len(name))  # under the sign of its line
            else:
                self._value(f"{name} ", value, 6)

    def _value(self, name: str, value: Any, indent: int) -> None:
        head = " " * indent + f"{name}= "
        first, *rest = _text(value, WIDTH - len(head)).splitlines()
        self.lines += [head + first, *(" " * len(head) + line for line in rest if line.strip())]


def _text(value: Any, width: int) -> str:
    """Numbers as one reads them: four digits after the point, no minus before a zero."""
    if isinstance(value, np.ndarray) and value.ndim:
        plain = value.round(4) + 0.0 if value.dtype.kind == "f" else value
        return np.array2string(plain, max_line_width=width, suppress_small=True)
    if isinstance(value, float | np.ndarray):
        return f"{float(value):.6g}"
    return textwrap.shorten(str(value), width, placeholder=" ...")
