"""Reading XML safely, with the line of each element: no DTD, so no entity can grow or reach out."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

from ...core.errors import DataError
from ._text import read_bytes

DEEPEST = 64


@dataclass
class Node:
    """An element: its name, its own text and its children in order."""

    tag: str
    line: int
    text: str = ""
    children: list["Node"] = field(default_factory=list)

    def find(self, path: str) -> "Node | None":
        """The first descendant along a path of names, or None.

        >>> Node("a", 1, children=[Node("b", 2, " x ")]).find("b").text
        ' x '
        """
        name, _, rest = path.partition("/")
        for child in self.children:
            if child.tag == name:
                return child.find(rest) if rest else child
        return None

    def text_of(self, path: str) -> str:
        """The text at a path without blanks around it, "" where there is none."""
        node = self.find(path)
        return node.text.strip() if node else ""


def read_xml(file: Path) -> Node:
    """A file -> its root; raises DataError with the line where it is broken or has a DTD."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    root = Node("", 0)
    open_nodes = [root]

    def start(tag: str, _: dict[str, Any]) -> None:
        if len(open_nodes) > DEEPEST:
            raise DataError(f"{file} line {parser.CurrentLineNumber}: elements lie too deep")
        node = Node(tag, parser.CurrentLineNumber)
        open_nodes[-1].children.append(node)
        open_nodes.append(node)

    def text(data: str) -> None:
        open_nodes[-1].text += data

    def refuse(*_: Any) -> None:
        line = parser.CurrentLineNumber
        raise DataError(f"{file} line {line}: a DTD is not read; take <!DOCTYPE ...> out")

    parser.StartElementHandler, parser.CharacterDataHandler = start, text
    parser.EndElementHandler = lambda _: open_nodes.pop()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(read_bytes(file), True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        line, what = getattr(error, "lineno", 1), str(error).partition(":")[0]
        raise DataError(f"{file} line {line} is no XML: {what}") from error
    return root.children[0]
