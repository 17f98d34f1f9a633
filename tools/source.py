"""A source file read once, and what can be counted on it. Standard library only."""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from doctest import DocTestParser
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

BRANCHES = (
    *(ast.If, ast.For, ast.While, ast.ExceptHandler, ast.With),
    *(ast.IfExp, ast.comprehension, ast.BoolOp, ast.Assert),
)
NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
# Axis letters as in x_BCHW, or a shape in brackets: (B, C, H, W), [N, 4], B×C.
AXES = re.compile(r"\w_[A-Z][A-Z0-9]*\b|[(\[]\s*[A-Z]\w{0,2}\s*,[^)\]]{1,40}[)\]]|\b[A-Z]×[A-Z]")


@dataclass(frozen=True)
class File:
    """A source file, its name relative to the package."""

    name: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> list[str]:
        """All lines."""
        return self.text.splitlines()

    def functions(self) -> Iterator[Function]:
        """Every function, methods and inner ones included."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def public(self) -> list[Definition]:
        """The functions and classes of the module whose names have no underscore."""
        found = [node for node in self.tree.body if isinstance(node, Definition)]
        return [node for node in found if not node.name.startswith("_")]

    @cached_property
    def quoted(self) -> set[int]:
        """The numbers of the lines that docstrings take."""
        return {number for node in ast.walk(self.tree) for number in docstring_lines(node)}

    @cached_property
    def code_lines(self) -> list[str]:
        """The lines that are neither blank, nor comment, nor docstring."""
        quoted = self.quoted
        plain = [line for n, line in enumerate(self.lines, 1) if n not in quoted]
        return [line for line in plain if line.strip() and not line.strip().startswith("#")]

    def num_tokens(self) -> int:
        """Tokens of the code, without docstrings, comments and line ends."""
        quoted = self.quoted
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return sum(token.type not in NO_CODE and token.start[0] not in quoted for token in tokens)

    def place(self, node: Definition) -> str:
        """file:line name."""
        return f"{self.name}:{node.lineno} {node.name}"


def read(root: Path) -> list[File]:
    """Every file of a package but the __init__.py that hold no more than a docstring."""
    files = []
    for path in sorted(root.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        if len(tree.body) > 1 or path.name != "__init__.py":
            files.append(File(path.relative_to(root).as_posix(), text, tree))
    return files


def docstring_lines(node: ast.AST) -> range:
    """The lines of a definition's docstring."""
    if not isinstance(node, ast.Module | Definition) or ast.get_docstring(node) is None:
        return range(0)
    return range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)


def all_docstrings(node: ast.AST) -> str:
    """The docstrings of a definition and of all that it holds."""
    inner = [one for one in ast.walk(node) if isinstance(one, Definition)]
    return "\n".join(ast.get_docstring(one) or "" for one in inner)


def num_body_lines(node: Function) -> int:
    """Lines of a function without its docstring."""
    return (node.end_lineno or 0) - node.lineno + 1 - len(docstring_lines(node))


def num_arguments(node: Function) -> int:
    """How many arguments a caller can give."""
    return len(_arguments(node))


def num_branches(node: Function) -> int:
    """1 + conditions, loops, handlers, with-blocks and assertions."""
    return 1 + sum(isinstance(inner, BRANCHES) for inner in ast.walk(node))


def is_typed(node: Function) -> bool:
    """Whether all arguments and the result have a type."""
    returns = node.returns is not None or node.name == "__init__"
    return returns and all(one.annotation for one in _arguments(node))


def _arguments(node: Function) -> list[ast.arg]:
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [one for one in every if one.arg not in ("self", "cls")]


def is_layer(node: ast.AST) -> bool:
    """Whether a class is an nn.Module with a forward of its own."""
    if not isinstance(node, ast.ClassDef):
        return False
    bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
    methods = [inner.name for inner in node.body if isinstance(inner, ast.FunctionDef)]
    return "forward" in methods and any(name in ("Module", "Sequential") for name in bases)


def with_methods(node: Definition) -> Iterator[Definition]:
    """A definition and its public methods; one that fills in an interface is documented there."""
    yield node
    if isinstance(node, ast.ClassDef):
        for inner in node.body:
            fills_in = bool(node.bases) and not getattr(inner, "decorator_list", ())
            if isinstance(inner, Function) and not inner.name.startswith("_") and not fills_in:
                yield inner


def assigned(body: Iterable[ast.stmt]) -> set[str]:
    """The names that plain and annotated assignments of a body bind."""
    targets: list[ast.expr] = []
    for statement in body:
        if isinstance(statement, ast.Assign):
            targets += statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets.append(statement.target)
    names = (inner for target in targets for inner in ast.walk(target))
    return {inner.id for inner in names if isinstance(inner, ast.Name)}


def names_in_examples(text: str) -> set[str]:
    """Every name that the `>>>` lines of a docstring or a page use (pytest runs all of them)."""
    found: set[str] = set()
    for example in DocTestParser().get_examples(text):
        for inner in ast.walk(ast.parse(example.source)):
            if isinstance(inner, ast.Name):
                found.add(inner.id)
            elif isinstance(inner, ast.Attribute):
                found.add(inner.attr)
    return found
