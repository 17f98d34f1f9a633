"""The Python face: `train`, `load` and the Run that both return."""

import json
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from torch import nn

from .core.errors import DataError, UsageError
from .core.runfolder import find
from .data.sample import Prediction
from .data.source import SampleSet
from .doctor.finding import Finding
from .doctor.report import html as findings_html
from .explain.look import Explanation
from .improve.ensemble import ensemble as pooled
from .serve.bench import Row, bench
from .serve.explain import explain
from .serve.export import COMPARED, Exported, Tell, Wish, batch_size, export, spread
from .serve.predict import Predictor, restore
from .serve.runtime import pick
from .train import checkpoint, verb
from .train.evaluate import evaluate
from .train.judge import compute_of, feed_of
from .train.logbook import plan_of, read_config
from .train.outcome import metrics_of, status_of
from .train.prepare import read_source
from .train.rebuild import need_module
from .train.recipe import Recipe


class Run:
    """A training on disk: `path`, `metrics` of the best epoch, `findings`, and what it can do.

    `status` is finished, stopped early, diverged or interrupted.
    """

    def __init__(self, path: str | Path, model: nn.Module | None = None) -> None:
        self.folder = find(path)
        self._model = model

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.yaml."""
        return read_config(self.folder)

    @cached_property
    def status(self) -> str:
        """How the training ended; 'running' where it was killed or still runs."""
        return status_of(self.folder)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The scores of the best epoch, by eval's names; empty where no epoch was finished."""
        return metrics_of(self.folder)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What the doctor found."""
        if not self.folder.findings.exists():
            return ()
        document = json.loads(self.folder.findings.read_text(encoding="utf-8"))
        return tuple(Finding.from_dict(f) for f in document["findings"])

    @cached_property
    def predictor(self) -> Predictor:
        """The best weights, ready to predict."""
        if not self.folder.best.exists():
            last = self.folder.weights / "last.safetensors"
            hint = f"; {last} is there: copy it, or resume={self.path}" if last.exists() else ""
            raise DataError(
                f"{self.path} has no weights/best.safetensors{hint or ': no epoch was finished'}"
            )
        recipe = plan_of(self.config).recipe
        place = self.folder.best, self._model, compute_of(recipe)
        return restore(*place, decoding=recipe.decoding)

    def predict(self, images: Any) -> list[Prediction]:
        """Paths, pictures or arrays -> a prediction each; of a folder, one for each picture in it,
        in the order of their paths.
        """
        return self.predictor.images(images)

    def evaluate(self, data: Any = None) -> dict[str, float]:
        """The scores on other data, or on the run's own validation part."""
        recipe, task = self._recipe(data), self.predictor.task
        part, source = verb.part_to_judge(recipe, data, _warn, task.spec)
        feed = feed_of(part, source, task, recipe)
        return evaluate(self.predictor.net, task, feed, self.predictor.compute).metrics

    def export(
        self,
        format: str = "onnx",
        *,
        precision: str = "fp32",
        out: str | Path | None = None,
        batch: int | str = "dynamic",
        data: Any = None,
        tell: Tell = lambda done, total: None,
        **checks: Any,
    ) -> Exported:
        """The best network in a file of format onnx, openvino or torch, pictures to raw outputs;
        compared with the network and scored before it stays. `checks`: tolerance, calibration;
        `tell` hears (stages done, of how many).

        A run of arrays, which are not kept, needs `data`. Needs `pip install 'snellen[export]'`.
        """
        size = batch_size(batch)
        wish = Wish(format, precision, out, size, **checks)
        pick(format, precision)  # before the data are read
        return export(self.predictor, wish, self.path, self.parts(data), tell)

    def explain(
        self,
        image: Any,
        method: str = "gradcam",
        *,
        target: int | str | None = None,
        layer: str = "",
        style: Any = None,
        data: Any = None,
        **settings: Any,
    ) -> Explanation:
        """What the network sees in a picture (path, PIL picture, array): `map` over the original
        picture and `picture` of the answer `target`, a name or a number; by default the likeliest.

        `layer` is one of the network's own; `style` is a second picture, `data` others than the
        run's own; `settings` are the method's, and `tell` hears (done, of how many).
        """
        asked = {"target": target, "layer": layer, "style": style, **settings}
        return explain(self.predictor, image, method, data=lambda: self.parts(data), **asked)

    def bench(self, *, data: Any = None, **how: Any) -> tuple[list[Row], list[str]]:
        """How fast the network answers in each runtime that is here, and notes on the others.

        `how`: batch, seconds, compiled. One thread, taking turns.
        """
        train, judged = self.parts(data)
        samples = spread(judged, COMPARED), spread(train, Wish.calibration)  # as an export has
        return bench(self.predictor, samples, **how)

    def parts(self, data: Any = None) -> tuple[SampleSet, SampleSet]:
        """The run's own training part and the one it is judged on; of other data, all for both."""
        recipe, task = self._recipe(data), self.predictor.task
        if data is not None:
            part, source = verb.part_to_judge(recipe, data, _warn, task.spec)
            return (task.aligned(part, source),) * 2
        source = read_source(recipe, None, _warn)
        train, val = (
            task.aligned(part, source) for part in (source.train, source.val or source.train)
        )
        return train, val

    def predict_files(
        self, paths: str | Path | Iterable[str | Path], masks: str | Path | None = None
    ) -> Iterator[dict[str, Any]]:
        """Files, folders -> {"file", "label", "score"} for each object, with "box" where the task
        finds boxes, "share" where it maps classes, and "value" for "score" where it tells numbers;
        a file that cannot be read has "error". `masks` is a folder for maps as PNGs.
        """
        return self.predictor.rows(paths, masks)

    def _recipe(self, data: Any) -> Recipe:
        """The recipe with its data where they lie; raises UsageError where there are none."""
        recipe = verb.whereabouts(self.config, plan_of(self.config).recipe)
        if data is None and recipe.data is None:
            raise UsageError(
                f"{self.path} was trained on arrays, which it did not keep; give data="
            )
        return recipe

    def __repr__(self) -> str:
        scores = ", ".join(f"{k} {v:.4f}" for k, v in self.metrics.items()) or "no scores"
        found = f"{len(self.findings)} findings"
        return f"Run({str(self.path)!r}, {self.status}, {scores}, {found})"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{k}</th><td>{v:.4f}</td></tr>" for k, v in self.metrics.items())
        name = escape(self.path.name)
        return f"<b>{name}</b> {self.status}<table>{rows}</table>{findings_html(self.findings)}"


def _warn(text: str) -> None:
    """What is left out of an evaluation, beside its result."""
    print(text, file=sys.stderr)


def train(data: Any = None, *, model: str | nn.Module | None = None, **settings: Any) -> Run:
    """Train under the doctor's eyes -> Run. Settings are those of `snellen train --help`.

    data: a path, a word such as "digits", (x, y) arrays, a Dataset, or a (train, val) pair of any
    of these; val= is any but a pair. model: a name of `sn.models()` or an nn.Module that gives
    logits_BK. recipe=NAME starts from a recipe, resume=RUN goes on with a run that was broken off.

    A training that diverges or is interrupted still returns its run; `run.status` says so.
    Raises UsageError and DataError, before anything is computed, for what cannot be followed.
    """
    if model is not None and not isinstance(model, str | nn.Module):
        raise UsageError(f"model={model!r} is neither a name of sn.models() nor an nn.Module; "
                         "give an instance, not a class or a function")  # fmt: skip
    own = model if isinstance(model, nn.Module) else None
    if isinstance(model, str):
        settings["model"] = model
    return Run(verb.train(data, own, settings), own)


def ensemble(
    *runs: str | Path | Run, data: Any = None, average: str = "predictions",
    name: str | None = None, project: str | Path = "runs",
) -> Run:  # fmt: skip
    """Runs, or files of their checkpoints -> the Run whose answer is the mean of theirs, or which
    has the mean of their weights (average="weights"); its `metrics` are on `data`, or on what all
    of them held out, and those of each stand in `config["members"]`.
    """
    paths = [run.path if isinstance(run, Run) else run for run in runs]
    return Run(pooled(paths, data, average, name=name, project=project, say=_warn).path)


def load(path: str | Path, model: nn.Module | None = None) -> Run:
    """A run folder -> Run. No pickle is read; a run of your own module needs `model`."""
    run = Run(path, model)
    if run.folder.best.exists():
        _, meta = checkpoint.load_weights(run.folder.best)  # a damaged file is refused, by name
        need_module(run.path, meta, model)
    return run
