"""The verb `train`: settings in, run folder out; a new run or a resumed one."""

import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from textwrap import fill
from typing import Any

from torch import nn

from ..core import registry
from ..core.compiled import is_here
from ..core.cores import usable_cores
from ..core.errors import UsageError
from ..core.events import read_events
from ..core.runfolder import RunFolder, create, find
from ..core.words import printable
from ..data.open import both, need_labels, open_data
from ..data.source import SampleSet, Source
from ..doctor.finding import Finding
from ..doctor.report import text as findings_text
from . import checkpoint
from .finish import finish, seal, write_findings
from .lent import lent
from .logbook import Logbook, cut_back, plan_of, read_config, write_config, write_surroundings
from .prepare import Job, Note, prepare, read_source, readable, task_kind
from .recipe import Recipe, aliases, parse, resolve_name
from .session import Session, make_loop

# What a resumed run may be told anew; everything else it keeps, so that it computes the same.
MAY_CHANGE = (
    "epochs", "patience", "save_minutes", "device", "workers", "readers", "residency", "threads",
    "data", "val",
)  # fmt: skip
CHANGES_RESULT = ("epochs", "device", "threads")
THREADS_A_CORE = 8  # at most: with more, all that is done is taking turns


def train(data: Any, own: nn.Module | None, settings: Mapping[str, Any]) -> Path:
    """Train -> the path of the run folder."""
    words = {word: value for word, value in settings.items() if value is not None}  # said at all
    resume, name, quiet = (
        words.pop("resume", None),
        words.pop("recipe", None),
        words.pop("quiet", False),
    )
    said = [word for word in words if aliases().get(word, word) == "val"]
    for word in [word for word in said if not isinstance(words[word], str | Path)]:
        if len(said) > 1:
            raise UsageError(f"val is said twice: as {said[0]}= and as {said[1]}=")
        data = both(data, words.pop(word))
    typed = read_settings(words)
    if isinstance(data, str | Path):
        typed["data"], data = str(data), None
    say = _Say(quiet)
    _weigh_threads(typed.get("threads"), say)
    if resume is not None and name is not None:
        raise UsageError(f"resume={resume} and recipe={name} cannot both be said")
    with lent(own):
        return _trained(resume, name, typed, {"data": data, "model": own}, say)


def _trained(
    resume: Any, name: Any, typed: dict[str, Any], given: dict[str, Any], say: "_Say"
) -> Path:
    if resume is not None:
        session = resumed(resume, typed, given, say)
    else:
        session = fresh(name, typed, given, say)
    findings: tuple[Finding, ...] = ()
    try:
        session.train()
        findings = session.doc.findings if session.doc is not None else ()
        finish(session, findings, say)
        if session.message:
            say(session.message)
        if session.doc is not None:
            say(findings_text(findings))
    except BaseException:  # what the doctor saw may tell why
        write_findings(session, session.doc.findings if session.doc is not None else ())
        raise
    finally:
        session.close()
        seal(session.folder)
    return session.folder.path


def read_settings(words: Mapping[str, Any]) -> dict[str, Any]:
    """Words and values as typed -> settings by their own names, each of its type."""
    typed: dict[str, Any] = {}
    for word, value in words.items():
        name, _ = resolve_name(word)
        if name in typed and typed[name] != parse(name, value):
            raise UsageError(f"{name} is said twice: {typed[name]} and {value} ({word})")
        typed[name] = parse(name, value)
    return typed


def _weigh_threads(threads: int | None, note: Note) -> None:
    """Typed threads beside the cores: more of them wait for each other at every layer."""
    cores = usable_cores()
    most = THREADS_A_CORE * cores
    if threads is None or threads <= cores:
        return
    if threads > most:
        raise UsageError(
            f"threads={threads} is out of range; it must be between 1 and {most}, "
            f"{THREADS_A_CORE} for each core of this process ({cores}); one for each is fastest"
        )
    note(f"threads={threads} are more than this process has cores ({cores}): they wait for each "
         "other, so the training is slower")  # fmt: skip


def fresh(name: str | None, typed: dict[str, Any], given: dict[str, Any], say: "_Say") -> Session:
    """A new run: nothing is written before the job is known to be good."""
    base = registry.get("snellen.recipes", "RECIPES", name) if name else Recipe()
    recipe = base.change(**typed)
    job = prepare(recipe, typed, given, say)
    loop = make_loop(job)
    folder = create(recipe.project, recipe.name or run_name(name, recipe, job))
    write_surroundings(folder, job.recipe.threads)
    write_config(folder, job.plan, _what(job))
    session = Session(job, loop, folder, quiet=say.quiet)
    say.write_to(session.book)
    session.say = say
    session.book.events.write("start", 0, command=sys.argv, recipe=job.recipe.as_dict(),
                              set_by=dict(job.plan.set_by))  # fmt: skip
    say(summary(job))
    for name, value in job.task.baseline(job.source.train).items():
        say(f"baseline: {name} {value:.3f} is what a network that learned nothing scores")
    for line in job.plan.lines():
        say(fill(f"speed: {line}", 100, subsequent_indent=" " * 7, break_on_hyphens=False))
    for choice in job.plan.choices:
        session.book.events.write("choice", 0, setting=choice.setting, value=choice.value,
                                  reason=choice.reason)  # fmt: skip
    return session


def resumed(run: str | Path, typed: dict[str, Any], given: dict[str, Any], say: "_Say") -> Session:
    """A run that was broken off, where its newest good checkpoint stands."""
    folder = find(run)
    config = read_config(folder)
    plan = plan_of(config)
    _refuse_changes(folder, plan.recipe, typed)
    saved, refused = checkpoint.load(folder.weights)
    for line in refused:
        say(line)
    done, wanted = saved.meta["epoch"], typed.get("epochs")
    if wanted is not None and wanted < done:
        raise UsageError(
            f"{folder} stands at epoch {done}, and epochs={wanted} takes none back; with more than "
            f"{done} it goes on, and a new training with epochs={wanted} is shorter"
        )
    recipe = whereabouts(config, plan.recipe).change(**typed)
    _need_what_python_gave(folder, recipe, config, given)
    job = prepare(recipe, typed, {**given, "spec": saved.meta["spec"]}, say, before=plan)
    changed = _changed(plan.recipe, job.recipe)
    _refuse_other_data(folder, config, _what(job))
    folder.seals.unlink(missing_ok=True)  # what it names is written on
    cut_back(folder, saved.meta["step"])
    changed |= {text.split()[0]: text for text in write_surroundings(folder, job.recipe.threads)}
    where = f"epoch {done}, step {saved.meta['step']}"
    say(f"resumed {folder} at {where}" + (
        f"; changed: {', '.join(changed.values())}; so the result will differ from an unbroken run"
        if changed else ""))  # fmt: skip
    if done >= (job.recipe.epochs or 0):
        say(f"it is finished; epochs={2 * done or 1} would go on")
    if typed:
        write_config(folder, job.plan, _what(job))
    events = list(read_events(folder.events)) if folder.events.exists() else []
    session = Session(job, make_loop(job), folder, quiet=say.quiet)
    say.write_to(session.book)
    session.restore(saved, events)
    session.book.events.write("resume", saved.meta["step"], file=str(folder.weights),
                              epoch=saved.meta["epoch"], same=not changed)  # fmt: skip
    return session


def _changed(before: Recipe, now: Recipe) -> dict[str, str]:
    """Settings that the result depends on and that are others now -> how they changed."""
    pairs = {name: (getattr(before, name), getattr(now, name)) for name in CHANGES_RESULT}
    found = {n: f"{n} {was} -> {value}" for n, (was, value) in pairs.items() if was != value}
    if not is_here():
        loops = {"preparing": "compiled", "norm": "by_shape"}  # both computed by numba
        found |= {n: f"{n} without numba" for n, way in loops.items() if getattr(now, n) == way}
    return found


def _refuse_other_data(
    folder: RunFolder, config: Mapping[str, Any], now: Mapping[str, Any]
) -> None:
    """A run goes on with its own data; they may have moved, but not changed."""
    for name in ("classes", "samples"):
        if now[name] != config.get(name):
            raise UsageError(
                f"the data are not those of {folder}: {name} were {config.get(name)}, are now "
                f"{now[name]}; start a new training with weights={folder.best}"
            )


def _need_what_python_gave(
    folder: RunFolder, recipe: Recipe, config: Mapping[str, Any], given: Mapping[str, Any]
) -> None:
    """Arrays and modules are not kept in a run: they must be given again."""
    if recipe.data is None and given["data"] is None:
        raise UsageError(f"{folder} was trained on arrays: give the same again, "
                         f"sn.train((x, y), resume={str(folder)!r})")  # fmt: skip
    if config.get("network", {}).get("name") is None and given["model"] is None:
        kind = config.get("network", {}).get("class")
        raise UsageError(f"{folder} was trained with your own module {kind}: give it again, "
                         f"sn.train(..., model=net, resume={str(folder)!r})")  # fmt: skip


def _refuse_changes(folder: RunFolder, recipe: Recipe, typed: dict[str, Any]) -> None:
    for name, value in typed.items():
        before = getattr(recipe, name)
        same_file = name == "weights" and before and Path(value).resolve() == Path(before).resolve()
        if name not in MAY_CHANGE and value != before and not same_file:
            raise UsageError(
                f"{name}={value} cannot be changed while {folder} goes on with {name}={before}; "
                f"start a new training with weights={folder.best}"
            )


def summary(job: Job) -> str:
    """What is trained on what, and how, in one line."""
    recipe, inputs = job.recipe, job.task.inputs()
    kind = recipe.model or job.model.get("class")
    params = sum(p.numel() for p in job.net.parameters())
    val = f" and {len(job.source.val)} validation" if job.source.val is not None else ""
    names = len(job.task.names())
    what = "classes" if "classes" in job.task.spec else "outputs"
    return (
        f"{kind}, {params:,} parameters, on {len(job.source.train)} training{val} images "
        f"({inputs.channels}x{inputs.height}x{inputs.width}, {names} {what}): "
        f"{recipe.optim} lr={recipe.lr:g} {recipe.schedule}, batch={recipe.batch}, "
        f"epochs={recipe.epochs}, augment={recipe.augment}"
    )


def _what(job: Job) -> dict[str, Any]:
    """What config.yaml records beside the settings."""
    source, recipe = job.source, job.recipe
    typed = {"data": recipe.data, "val": recipe.val, "weights": recipe.weights}
    places = {k: str(Path(v).resolve()) for k, v in typed.items() if v and Path(v).exists()}
    parts = {"train": source.train, "val": source.val, "test": source.test}
    return {
        "task": type(job.task).name,
        "format": source.format,
        "places": places,  # absolute, so that eval and resume work from any folder
        "classes": list(source.classes),
        "samples": {name: len(part) for name, part in parts.items() if part is not None},
        "network": job.model,
    }


def run_name(recipe_name: str | None, recipe: Recipe, job: Job) -> str:
    """What the run is called where the user did not say: the recipe, or the data."""
    word = recipe_name or (Path(recipe.data).stem if recipe.data else job.source.name)
    return re.sub(r"[^\w.-]+", "_", word).strip("._-") or "run"


def whereabouts(config: Mapping[str, Any], recipe: Recipe) -> Recipe:
    """The recipe with its data where they lay when the run began; where they have moved, or where
    it leads there from here too, under the path that was typed.
    """
    kept = {k: Path(v) for k, v in config.get("places", {}).items() if v}
    far: dict[str, Any] = {
        k: str(path)
        for k, path in kept.items()
        if path.exists() and Path(getattr(recipe, k) or "").resolve() != path
    }
    return replace(recipe, **far)


def part_to_judge(
    recipe: Recipe, data: Any, note: Note, spec: Mapping[str, Any]
) -> tuple[SampleSet, Source]:
    """What `eval` looks at: the run's own validation part, or all of other data, read as the run's
    were (`spec` is its task's); what cannot be read is left out and said, as in training.
    """
    if data is None:
        source = read_source(recipe, None, note)
        return source.val or source.train, source
    source = open_data(data, split=0.0, task=recipe.task or "classify",
                       counts_from=spec.get("counts_from"))  # fmt: skip
    need_labels(source)
    source = task_kind(recipe).adapt(source)
    for problem in source.problems:
        note(f"data: {problem}")
    part = source.val or source.test or source.train
    return readable(part, "the data", note), source


class _Say:
    """Prints a line for the user, and writes it to log.txt once there is one."""

    def __init__(self, quiet: bool) -> None:
        self.quiet, self._early = quiet, list[str]()
        self._book: Logbook | None = None

    def write_to(self, book: Logbook) -> None:
        """Send what was said so far, and all that comes, to the log too."""
        self._book = book
        for text in self._early:
            book.say(text)

    def __call__(self, text: str) -> None:
        text = printable(text, keep="\n")
        if self._book is not None:
            self._book.say(text)
        else:
            self._early.append(text)
        if not self.quiet:
            print(text, flush=True)
