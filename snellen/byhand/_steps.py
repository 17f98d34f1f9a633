"""Runs a function one statement at a time and tells what each one computed.

So a walk can show a function's own lines, the comment above each, and the numbers: nothing that a
walk says is written a second time. Knows assignments, loops, branches and returns.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """One statement that was run: the comment above it, its text, the names it set."""

    comment: str
    code: str
    values: dict[str, Any]


class _Ended(Exception):
    """The function returned: no error."""


class Stepper:
    """A function -> its result, with `tell` called after each statement that sets a name.

    >>> def double(x):
    ...     return 2 * x
    >>> from snellen.byhand.linear import with_ones
    >>> import numpy as np
    >>> Stepper(lambda step: None)(with_ones, x_BI=np.zeros((1, 1))).tolist()
    [[0.0, 1.0]]
    """

    def __init__(self, tell: Callable[[Step], None]) -> None:
        self.tell = tell
        self.lines: list[str] = []
        self.names: dict[str, Any] = {}

    def __call__(self, function: Callable[..., Any], **given: Any) -> Any:
        """Run it on what is given."""
        source = textwrap.dedent(inspect.getsource(function))
        self.lines = source.splitlines()
        bound = inspect.signature(function).bind(**given)
        bound.apply_defaults()
        self.names = {**function.__globals__, **bound.arguments}
        body = ast.parse(source).body[0]
        assert isinstance(body, ast.FunctionDef)
        try:
            self._block(body.body[ast.get_docstring(body) is not None :])
        except _Ended as ended:
            return ended.args[0]
        return None

    def _block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Return):
            raise _Ended(self._return(node))
        if isinstance(node, ast.If):
            self._block(node.body if self._value(node.test) else node.orelse)
        elif isinstance(node, ast.For):
            for item in self._value(node.iter):
                self._run(node.target, item)
                self._say(node, f"for {ast.unparse(node.target)}", [node.target])
                self._block(node.body)
        else:
            exec(compile(ast.Module([node], []), "<walk>", "exec"), self.names)
            targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
            self._say(node, self._code(node), [one for one in targets if one is not None])

    def _return(self, node: ast.Return) -> Any:
        if node.value is None:
            return None
        value = self._value(node.value)
        pairs = [(node.value, value)]
        if isinstance(node.value, ast.Tuple):
            pairs = list(zip(node.value.elts, value, strict=True))
        for part, its in pairs:
            if not isinstance(part, ast.Name | ast.Tuple | ast.Constant):  # these were shown
                self.tell(Step(self._comment(node), f"return {self._code(part)}", {"return": its}))
        return value

    def _run(self, target: ast.expr, item: Any) -> None:
        assign = ast.Assign([target], ast.Name("__item", ast.Load()))
        self.names["__item"] = item
        tree = ast.fix_missing_locations(ast.Module([assign], []))
        exec(compile(tree, "<walk>", "exec"), self.names)

    def _value(self, node: ast.expr) -> Any:
        return eval(compile(ast.Expression(node), "<walk>", "eval"), self.names)

    def _say(self, node: ast.stmt, code: str, targets: list[ast.expr]) -> None:
        found = [place for target in targets for place in self._places(target)]
        if found:
            values = {ast.unparse(place): self._value(place) for place in found}
            self.tell(Step(self._comment(node), code, values))

    def _places(self, target: ast.expr) -> list[ast.expr]:
        """What an assignment sets: of `h[t] = 1` the item, of `h[mask] = 1` the whole of h."""
        if isinstance(target, ast.Tuple | ast.List):
            return [place for one in target.elts for place in self._places(one)]
        if isinstance(target, ast.Starred):
            return self._places(target.value)
        if isinstance(target, ast.Subscript):
            sliced = any(isinstance(node, ast.Slice) for node in ast.walk(target.slice))
            one_item = not sliced and isinstance(self._value(_loaded(target.slice)), int)
            return [_loaded(target if one_item else target.value)]
        return [_loaded(target)]

    def _code(self, node: ast.stmt | ast.expr) -> str:
        """As it was written, if on one line."""
        if node.lineno != node.end_lineno:
            return ast.unparse(node)
        line = self.lines[node.lineno - 1].encode()
        return line[node.col_offset : node.end_col_offset].decode()

    def _comment(self, node: ast.stmt) -> str:
        above = node.lineno - 2
        words: list[str] = []
        while self.lines[above].strip().startswith("#"):
            words.insert(0, self.lines[above].strip().lstrip("# "))
            above -= 1
        return " ".join(words)


def _loaded(target: ast.expr) -> ast.expr:
    """A place that is assigned to, as an expression that reads it."""
    return ast.parse(ast.unparse(target), mode="eval").body
