"""Which value of a mask is which class: from a list where there is one, else from the masks."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import DataError
from ..maps import Palette, code_of, code_word, codes_in, read_codes
from ..sample import VOID
from ._names import class_list
from ._text import decode_text, read_bytes

LOOKS = 400  # masks of a part that are looked at before anything is trained
COLOURS = ("class_dict.csv", "classes.csv", "labels.csv", "labelmap.txt", "label_colors.txt")
LISTS = ("codes.txt",)
NO_CLASS = ("void", "ignore", "ignored", "unlabeled", "unlabelled", "unknown", "unlabelled/void")
MOST = 254  # classes: 255 means none
CAMVID = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car",
          "pedestrian", "bicyclist")  # fmt: skip
CAMVID_STEM = re.compile(r"(0001TP|0006R0|0016E5|Seq05VD)_")


@dataclass(frozen=True)
class Legend:
    """Class names and the codes that they have in the masks."""

    names: tuple[str, ...]
    palette: Palette
    note: str = ""  # what was taken for granted


def legend_of(roots: Sequence[Path], masks: Sequence[str]) -> Legend:
    """Folders that may hold a list of classes, and masks -> Legend; raises DataError."""
    for root in roots:
        legend = _listed(root)
        if legend is not None:
            return legend
    return _seen(masks)


def _listed(root: Path) -> Legend | None:
    file = next((root / name for name in COLOURS if (root / name).is_file()), None)
    coloured = _coloured(file) if file else None
    if coloured:
        return coloured
    file = next((p for p in sorted(root.glob("*.y*ml")) if p.is_file()), None)
    numbers = _yaml_names(file) if file else None
    if numbers is None:
        names = class_list(root, LISTS).names
        numbers = dict(enumerate(names)) if names else None
    return legend_named(numbers) if numbers else None


def legend_named(numbers: dict[int, str], voids: Sequence[int] = ()) -> Legend:
    """{code: name} -> Legend; names such as void are of no class, nor 255 unless named."""
    none = [code for code, name in numbers.items() if name.strip().lower() in NO_CLASS]
    kept = {code: name for code, name in numbers.items() if code not in none}
    if len(kept) > MOST:
        raise DataError(f"{len(kept)} classes for the pixels of a mask; {MOST} are the most")
    loose = () if VOID in kept else (VOID,)
    return Legend(tuple(kept.values()), Palette(tuple(kept), (*none, *voids, *loose)))


def _coloured(file: Path) -> Legend | None:
    """name,r,g,b (or CVAT's name:r,g,b:...) a line -> Legend; None where lines are otherwise."""
    rows = _colour_rows(decode_text(read_bytes(file), file))
    if not rows:
        return None
    codes = [code_of(colour) for _, colour in rows]
    twice = next((row for i, row in enumerate(rows) if codes[i] in codes[:i]), None)
    if twice:
        raise DataError(f"{file} gives the colour {twice[1]} of {twice[0]!r} twice")
    return legend_named({code: name for code, (name, _) in zip(codes, rows, strict=True)})


def _colour_rows(text: str) -> list[tuple[str, tuple[int, ...]]]:
    rows = []
    for words in csv.reader(io.StringIO(text)):
        line = ",".join(words).strip()
        match = re.fullmatch(r"([^:#]+):(\d+),(\d+),(\d+):.*", line) or re.fullmatch(
            r"([^,]+),\s*(\d+),\s*(\d+),\s*(\d+)", line
        ) or re.fullmatch(r"(?=\d)(\d+)\s+(\d+)\s+(\d+)\s+(\S.*)", line)  # fmt: skip
        if match is None:
            continue
        groups = match.groups()
        name, colour = (groups[0], groups[1:]) if not groups[0].isdigit() else (
            groups[3], groups[:3])  # fmt: skip
        rows.append((name.strip(), tuple(int(v) for v in colour)))
    return rows


def _yaml_names(file: Path) -> dict[int, str] | None:
    """names: or classes: of a yaml, a list or numbers with names."""
    import yaml

    try:
        said = yaml.safe_load(decode_text(read_bytes(file), file))
    except (yaml.YAMLError, RecursionError) as error:
        raise DataError(f"{file} is no YAML: {getattr(error, 'problem', error)}") from error
    names = (said.get("names") or said.get("classes")) if isinstance(said, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(isinstance(k, int) and k >= 0 for k in names):
        return None
    return {code: str(name) for code, name in sorted(names.items())}


def _seen(masks: Sequence[str]) -> Legend:
    """Legend by the values that occur: each a class but 255, unless there is only 0 beside."""
    seen: set[int] = set()
    for file in masks[:: max(1, len(masks) // LOOKS)]:
        try:
            seen |= set(codes_in(read_codes(file)))
        except DataError:
            continue  # named where pairs are read
        if len(seen) > MOST + 1:
            raise DataError(f"{file}: more than {MOST} values by now; class maps have one for each "
                            "class, photographs and smoothed masks have more")  # fmt: skip
    values = sorted(seen)
    if all(CAMVID_STEM.match(Path(file).stem) for file in masks) and values[-1:] == [len(CAMVID)]:
        numbers = dict(enumerate((*CAMVID, "void")))
        return _with_note(legend_named(numbers), "read as CamVid's 11 classes; 11 is void")
    if len(values) == 2 and (values[0] == 0 or values == [1, VOID]):
        names = {values[0]: "background", values[1]: "object"}
        return _with_note(legend_named(names), f"{code_word(values[1])} is read as the object")
    numbers = {code: code_word(code) for code in values if code != VOID}
    if not numbers:
        raise DataError(f"{masks[0]}: the masks hold no class but 255, which means none")
    has_void = "; 255 is none" if VOID in values else ""
    words = ", ".join(list(numbers.values())[:8]) + (" ..." if len(numbers) > 8 else "")
    return _with_note(legend_named(numbers), f"no list of classes: {words} are classes{has_void}")


def _with_note(legend: Legend, note: str) -> Legend:
    return Legend(legend.names, legend.palette, note)
