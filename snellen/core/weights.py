"""Weights out of a file: ours, safetensors of other makers, and PyTorch's .pt without its code.

What others wrap around weights is taken off and said: the dict of a training's state, an average
that was kept beside the weights, the prefixes of DataParallel and torch.compile.
"""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import sealed
from .errors import DataError, shortlist

PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".tar")
# Where trainings keep weights; an exponential average comes first, as in timm.
NESTS = (
    "state_dict_ema", "model_ema", "ema_state_dict", "ema", "state_dict", "model_state_dict",
    "model", "net", "weights",
)  # fmt: skip
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and torch.compile
STARTS = (b"PK", b"\x80")  # of the two forms of a .pt: a zip, and a pickle of before 2020
COUNTS = ("n_averaged",)  # bookkeeping of averages, no weight


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], list[str]]:
    """A file of weights (or a run folder: its best) -> tensors by name, meta, notes.

    A .safetensors of other makers has no hashes and gives an empty meta. A .pt or .pth is read by
    torch.load(weights_only=True) alone, which runs nothing of what the file says. The notes say
    which of several nets a file held, and what was taken off the names. Raises DataError.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.pt")
    ...     torch.save({"epoch": 3, "state_dict": {"module.w": torch.ones(2)}}, path)
    ...     tensors, _, notes = read_weights(path)
    >>> tensors, notes
    ({'w': tensor([1., 1.])}, ["a.pt: took 'state_dict'", "a.pt: took 'module.' off every name"])
    """
    path = Path(path)
    if path.is_dir():
        path, folder = path / "weights" / "best.safetensors", path
        if not path.is_file():
            raise DataError(f"{folder} is a folder and no run with weights; name the file in it")
    if not path.is_file():
        raise DataError(f"no weights at {path}: there is no such file")
    if path.suffix in PICKLED:
        return _unwrapped(path, _unpickled(path), {})
    if path.suffix != ".safetensors":
        raise DataError(f"{path} is not a file of weights; give a .safetensors, .pt or .pth")
    reading = sealed.read_tensors(path)
    if reading.damages:
        found = short(damage_lines(reading.damages), 5)
        raise DataError("\n".join([f"{path} is damaged and was not used:", *found,
                                   "copy it again from where it came from"]))  # fmt: skip
    if "tree" in reading.facts:
        weights = path.name.replace(".state", "")
        raise DataError(f"{path} holds the state of a training; its weights are in {weights}")
    if reading.seal:
        return reading.tensors, reading.facts.get("meta", {}), []
    return _unwrapped(path, reading.tensors, {})


def damage_lines(damages: Any) -> list[str]:
    """One line a file, the tensors of one file folded into one.

    >>> damage_lines([sealed.Damage(Path("a"), name, "is missing") for name in ("w", "b")])
    ["a: tensor 'w' is missing (and 1 more tensors)"]
    """
    by_file: dict[Path, list[sealed.Damage]] = {}
    for damage in damages:
        by_file.setdefault(damage.file, []).append(damage)
    more = [f" (and {len(found) - 1} more tensors)" if len(found) > 1 else ""
            for found in by_file.values()]  # fmt: skip
    return [f"{found[0]}{rest}" for found, rest in zip(by_file.values(), more, strict=True)]


def short(lines: list[str], count: int = 6) -> list[str]:
    """At most so many lines, the last of them saying how many are not shown.

    >>> short(["a", "b", "c"], 2)
    ['a', 'and 2 more; `snellen verify` lists all']
    """
    if len(lines) <= count:
        return lines
    return [*lines[: count - 1], f"and {len(lines) - count + 1} more; `snellen verify` lists all"]


def _unwrapped(
    path: Path, found: Any, meta: dict[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any], list[str]]:
    """Nested dicts and prefixed names -> tensors by plain names, and what was taken off."""
    notes: list[str] = []
    while True:
        inner = [key for key in NESTS if isinstance(found, Mapping) and _has_tensors(found, key)]
        if not inner:
            break
        others = f"; it has {', '.join(inner[1:])} too" if inner[1:] else ""
        notes.append(f"{path.name}: took {inner[0]!r}{others}")
        found = found[inner[0]]
    if not isinstance(found, Mapping) or not any(isinstance(v, Tensor) for v in found.values()):
        raise DataError(
            f"{path} holds no weights by name, but {_said(found)}; save net.state_dict() and name "
            "that file"
        )
    tensors = {str(name): value for name, value in found.items()
               if isinstance(value, Tensor) and name not in COUNTS}  # fmt: skip
    _refuse_odd(path, tensors)
    while prefix := next((p for p in PREFIXES if all(n.startswith(p) for n in tensors)), None):
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
        notes.append(f"{path.name}: took {prefix!r} off every name")
    return tensors, meta, notes


def _said(found: Any) -> str:
    """What a file holds in the place of weights."""
    kind = type(found).__name__
    if not isinstance(found, Mapping):
        return f"a {kind}"
    words = [f"{name!r} (a {type(value).__name__})" for name, value in found.items()]
    return f"a {kind} of {shortlist(words, 4)}" if words else f"an empty {kind}"


def _refuse_odd(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Weights are dense real numbers; those of a quantised file are read as other numbers."""
    for name, value in tensors.items():
        kind = "quantised" if value.is_quantized else str(value.dtype).removeprefix("torch.")
        dense = value.layout == torch.strided and not value.is_meta
        weight = name.endswith((".weight", ".bias", ".running_mean", ".running_var"))
        if not dense or value.is_complex() or (weight and not value.is_floating_point()):
            how = f"{kind} numbers" if dense else "numbers that are not all there (sparse or meta)"
            raise DataError(
                f"{path}: {name} holds {how}; floating ones are wanted: name the file that was "
                "saved before the weights were made so"
            )


def _has_tensors(found: Mapping[Any, Any], key: str) -> bool:
    inner = found.get(key)
    if not isinstance(inner, Mapping):
        return False
    return any(isinstance(v, Tensor) for v in inner.values()) or any(
        _has_tensors(inner, nest) for nest in NESTS
    )


def _unpickled(path: Path) -> Any:
    try:
        with warnings.catch_warnings():  # of pickle protocols: nothing that a user can act on
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken zip, a refused pickle and a short file differ in kind
        raise DataError(_refusal(path, error)) from error


def _refusal(path: Path, error: Exception) -> str:
    """Why a .pt was not read: it would run code, or it is no whole file."""
    words = (str(error).splitlines() or ["unreadable"])[0].partition(". ")[0]
    if "TorchScript" in words:
        return (
            f"{path} cannot be read: it is a TorchScript program; save "
            "torch.jit.load(FILE).state_dict() and name that file"
        )
    with open(path, "rb") as file:
        start = file.read(16)
    if not start.startswith(STARTS):
        words = f"it begins with {start!r}" if start else "it is empty"
    elif type(error).__name__ == "UnpicklingError":
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = f"a {named[1]}" if named else "more than tensors"
        return (
            f"{path} cannot be read without running code that it holds: it has {what} in it; "
            "save net.state_dict() and name that file"
        )
    return f"{path} cannot be read: it is no whole PyTorch file ({words}); copy it again"
