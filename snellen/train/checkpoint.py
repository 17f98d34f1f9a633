"""Checkpoints that survive kill -9, a full disk and a flipped bit.

A checkpoint is three files: NAME.safetensors (weights), NAME.state.safetensors (optimisers, random
numbers, place in the data) and NAME.json, which holds the seals of the other two. `last` becomes
`previous` by a second name for each file, so that one of the two is whole at every moment; the
JSON is renamed last and is the mark that the trio is complete. No pickle.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from ..core import files, sealed
from ..core.audit import can_judge, file_damages
from ..core.errors import DataError, UsageError
from ..core.events import read_events
from ..core.exports import FOLDER, export_damages, exported_damages
from ..core.fit import fit_into
from ..core.pack import pack, unpack
from ..core.sealed import Damage, Reading
from ..core.weights import damage_lines, read_weights, short

__all__ = [
    "Checkpoint",
    "Damage",
    "fit_into",
    "load",
    "load_weights",
    "save",
    "save_best",
    "verify",
]
NAMES = ("last", "previous")  # newest first
PARTS = (".safetensors", ".state.safetensors", ".json")  # in the order of the renames
STRANGER = "belongs to another save than the .json beside it"

_written: dict[Path, str] = {}  # folder -> seal of the `last` that this process wrote there


@dataclass(frozen=True)
class Checkpoint:
    """All that continues a training bit by bit.

    `state` nests dicts, lists, tuples, tensors and plain values; `meta` is plain (version, model,
    task, spec, epoch, step, score ...).
    """

    weights: dict[str, Tensor]
    state: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write folder/last.*; the old last becomes previous. Returns the path of last.safetensors.

    Raises DataError with the space needed where the disk is full; what was there before stays.

    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as name:
    ...     _ = save(Path(name), Checkpoint({"w": torch.ones(2)}, {"lr": 0.1}, {"epoch": 1}))
    ...     checkpoint, notes = load(Path(name))
    >>> checkpoint.weights["w"].tolist(), checkpoint.state, checkpoint.meta, notes
    ([1.0, 1.0], {'lr': 0.1}, {'epoch': 1}, [])
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tree, tensors = pack(checkpoint.state)
    meta, seals = checkpoint.meta, {}

    def write_weights(path: Path) -> None:
        seals["weights"] = sealed.write_tensors(path, checkpoint.weights, {"meta": meta})

    def write_state(path: Path) -> None:
        seals["state"] = sealed.write_tensors(path, tensors, {"tree": tree})

    def write_mark(path: Path) -> None:
        text, seals["mark"] = sealed.json_bytes({"meta": meta, "files": dict(seals)})
        path.write_bytes(text)

    paths = [folder / f"last{part}" for part in PARTS]
    writers = dict(zip(paths, (write_weights, write_state, write_mark), strict=True))
    need = sealed.num_bytes(checkpoint.weights) + sealed.num_bytes(tensors)
    files.write_together(writers, need, before=partial(_rotate, folder))
    _written[folder.resolve()] = seals["mark"]
    return paths[0]


def save_best(path: Path, weights: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write one .safetensors that carries `meta` and the hashes of all that is in it."""
    path, tensors = Path(path), dict(weights)
    path.parent.mkdir(parents=True, exist_ok=True)

    def write(beside: Path) -> None:
        sealed.write_tensors(beside, tensors, {"meta": dict(meta)})

    files.write_atomically(path, write, sealed.num_bytes(tensors))


def load(folder: Path) -> tuple[Checkpoint, list[str]]:
    """The newest whole one of folder/last and folder/previous, and notes of what was refused.

    Raises DataError that lists every damage where neither is whole. Changes nothing.
    """
    folder = Path(folder)
    refused: list[str] = []
    for name in NAMES:
        trio = _read(folder, name)
        if not trio.damages:
            checkpoint = trio.checkpoint()
            return checkpoint, _notes(refused, name, checkpoint.meta)
        refused += damage_lines(trio.damages)
    if not any(_present(folder, name) for name in NAMES):
        raise DataError(f"no checkpoint in {folder}: none was saved yet, or it lies elsewhere")
    raise DataError("\n".join([f"no whole checkpoint in {folder}; refused:", *short(refused)]))


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A file of weights (or a run folder: its best) -> tensors by name and meta: core.weights."""
    tensors, meta, _ = read_weights(path)
    return tensors, meta


def verify(path: Path) -> list[Damage]:
    """A run folder, a folder of it or one file -> all that is damaged; [] when all is well.

    What a killed process leaves (an unfinished .tmp, a half rotated trio beside a whole one, half a
    last line of the log) is no damage: nothing reads it, and the next save sweeps it away. Raises
    UsageError for what cannot be judged.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"nothing to verify at {path}: there is no such file or folder")
    if path.is_file():
        return _file_damages(path)
    damages: list[Damage] = []
    for folder in (path, path / "weights"):
        damages += _weights_damages(folder)
        trios = {folder / f"{name}{part}" for name in NAMES for part in PARTS}
        for file in sorted(folder.glob("*")):
            damages += file_damages(file) if file.is_file() and file not in trios else []
    damages += _best_damages(path) + export_damages(path / FOLDER)
    named = {damage.file for damage in damages}
    damages += [damage for damage in export_damages(path) if damage.file not in named]
    if (path / "weights").is_dir() and not (path / "config.yaml").is_file():
        damages.append(Damage(path / "config.yaml", None, "is missing"))
    if not damages and not any(can_judge(file) for file in path.glob("**/*")):
        raise UsageError(f"{path} cannot be judged: it holds no file that a training leaves")
    return list(dict.fromkeys(damages))


def _file_damages(path: Path) -> list[Damage]:
    """One file: by the record of an export that names it, else by what its kind can prove."""
    exported = exported_damages(path)
    if exported is None and not can_judge(path):
        raise UsageError(
            f"{path} cannot be judged: no checksums (*.sha256.json) beside it name it, as beside "
            "what `snellen export` writes into a run, and files of its kind hold none"
        )
    return file_damages(path) if exported is None else exported


@dataclass(frozen=True)
class _Trio:
    """The three files of one name as they were found: weights, state, mark."""

    readings: tuple[Reading, Reading, Reading]
    damages: list[Damage]

    def checkpoint(self) -> Checkpoint:
        weights, state, mark = self.readings
        tree = unpack(state.facts["tree"], state.tensors)
        return Checkpoint(weights.tensors, tree, mark.facts["meta"])

    def overtaken_by(self, other: "_Trio") -> bool:
        """Whether this is what a kill between two renames leaves: part of it is whole `other`."""
        seals = [reading.seal for reading in self.readings]
        shared = [a for a, b in zip(seals, other.readings, strict=True) if a and a == b.seal]
        torn = all(damage.what in (sealed.MISSING, STRANGER) for damage in self.damages)
        return torn and bool(shared) and not other.damages


def _read(folder: Path, name: str) -> _Trio:
    weights, state = (sealed.read_tensors(folder / f"{name}{part}") for part in PARTS[:2])
    mark = sealed.read_json(folder / f"{name}.json")
    damages = [*weights.damages, *state.damages, *mark.damages]
    partners = mark.facts.get("files", {})
    for part, reading, key in zip(PARTS, (weights, state), ("weights", "state"), strict=False):
        if partners and not reading.damages and reading.seal != partners[key]:
            damages.append(Damage(folder / f"{name}{part}", None, STRANGER))
    return _Trio((weights, state, mark), damages)


def _weights_damages(folder: Path) -> list[Damage]:
    """The damages of last and previous, but for what a kill in the middle of a save leaves."""
    trios = {name: _read(folder, name) for name in NAMES if _present(folder, name)}
    torn = {
        name for name, trio in trios.items() for other in trios.values()
        if other is not trio and trio.overtaken_by(other)
    }  # fmt: skip
    return [d for name, trio in trios.items() if name not in torn for d in trio.damages]


def _best_damages(run: Path) -> list[Damage]:
    """Whether the best weights of a run folder are there and its own.

    What is saved as `last` keeps the best epoch's scores. A best that is newer than it was written
    just before the training was ended, and cannot be judged.
    """
    best = run / "weights" / "best.safetensors"
    if not _present(best.parent, "last"):
        saved = not best.exists() and _has_saved(run / "events.jsonl")
        return [Damage(best, None, sealed.MISSING)] if saved else []
    last = sealed.read_json(best.parent / "last.json").facts.get("meta", {})
    if not last.get("metrics"):
        return []
    if not best.exists():
        return [Damage(best, None, sealed.MISSING)]
    meta = sealed.read_tensors(best).facts.get("meta", {})
    is_newer = meta.get("step", 0) > last.get("step", 0)
    own = ("task", "spec", "model") if is_newer else ("task", "spec", "model", "metrics")
    other = [name for name in own if name in last and meta.get(name) != last[name]]
    if not meta or not other:
        return []
    what = f"is of another run: its {' and its '.join(other)} differ from those in last.json"
    return [Damage(best, None, what)]


def _has_saved(log: Path) -> bool:
    """Whether a run's log tells of a checkpoint; a damaged log is named elsewhere."""
    try:
        return any(event["kind"] == "checkpoint" for event in read_events(log))
    except (OSError, DataError):
        return False


def _rotate(folder: Path) -> None:
    """Make `last` the previous one, unless it is damaged: a good previous is worth more."""
    mark = sealed.read_json(folder / "last.json")
    ours = bool(mark.seal) and mark.seal == _written.get(folder.resolve())
    if ours or not _read(folder, "last").damages:
        for part in PARTS:
            files.link_over(folder / f"last{part}", folder / f"previous{part}")
        files.sync_folder(folder)


def _present(folder: Path, name: str) -> bool:
    return any((folder / f"{name}{part}").exists() for part in PARTS)


def _notes(refused: list[str], name: str, meta: dict[str, Any]) -> list[str]:
    if not refused:
        return []
    place = ", ".join(f"{key} {meta[key]}" for key in ("epoch", "step") if key in meta)
    return [*refused, f"{name}.* is whole and was used instead ({place or 'no epoch noted'})"]
