"""Prints the indicators of good style for this code: the goal, what is measured, what misses it.

Standard library only; reads the source, imports none of it. Always exits 0: these are examples to
follow, not a gate. Where a goal is missed, the worst places are named below the table.
"""

import ast
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools import imports, source
from tools.source import File

REPOSITORY = Path(__file__).resolve().parents[1]
ROOT = REPOSITORY / "snellen"
WINDOW = 8  # lines that must agree to be called a copy
KINDS = {  # kind of thing -> its folder, and the name that each file of it declares
    "architecture": ("models", "TABLE"),
    "check": ("doctor/checks", "CHECKS"),
    "task": ("tasks", "TASKS"),
}
CHECK_PARTS = {"id", "signal", "threshold", "source", "do", "sick", "healthy"}


@dataclass(frozen=True)
class Row:
    """An indicator as printed, whether its goal is reached, and the places that miss it."""

    indicator: str
    goal: str
    measured: str
    reached: bool
    worst: tuple[str, ...] = ()


def main() -> None:
    """Measure and print."""
    files = source.read(ROOT)
    rows = [row for measure in MEASURES for row in measure(files)]
    width = max(len(row.indicator) for row in rows)
    print(f"{'indicator':{width}}  {'goal':>14}  {'measured':>14}")
    for row in rows:
        mark = "" if row.reached else "  <- missed"
        print(f"{row.indicator:{width}}  {row.goal:>14}  {row.measured:>14}{mark}")
    num_reached = sum(row.reached for row in rows)
    print(f"\n{num_reached} of {len(rows)} goals reached in {len(files)} files of {ROOT.name}/")
    for row in rows:
        if not row.reached and row.worst:
            print(f"\n{row.indicator}: {len(row.worst)} places, such as")
            print("\n".join(f"  {place}" for place in row.worst[:8]))


def file_sizes(files: list[File]) -> Iterator[Row]:
    """Lines a file."""
    sizes = sorted(((len(file.lines), file.name) for file in files), reverse=True)
    values = [size for size, _ in sizes]
    middle, high, most = quantile(values, 0.5), quantile(values, 0.9), values[0]
    reached = middle <= 120 and high <= 300 and most <= 450
    worst = tuple(f"{name}: {size} lines" for size, name in sizes if size > 300)
    measured = f"{middle}/{high}/{most}"
    yield Row("lines a file, median / p90 / max", "<= 120/300/450", measured, reached, worst)


def function_sizes(files: list[File]) -> Iterator[Row]:
    """Body lines a function, without its docstring."""
    every = [(source.num_body_lines(node), file.place(node))
             for file in files for node in file.functions()]  # fmt: skip
    sizes = sorted(every, reverse=True)
    values = [size for size, _ in sizes]
    middle, high = quantile(values, 0.5), quantile(values, 0.9)
    worst = tuple(f"{place}: {size} lines" for size, place in sizes if size > 25)
    what = "body lines a function, median / p90"
    yield Row(what, "<= 8/25", f"{middle}/{high}", middle <= 8 and high <= 25, worst)
    long = tuple(f"{place}: {size} lines" for size, place in sizes if size > 60)
    percent = 100 * len(long) / max(len(sizes), 1)
    yield Row("functions over 60 lines", "0 %", f"{percent:.1f} %", not long, long)


def directions(files: list[File]) -> Iterator[Row]:
    """The import table and the cycles, as tests/test_imports.py decides them."""
    wrong, cycles = imports.wrong(ROOT), imports.cycles(ROOT)
    worst = (*wrong, *(" <-> ".join(group) for group in cycles))
    measured = f"{len(cycles)}; {len(wrong)}"
    yield Row("import cycles; wrong directions", "0; 0", measured, not worst, worst)


def touched_files(files: list[File]) -> Iterator[Row]:
    """Files that a new thing touches: its own, and each that imports one of its kind by name."""
    used = [one for group in imports.read(ROOT).values() for one in group if not one.typing]
    counts, worst = [], []
    for folder, attribute in KINDS.values():
        room = folder.replace("/", ".")
        things = {file.name[:-3].replace("/", ".") for file in files
                  if file.name.startswith(f"{folder}/")
                  and attribute in source.assigned(file.tree.body)}  # fmt: skip
        # A file of the same room may build on another (ResNeXt on ResNet): that is no list.
        inside = f"{room}."
        edits = {one for one in used if one.target in things}
        edits = {one for one in edits if not one.importer.startswith(inside)}
        counts.append(1 + max(Counter(one.target for one in edits).values(), default=0))
        worst += sorted(f"{one.importer} imports {one.target}" for one in edits)
    what = f"files touched by a new {' / '.join(KINDS)}"
    yield Row(what, "1/1/1", "/".join(map(str, counts)), set(counts) == {1}, tuple(worst))


def resnet_lines(files: list[File]) -> Iterator[Row]:
    """Code lines of the ResNet family."""
    count = sum(len(file.code_lines) for file in files if file.name == "models/resnet.py")
    yield Row("code lines of the ResNet family", "<= 60", str(count), 0 < count <= 60)


def duplicates(files: list[File]) -> Iterator[Row]:
    """The share of code lines that stand in a window of eight that occurs twice."""
    seen: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    total = 0
    for file in files:
        code = [re.sub(r"\s+", " ", line.strip()) for line in file.code_lines]
        code = [x for x in code if len(x) > 3 and not x.startswith(("import ", "from ", "@"))]
        total += len(code)
        for start in range(len(code) - WINDOW + 1):
            seen[tuple(code[start : start + WINDOW])].append((file.name, start))
    twice = [place for places in seen.values() if len(places) > 1 for place in places]
    lines = {(name, start + i) for name, start in twice for i in range(WINDOW)}
    percent = 100 * len(lines) / max(total, 1)
    found = Counter(name for name, _ in lines).most_common()
    worst = tuple(f"{name}: {count} lines" for name, count in found)
    yield Row("duplicate lines", "<= 1.5 %", f"{percent:.1f} %", percent <= 1.5, worst)


def documentation(files: list[File]) -> Iterator[Row]:
    """Docstrings, the shapes in them, and the names that an executed example uses."""
    public = [(file, node) for file in files for node in file.public()]
    layers = [(file, node) for file, node in public if source.is_layer(node)]
    bad = [file.place(node) for file, node in layers
           if not source.AXES.search(source.all_docstrings(node))]  # fmt: skip
    yield share("layers whose docstring states shapes", len(layers), bad)
    members = [(file, inner) for file, node in public for inner in source.with_methods(node)]
    bad = [file.place(node) for file, node in members if not ast.get_docstring(node)]
    yield share("public names documented", len(members), bad)
    # The verbs of the command line are no library: their examples are the pages of the docs.
    library = [(file, node) for file, node in public if not file.name.startswith(("cli/", "__"))]
    shown = {name for text in _texts(files) for name in source.names_in_examples(text)}
    bad = [file.place(node) for file, node in library if node.name not in shown]
    yield share("public names in an executed example", len(library), bad, 90)


def complexity(files: list[File]) -> Iterator[Row]:
    """Arguments and branches a function."""
    functions = [(file.place(node), node) for file in files for node in file.functions()]
    counters = (("arguments", source.num_arguments, 4, 8), ("branches", source.num_branches, 5, 15))
    for what, count, high, most in counters:
        counts = sorted(((count(node), place) for place, node in functions), reverse=True)
        values = [value for value, _ in counts]
        p90, top = quantile(values, 0.9), max(values, default=0)
        worst = tuple(f"{place}: {value}" for value, place in counts if value > 2 * high)
        reached = p90 <= high and top <= most
        yield Row(f"{what}, p90 / max", f"<= {high}/{most}", f"{p90}/{top}", reached, worst)


def types_and_width(files: list[File]) -> Iterator[Row]:
    """Typed signatures, and tokens a line (so that lines are not saved by widening them)."""
    functions = [(file, node) for file in files for node in file.functions()]
    bad = [file.place(node) for file, node in functions if not source.is_typed(node)]
    yield share("typed signatures", len(functions), bad)
    counts = [(file.num_tokens(), len(file.code_lines), file.name) for file in files]
    mean = sum(tokens for tokens, _, _ in counts) / sum(lines for _, lines, _ in counts)
    dense = sorted(((t / n, name) for t, n, name in counts if n and t / n > 9), reverse=True)
    worst = tuple(f"{name}: {value:.1f}" for value, name in dense)
    yield Row("tokens a code line, mean", "<= 9", f"{mean:.1f}", mean <= 9, worst)


def checks(files: list[File]) -> Iterator[Row]:
    """Checks with all their parts, and how long one is."""
    room = KINDS["check"][0]
    found = [(file, node) for file in files if file.name.startswith(f"{room}/")
             for node in file.tree.body if isinstance(node, ast.ClassDef)
             and "Check" in map(ast.unparse, node.bases)]  # fmt: skip
    bad = []
    for file, node in found:
        cases = {inner.name for inner in file.tree.body if isinstance(inner, ast.FunctionDef)}
        lacks = sorted(CHECK_PARTS - source.assigned(node.body) - cases)
        bad += [f"{file.place(node)} lacks {', '.join(lacks)}"] if lacks else []
    yield share("checks with all their parts", len(found), bad)
    lengths = {file.name: len(file.code_lines) for file, _ in found}
    sizes = sorted(((size, name) for name, size in lengths.items()), reverse=True)
    middle = quantile([size for size, _ in sizes], 0.5)
    worst = tuple(f"{name}: {size}" for size, name in sizes if size > 45)
    yield Row("code lines a check, median", "<= 45", str(middle), 0 < middle <= 45, worst)


MEASURES: tuple[Callable[[list[File]], Iterator[Row]], ...] = (
    *(file_sizes, function_sizes, directions, touched_files, resnet_lines, duplicates),
    *(documentation, complexity, types_and_width, checks),
)


def quantile(values: list[int], part: float) -> int:
    """The value below which that part of the values lies; 0 for none."""
    ordered = sorted(values)
    return ordered[round((len(ordered) - 1) * part)] if ordered else 0


def share(what: str, total: int, bad: list[str], goal: int = 100) -> Row:
    """The row of an indicator that is a share of things without fault."""
    percent = 100 - 100 * len(bad) / max(total, 1)
    words = "100 %" if goal == 100 else f">= {goal} %"
    return Row(what, words, f"{percent:.0f} % of {total}", percent >= goal, tuple(bad))


def _texts(files: list[File]) -> Iterator[str]:
    """Every docstring and page whose examples the tests run."""
    for file in files:
        yield ast.get_docstring(file.tree) or ""
        yield source.all_docstrings(file.tree)
    for page in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("**/*.md"))):
        if page.exists():
            yield page.read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
