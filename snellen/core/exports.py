"""A record beside an exported file, or of the files that a training wrote: the SHA-256 of each,
sealed, for `verify`.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from .runfolder import SEALS
from .sealed import CHANGED, MISSING, Damage, json_bytes, read_json

FOLDER = "export"  # of a run
SUFFIX = ".sha256.json"  # after the name of the file


def record(path: Path) -> Path:
    """Where the record of an exported file lies.

    >>> record(Path("digits-1-fp32.onnx")).name
    'digits-1-fp32.onnx.sha256.json'
    """
    return path.with_name(path.name + SUFFIX)


def record_text(files: Mapping[str, Path]) -> bytes:
    """Names and files as they are now -> the text of a record.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     b'"seal"' in record_text({"a.onnx": Path(file.name)})
    True
    """
    return json_bytes({"files": {name: _digest(file) for name, file in files.items()}})[0]


def export_damages(folder: Path) -> list[Damage]:
    """A folder of exported files -> those that are missing or not what was written; those without
    a record, as of older versions, cannot be judged.

    >>> export_damages(Path("absent"))
    []
    """
    return [damage for mark in _records(folder) for damage in _record_damages(mark)]


def exported_damages(file: Path) -> list[Damage] | None:
    """An exported file, one that belongs to it or its record -> what is damaged of all that the
    record names; None where none beside it does.

    >>> exported_damages(Path("absent.onnx")) is None
    True
    """
    whole = _of_run(file)
    if whole is not None:
        return whole
    marks = [mark for mark in _records(file.parent)
             if mark.name in (file.name, record(file).name)
             or file.name in read_json(mark).facts.get("files", {})]  # fmt: skip
    return [damage for mark in marks for damage in _record_damages(mark)] if marks else None


def _of_run(file: Path) -> list[Damage] | None:
    """One file that a training wrote, by the record of its run; None if it is not named."""
    for folder in (file.parent, file.parent.parent):
        mark = folder / SEALS
        if mark.is_file() and _name(file, mark) in read_json(mark).facts.get("files", {}):
            return [damage for damage in _record_damages(mark) if damage.file == file]
    return None


def _name(file: Path, mark: Path) -> str:
    """What a record calls a file: its path from there."""
    return file.relative_to(mark.parent).as_posix()


def _records(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


def _record_damages(mark: Path) -> list[Damage]:
    reading = read_json(mark)
    found = list(reading.damages)
    for name, digest in reading.facts.get("files", {}).items():
        file = mark.parent / name
        if not file.is_file():
            found.append(Damage(file, None, MISSING))
        elif _digest(file) != digest:
            found.append(Damage(file, None, CHANGED))
    return found


def _digest(file: Path) -> str:
    with open(file, "rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
