"""Snellen trains networks and tests their sight: a deep-learning toolkit for vision on PyTorch.

    import snellen as sn
    run = sn.train("digits")                    # trains under the doctor's eyes
    run.metrics, run.findings, run.predict(images)
    with sn.doctor(net, optimizer, loss_fn) as doc: ...    # your own loop, nothing else changed

The names below are the whole public face; they load on first use, so the import costs nothing.
Three of them are rooms as well (`sn.train(...)` and `snellen.train.loop` both work): a room whose
name is a verb can be called. `sn.nn` and `sn.optim` are rooms of parts.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .core.errors import DataError, Diverged, DoctorError, SnellenError, UsageError
from .version import __version__

if TYPE_CHECKING:
    from . import nn, optim
    from .api import Run, ensemble, load, train
    from .data.sample import Batch, Prediction, Sample, Target
    from .doctor.finding import Finding
    from .doctor.gradcheck import gradcheck
    from .doctor.watch import doctor
    from .explain.look import explain
    from .improve.tune import tune
    from .models import model, models
    from .nn.conv_by_shape import accelerate
    from .train.recipe import Recipe

FACE = {  # name -> where it lives
    "train": "snellen.api:train",
    "load": "snellen.api:load",
    "Run": "snellen.api:Run",
    "tune": "snellen.improve.tune:tune",
    "ensemble": "snellen.api:ensemble",
    "doctor": "snellen.doctor.watch:doctor",
    "Finding": "snellen.doctor.finding:Finding",
    "explain": "snellen.explain.look:explain",
    "gradcheck": "snellen.doctor.gradcheck:gradcheck",
    "accelerate": "snellen.nn.conv_by_shape:accelerate",
    "model": "snellen.models:model",
    "models": "snellen.models:models",
    "Recipe": "snellen.train.recipe:Recipe",
    "Sample": "snellen.data.sample:Sample",
    "Target": "snellen.data.sample:Target",
    "Prediction": "snellen.data.sample:Prediction",
    "Batch": "snellen.data.sample:Batch",
    "nn": "snellen.nn",
    "optim": "snellen.optim",
}

__all__ = [  # noqa: RUF022 (in the order in which one meets them)
    "train", "load", "Run", "tune", "ensemble", "doctor", "Finding", "explain", "gradcheck",
    "accelerate", "model", "models", "Recipe", "Sample", "Target", "Prediction", "Batch", "nn",
    "optim",
    "SnellenError", "UsageError", "DataError", "Diverged", "DoctorError", "__version__",
]  # fmt: skip


def _resolve(name: str) -> Any:
    place, _, attribute = FACE[name].partition(":")
    module = importlib.import_module(place)
    return getattr(module, attribute) if attribute else module


class _Room(ModuleType):
    """A room that is also a verb: calling it calls the function of the same name."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _resolve(self.__name__.rpartition(".")[2])(*args, **kwargs)


class _Face(ModuleType):
    """The package. When a room with a verb's name is imported, it is made callable."""

    def __setattr__(self, name: str, value: Any) -> None:
        if ":" in FACE.get(name, "") and isinstance(value, ModuleType):
            value.__class__ = _Room
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in FACE:
            raise AttributeError(f"module 'snellen' has no attribute {name!r}")
        value = _resolve(name)
        return self.__dict__.setdefault(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *__all__})


sys.modules[__name__].__class__ = _Face
