"""Examines the data and the network as a whole: before a training, and once more after it.

The examinations are the files of exams/; here they get their parts, their time, and their events.
"""

import gc
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, default_collate

from ..core import registry
from ..core.patience import patience
from .apart import aloud, apart
from .exams._case import Case, Live
from .exams._part import MOST, Part, note_collate, of_tensors, read
from .live import live_of
from .loader import dataset_of, items_of, length_of, tensors_of
from .probes._measure import first_tensor
from .probes._probe import Feed
from .probes.dealt import DealtSets, pairs_of

Progress = Callable[[int, int, str], None]  # done, of how many, what
FEW, QUICK = 2000, 4000  # samples answered after a training; samples read in a quick look
SHARE, SHORTEST, LONGEST = 0.05, 0.3, 3.0  # of a training's time, and seconds, for the look after
STEPS = 20  # a shorter training tells nothing


def exams(level: str) -> dict[str, Any]:
    """The examinations of a level, cheap ones first.

    >>> sorted(exams("quick"))
    ['copies', 'counts', 'moments', 'votes']
    """
    every = registry.collect("snellen.doctor.exams", "EXAMS")
    chosen = {name: look for name, (levels, look) in every.items() if level in levels}
    return dict(sorted(chosen.items(), key=lambda pair: "quick" not in every[pair[0]][0]))


def before(
    doc: Any,
    level: str = "full",
    *,
    sets: Mapping[str, Any] | None = None,
    live: Live | None = None,
    fitted: Any = None,
    loader: DataLoader | None = None,
    progress: Progress | None = None,
) -> None:
    """Look through the data sets and try the network; what is found goes to the chart.

    `sets` are loaders, data sets or parts by their names. Weights, modes and random numbers are
    as they were.
    """
    sets = {k: v for k, v in (sets or {}).items() if v is not None}
    if loader is None and isinstance(sets.get("train"), DataLoader):
        loader = sets["train"]
    chosen = exams(level)
    total, done = len(chosen) + len(sets), 0
    tell = aloud(progress) if progress else (lambda done, total, what: None)
    case = Case(live=live, loader=loader, fitted=fitted, seconds=10.0 if level == "full" else 1.0)
    homes = [*sets.values(), loader.collate_fn if loader is not None else None, fitted]
    guest = apart(doc.engine, "the data set or network", *map(dataset_of, homes))
    with guest as free, torch._C.DisableTorchFunction():
        for name, given in sets.items() if free else ():
            tell(done, total, f"reading {name}")
            part = doc.engine.guarded(_part, doc, name, given, level)
            if part is not None:
                case.parts[name] = doc.parts[name] = part
            done += 1
        if loader is not None and "train" in case.parts:
            doc.engine.guarded(note_collate, case.parts["train"], loader.collate_fn)
        for name, look in chosen.items() if free else ():
            tell(done, total, name)
            _emit(doc, name, look, case)
            done += 1
    tell(total, total, "")


def _part(doc: Any, name: str, given: Any, level: str) -> Part | None:
    if isinstance(given, Part):
        return given
    dataset = dataset_of(given)
    if level == "full":
        doc.search.preflight(dataset, name)
    seconds = 5.0 if level == "full" else 0.5
    return read(name, dataset, MOST if level == "full" else QUICK, seconds)


def _emit(doc: Any, name: str, look: Callable[[Case], Any], case: Case) -> None:
    try:
        values = look(case)
    except Exception as error:  # no fault: networks and data come in all shapes
        said = f"{type(error).__name__}: {str(error)[:120]}"
        doc.engine.notes.add(f"an examination could not be made: {said}")
        return
    if values:
        doc.engine.emit("exam", doc.engine.step, name=name, values=values)


def first_live(doc: Any, loader: Any, loss_fn: Any) -> Live | None:
    """The first batch of a loader as a case for the network; only with a loss_fn(net(x), y)."""
    if loss_fn is None or len(doc.engine.patients) != 1 or not isinstance(loader, DataLoader):
        return None
    if not hasattr(loader.dataset, "__getitem__") or not hasattr(loader.dataset, "__len__"):
        return None
    if not length_of(loader.dataset):
        return None
    count = min(len(loader.dataset), max(32, loader.batch_size or 0))
    rows = torch.randperm(len(loader.dataset), generator=torch.Generator().manual_seed(0))[:count]
    with apart(doc.engine, "the data set", loader.dataset, loader.collate_fn) as free:
        if not free:
            return None
        data = (loader.collate_fn or default_collate)(items_of(loader.dataset, rows.tolist()))
    pairs = [t for _, t in tensors_of(data)]
    if len(pairs) != 2:
        return None
    feed = Feed(doc.engine.patients[0], (pairs[0],), {}, None, 0, 0, True)
    return live_of(feed, pairs[1], loss_fn, None)


def at_first_backward(doc: Any, loss: Tensor, progress: Progress | None = None) -> None:
    """In a script: network, batch, loss and loader are known now, and nothing has moved yet."""
    feed = doc.engine.feed
    if feed is None:
        return
    doc.engine.calls.stop()
    loaders = _loaders()
    homes = [home for v in loaders for home in (v.dataset, v.collate_fn)]
    guest = apart(doc.engine, "the data set or network", *homes)
    with guest as free, torch._C.DisableTorchFunction():
        if not free:
            return
        record, target = doc.search.met(feed, loss)
        live = live_of(feed, target, doc.engine.loss_fn, doc.engine.template)
        sets: dict[str, Any] = {}
        if record is not None:
            sets["train"] = read("train", record.dataset)
            inner = [v for v in loaders if v.dataset is not record.dataset]
            if inner:
                sets["val"] = read("val", inner[0].dataset)
        mine = [v for v in loaders if record is not None and v.dataset is record.dataset]
    before(doc, "full", sets=sets, live=live, loader=mine[0] if mine else None, progress=progress)


def _loaders() -> list[DataLoader]:
    """The loaders of the process whose sets can be read by row, oldest first."""
    found = [o for o in gc.get_objects() if issubclass(type(o), DataLoader)]
    return [v for v in found if not isinstance(v.dataset, IterableDataset)]


def after(doc: Any) -> None:
    """Once the training has ended: the data that were dealt, and what the network says of them."""
    engine = doc.engine
    _waits(doc)
    probe = next((p for p in engine.probes if isinstance(p, DealtSets)), None)
    if engine.step < STEPS or doc.search.count or probe is None:
        return
    seconds = min(max(SHARE * (time.monotonic() - probe.began), SHORTEST), LONGEST)
    case = Case(seconds=seconds / 4)
    dealt = {name: found.record.dataset for name, found in probe.sets.items()}
    collates = [found.record.collate for found in probe.sets.values()]
    guest = apart(engine, "the data set or network", *doc.sets.values(), *dealt.values(), *collates)
    with guest as free, torch._C.DisableTorchFunction():
        if not free:
            return
        for name in ("train", "val"):
            dataset = doc.sets.get(name, dealt.get(name))
            part = doc.parts.get(name)
            if part is None and dataset is not None:
                part = engine.guarded(read, name, dataset, MOST, seconds / 4)
            if part is not None:
                case.parts[name] = part
                if name in probe.sets:
                    engine.guarded(note_collate, part, probe.sets[name].record.collate)
        if not case.parts and (pairs := pairs_of(probe)):
            case.parts["train"] = of_tensors("batch", *pairs)
            case.parts["train"].more["inputs"] = pairs[0]
        case.answers = _answers(doc, probe, time.monotonic() + patience(seconds))
        for name, look in exams("after").items():
            if name not in engine.chart.exams:
                _emit(doc, name, look, case)


def _waits(doc: Any) -> None:
    waits = doc.engine.loaders.waits
    if waits.count:
        values = {"batches": waits.count, "waited": waits.waited, "seconds": waits.seconds}
        doc.engine.emit("exam", doc.engine.step, name="waits", values=values)


def _answers(doc: Any, probe: DealtSets, end: float) -> Callable[[Part], Any] | None:
    """How to ask the network about a part; None where its inputs are not the data set's items."""
    train = probe.sets.get("train")
    if train is None and probe.patient is not None and not probe.patient.is_partial:
        return lambda part: _ask(probe.patient, default_collate, part, end)
    told = "train" in doc.sets and train is not None and train.looks == 0
    if train is None or train.patient.is_partial:
        return None
    if len(doc.engine.patients) != 1 or not (train.is_plain or told):
        return None

    def answers(part: Part) -> tuple[Tensor, Tensor] | None:
        dealt = probe.sets.get(part.name)
        if part.dataset is None or (dealt is not None and not dealt.is_plain and not told):
            return None
        return _ask(train.patient, train.record.collate or default_collate, part, end)

    return answers


def _ask(
    patient: Any, collate: Callable[[Any], Any], part: Part, end: float
) -> tuple[Tensor, Tensor] | None:
    inputs = part.more.get("inputs")  # by place, where they need not be read again
    if inputs is None and part.dataset is None:
        return None
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(2))[:FEW]
    found: list[Tensor] = []
    done = 0
    with patient.replayed() as net:
        device = next(net.parameters()).device
        for places in order.split(256):
            at = part.places_N[places]
            items = inputs[at] if inputs is not None else items_of(part.dataset, at.tolist())
            x = items if isinstance(items, Tensor) else first_tensor((collate(items),), {})
            out = net(x.to(device)) if x is not None else None
            if not isinstance(out, Tensor) or len(out) != len(places):
                return None
            found.append(out.detach().float().cpu())
            done += len(places)
            if time.monotonic() > end:
                break
    return torch.cat(found), order[:done]
