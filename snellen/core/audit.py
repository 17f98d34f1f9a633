"""Is a file of a run whole? Each kind by what it can prove: seals, JSON, YAML, plain text."""

import json
from pathlib import Path

from . import sealed
from .errors import DataError
from .events import read_events
from .sealed import Damage

TEXT = (".txt", ".csv", ".html", ".md", ".sarif", ".json", ".jsonl", ".yaml")


def can_judge(path: Path) -> bool:
    """Whether a file is of a kind that can be checked.

    >>> can_judge(Path("best.safetensors")), can_judge(Path("digits-1-fp32.onnx"))
    (True, False)
    """
    return path.suffix in (".safetensors", *TEXT)


def file_damages(path: Path) -> list[Damage]:
    """One file -> what is wrong with it; [] for a kind that cannot be checked.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "findings.json"
    ...     _ = path.write_text("{")
    ...     [damage.what for damage in file_damages(path)]
    ['is broken: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)']
    """
    if path.suffix == ".safetensors":
        return list(sealed.read_tensors(path).damages)
    if not can_judge(path):
        return []
    try:
        data = path.read_bytes()
        what = _text_damage(path, data)
    except OSError as error:
        what = str(error.strerror)
    if not what and path.suffix == ".json" and sealed.SEAL.search(data):
        return list(sealed.read_json(path).damages)
    return [Damage(path, None, what)] if what else []


def _text_damage(path: Path, data: bytes) -> str:
    if b"\0" in data:
        return "holds zero bytes"
    if not data.strip():
        # A log is empty before its first line; the other kinds are written whole or not at all.
        return "" if path.suffix in (".txt", ".csv", ".jsonl") else "is empty"
    try:
        text = data.decode() if path.suffix != ".jsonl" else ""
        if path.suffix in (".json", ".sarif"):
            json.loads(text)
        elif path.suffix == ".jsonl":
            for _ in read_events(path):
                pass
        elif path.suffix == ".yaml":
            _parse_yaml(text)
    except UnicodeDecodeError as error:
        return f"is not UTF-8 text at byte {error.start}"
    except (ValueError, DataError) as error:
        return f"is broken: {str(error).removeprefix(f'{path} ').splitlines()[0]}"
    return ""


def _parse_yaml(text: str) -> None:
    import yaml  # a quarter of a second that other kinds of file need not pay

    try:
        if not isinstance(yaml.safe_load(text), dict):
            raise ValueError("it holds no settings")
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
