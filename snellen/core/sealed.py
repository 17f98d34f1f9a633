"""Files that know when they were changed: safetensors and JSON with hashes inside.

A seal is the SHA-256 of a JSON text in which the seal itself reads 64 zeros. In a safetensors
file the sealed text is the whole header: names, types, shapes, metadata, padding, and in the
metadata a SHA-256 of each tensor. So no bit of the file can turn unseen, and the seal of the
header stands for the whole file.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from .errors import DataError
from .pack import pack, unpack

KEY = "snellen"  # of the metadata
BLANK = "0" * 64
SEAL = re.compile(rb'"seal": ?"([0-9a-f]{64})"')
# What reading rubbish can raise, up to headers that are JSON of another shape.
BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, safetensors.SafetensorError)
MISSING = "is missing"
CHANGED = "is not what was written: its SHA-256 differs"


@dataclass(frozen=True)
class Damage:
    """What is wrong with a file, or with one tensor of it.

    >>> print(Damage(Path("best.safetensors"), "fc.bias", MISSING))
    best.safetensors: tensor 'fc.bias' is missing
    """

    file: Path
    tensor: str | None
    what: str

    def __str__(self) -> str:
        which = f"tensor {self.tensor!r} " if self.tensor is not None else ""
        return f"{self.file}: {which}{self.what}"


@dataclass(frozen=True)
class Reading:
    """A file as it was found. A foreign file (no hashes) has no facts and an empty seal.

    >>> Reading().damages
    ()
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    seal: str = ""
    damages: tuple[Damage, ...] = ()


def write_tensors(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> str:
    """Tensors and plain facts -> a sealed safetensors file; returns its seal. Not atomic.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     seal = write_tensors(Path(folder, "a.safetensors"), {"w": torch.ones(2)}, {"epoch": 3})
    ...     found = read_tensors(Path(folder, "a.safetensors"))
    >>> found.seal == seal, found.facts, found.tensors
    (True, {'epoch': 3}, {'w': tensor([1., 1.])})
    """
    ready = _ready(tensors)
    hashes = {name: tensor_hash(tensor) for name, tensor in ready.items()}
    inner = json.dumps({"facts": _plain(facts), "sha256": hashes}, ensure_ascii=False)
    # In memory first: save_file makes a file of its own beside, for its owner's eyes alone, and a
    # kill leaves that one behind.
    data = memoryview(save(ready, {KEY: inner, "seal": BLANK}))
    start = 8 + int.from_bytes(data[:8], "little")
    header, seal = _sealed(bytes(data[8:start]))
    with open(path, "wb") as file:
        file.write(data[:8])
        file.write(header)
        file.write(data[start:])
    return seal


def read_tensors(path: Path) -> Reading:
    """A safetensors file -> its tensors, facts and damages; never raises for what is in it.

    The tensors are copies in memory: a file that changes later does not change them.

    >>> read_tensors(Path("absent.safetensors")).damages[0].what
    'is missing'
    """
    try:
        header = _header(path)
        seal, facts, hashes = _check_header(header)
        tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    except BROKEN as error:
        return Reading(damages=(Damage(path, None, _reason(error)),))
    if not seal:
        return Reading(tensors)
    wrong = [name for name, tensor in tensors.items() if tensor_hash(tensor) != hashes.get(name)]
    damages = [Damage(path, name, CHANGED) for name in wrong]
    damages += [Damage(path, name, MISSING) for name in hashes if name not in tensors]
    # The library sorts by type; the order of the layers is that of the hashes.
    tensors = {name: tensors[name] for name in hashes if name in tensors}
    return Reading(tensors, facts, seal, tuple(damages))


def json_bytes(value: dict[str, Any]) -> tuple[bytes, str]:
    """A dict of plain values -> (indented JSON with a seal, the seal).

    >>> data, seal = json_bytes({"epoch": 3})
    >>> seal in data.decode()
    True
    """
    text = json.dumps({"seal": BLANK, **_plain(value)}, indent=1, ensure_ascii=False) + "\n"
    return _sealed(text.encode())


def read_json(path: Path) -> Reading:
    """A sealed JSON file -> its facts and seal, or its damage.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.json")
    ...     _ = path.write_bytes(json_bytes({"epoch": 3})[0])
    ...     read_json(path).facts["epoch"]
    3
    """
    try:
        data = path.read_bytes()
        seal = _check_seal(data)
        if not seal:
            raise ValueError(_not_text(data) or "holds no seal: it was changed or never whole")
        facts = unpack(json.loads(data), {})
    except BROKEN as error:
        return Reading(damages=(Damage(path, None, _reason(error)),))
    return Reading(facts=facts, seal=seal)


def tensor_hash(tensor: Tensor) -> str:
    """SHA-256 over type, shape and bytes.

    >>> tensor_hash(torch.zeros(2, 1)) == tensor_hash(torch.zeros(1, 2))
    False
    """
    digest = hashlib.sha256(f"{tensor.dtype} {list(tensor.shape)} ".encode())
    if tensor.numel():
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def num_bytes(tensors: dict[str, Tensor]) -> int:
    """What a file of these tensors takes, within a few percent.

    >>> num_bytes({"w": torch.zeros(1000)})
    8396
    """
    return 4096 + sum(t.numel() * t.element_size() + 300 for t in tensors.values())


def _ready(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU, contiguous, and no two in one storage: what safetensors can hold."""
    ready: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise DataError(f"tensor {name!r} is sparse or quantised; save it dense")
        plain = tensor.detach().cpu().contiguous()
        address = plain.untyped_storage().data_ptr()
        ready[name] = plain.clone() if address in seen else plain
        seen.add(address)
    return ready


def _plain(facts: dict[str, Any]) -> Any:
    tree, tensors = pack(facts, "meta")
    if tensors:
        raise DataError(f"meta holds a tensor at {next(iter(tensors))!r}; put it into the state")
    return tree


def _sealed(text: bytes) -> tuple[bytes, str]:
    """A text with a blank seal -> the text with its seal, the seal."""
    seal = hashlib.sha256(text).hexdigest()
    match = SEAL.search(text)
    assert match is not None
    return text[: match.start(1)] + seal.encode() + text[match.end(1) :], seal


def _check_seal(text: bytes) -> str:
    """The seal of a text, "" where it has none; ValueError where it does not fit."""
    match = SEAL.search(text)
    if match is None:
        return ""
    blank = text[: match.start(1)] + BLANK.encode() + text[match.end(1) :]
    if hashlib.sha256(blank).hexdigest().encode() != match[1]:
        raise ValueError(f"its text {CHANGED}")
    return match[1].decode()


def _header(path: Path) -> bytes:
    """The JSON text at the head of a safetensors file, once the lengths add up."""
    found = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if found < 8 or length == 0:
            raise ValueError("is empty" if found == 0 else _zeros(path) or "has no header")
        if length > found - 8:
            raise ValueError(f"is cut off, or its header is not one: {found} bytes are there")
        header = file.read(length)
    parts = json.loads(header)
    ends = [part["data_offsets"][1] for name, part in parts.items() if name != "__metadata__"]
    wanted = 8 + length + max(ends, default=0)
    if wanted != found:
        raise ValueError(f"is {found} bytes long where {wanted} were written")
    return header


def _check_header(header: bytes) -> tuple[str, dict[str, Any], dict[str, str]]:
    """A header -> (seal, facts, SHA-256 by tensor); a foreign one gives ("", {}, {})."""
    seal = _check_seal(header)
    metadata = json.loads(header).get("__metadata__", {})
    if not seal and KEY not in metadata and "seal" not in metadata:
        return "", {}, {}
    if not seal:
        raise ValueError(f"its header {CHANGED}")
    inner = json.loads(metadata[KEY])
    return seal, unpack(inner["facts"], {}), inner["sha256"]


def _zeros(path: Path) -> str:
    """Say so where a file begins with zeros, as after a power cut."""
    with open(path, "rb") as file:
        return "" if any(file.read(4096)) else "is filled with zeros"


def _not_text(data: bytes) -> str:
    """Why bytes cannot be a text file; "" where they can."""
    if not data:
        return "is empty"
    return "holds zero bytes" if b"\0" in data else ""


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return MISSING if isinstance(error, FileNotFoundError) else str(error.strerror)
    if isinstance(
        error, json.JSONDecodeError | UnicodeError | LookupError | TypeError | AttributeError
    ):
        return f"its header or text is broken: {str(error)[:80]}"
    return str(error)[:120]
