"""A recipe is data: frozen, printable, comparable, saved beside the weights it made.

It is also the whole list of settings: the command line, its help, its aliases and `sn.train` read
these fields, so a setting is added here and nowhere else. None means that Snellen chooses.
"""

from dataclasses import MISSING, Field, dataclass, field, fields, replace
from functools import cache
from typing import Any, get_args, get_type_hints

from ..core.errors import UnknownName, UsageError, nearest
from .values import SWITCH, check_range, meant

OPTIMISERS = (  # those of optim/by_name.py, which the help must not load
    "sgd", "momentum", "caffe", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw",
)  # fmt: skip
SCHEDULES = (  # those of optim/schedules.py
    "onecycle", "cosine", "warmup-cosine", "step", "exponential", "inverse", "plateau", "constant",
)  # fmt: skip


def setting(
    default: Any, help: str, aliases: tuple[str, ...] = (), choices: tuple[str, ...] = ()
) -> Any:
    """A field of the recipe with what the command line needs to know of it."""
    meta = {"help": help, "aliases": aliases, "choices": choices}
    return field(default=default, metadata=meta)


@dataclass(frozen=True)
class Expect:
    """What the author measured; `make bench` measures it again. README numbers come from here."""

    metric: str
    score: float
    minutes: float
    seeds: int = 3


@dataclass(frozen=True)
class Recipe:
    """One training, whole.

    >>> Recipe(data="digits").change(lr="0.05").lr
    0.05
    """

    data: str | None = setting(None, "a path, or digits, shapes ...", ("dataset", "data_path"))
    task: str | None = setting(None, "what to learn; read off the data if not said")
    model: str | None = setting(None, "a name of `snellen models`", ("arch", "net", "network"))
    val: str | None = setting(None, "validation data, where `data` has none", ("val_data",))
    split: float = setting(0.2, "share held out where there is no validation data", ("val_split",))
    fold: str | None = setting(
        None, "hold out one of K equal parts of the training data: 2/5 is the second of five"
    )
    epochs: int | None = setting(
        None, "passes over the data", ("max_epochs", "num_epochs", "n_epochs")
    )
    batch: int | None = setting(None, "samples a step", ("batch_size", "bs", "batchsize"))
    imgsz: int | None = setting(None, "input height and width", ("img_size", "image_size", "size"))
    optim: str | None = setting(None, "optimiser", ("optimizer", "optimiser", "opt"), OPTIMISERS)
    lr: float | None = setting(None, "highest learning rate", ("lr0", "learning_rate", "base_lr"))
    momentum: float | None = setting(None, "momentum of SGD and RMSprop, beta1 of Adam")
    momentum_end: float | None = setting(
        None, "momentum at the end, reached from `momentum` in a straight line: 0.5 to 0.99, say"
    )
    weight_decay: float | None = setting(None, "L2 pull on the weights", ("wd", "decay"))
    schedule: str | None = setting(
        None,
        "learning rate over time",
        ("lr_schedule", "scheduler"),
        SCHEDULES,
    )
    half_life: float | None = setting(
        None,
        "epochs in which schedule=step, exponential or inverse halves the learning rate",
        ("lr_step", "step_size"),
    )
    l1: float = setting(0.0, "L1 pull on the weights, part of the loss")
    max_norm: float | None = setting(
        None, "longest weight vector of a unit, kept after each step; 3 or 4 is usual", ("maxnorm",)
    )
    clip: float | None = setting(
        None, "largest norm of all gradients together", ("clip_norm", "max_grad_norm", "grad_clip")
    )
    loss: str | None = setting(
        None,
        "what the training minimises: cross-entropy, hinge ...; the task's own if not said",
        ("loss_fn", "criterion"),
    )
    bins: int | None = setting(
        None, "task=regress: learn each number as a choice among so many bins", ("num_bins",)
    )
    scale: int | None = setting(None, "task=restore: how many times larger pictures become; 2")
    noise: float = setting(0.0, "task=restore: the noise to be taken off, in levels of 255")
    label_smoothing: float = setting(
        0.0, "share of each label spread over the classes", ("smoothing",)
    )
    augment: str | None = setting(
        None, "off, or names joined by +: affine+flip+crop+jitter+noise", ("aug", "augmentation")
    )
    precise_norm: bool | None = setting(
        None, "batch norm statistics over the training part at each epoch's end, not running ones"
    )
    seed: int = setting(0, "seed of every random number", ("random_seed",))
    device: str | None = setting(None, "cpu, cuda, cuda:1, mps")
    workers: int | None = setting(None, "processes that read data", ("num_workers",))
    readers: int | None = setting(None, "threads that read files ahead; 0: when they are asked for")
    decoding: str | None = setting(
        None,
        "large JPEGs near the size they are fed at, copies in the cache; or whole, each time",
        (),
        ("near", "whole"),
    )
    residency: str | None = setting(
        None,
        "keep encoded samples in memory (on a GPU: there), or read their files at each step",
        ("data_residency",),
        ("memory", "files"),
    )
    amp: str | None = setting(
        None, "mixed precision", ("precision", "mixed_precision"), ("off", "bf16", "fp16")
    )
    channels_last: bool | None = setting(None, "memory format of images", ("memory_format",))
    threads: int | None = setting(None, "CPU threads", ("num_threads",))
    malloc: str | None = setting(
        None, "memory between steps: keep it, or give it back", ("allocator",), ("keep", "system")
    )
    convolution: str | None = setting(
        None,
        "by_shape takes the quicker of two ways for each, timed once",
        (),
        ("by_shape", "library"),
    )
    norm: str | None = setting(
        None,
        "by_shape fuses batch norm and ReLU where that is quicker (numba), timed once",
        (),
        ("by_shape", "library"),
    )
    preparing: str | None = setting(
        None,
        "crop, flip, jitter and normalising: compiled by numba, or torch's operations",
        (),
        ("compiled", "torch"),
    )
    fused: bool | None = setting(None, "the optimiser's step as one kernel, where torch has it")
    compile: bool | None = setting(None, "torch.compile the network; on a GPU with CUDA graphs")
    weights: str | None = setting(
        None, "a checkpoint to start from", ("pretrained", "checkpoint", "ckpt")
    )
    freeze: str | None = setting(
        None, "hold still: all up to a stage (layer2), a prefix of parameters' names, or 'backbone'"
    )
    patience: int | None = setting(
        None, "stop after so many epochs without a better one", ("early_stopping",)
    )
    save_minutes: float = setting(
        1.0, "minutes between checkpoints inside an epoch", ("save_every",)
    )
    doctor: bool = setting(True, "watch the training and name what is wrong")
    preflight: str = setting(
        "quick",
        "examine before training: quick the data, full the network too",
        (),
        ("quick", "full", "off"),
    )
    speed: str = setting(
        "auto", "let Snellen choose the fast settings, or off", (), ("auto", "off")
    )
    name: str | None = setting(
        None,
        "name of the run; the data's if not said, or auto",
        ("run_name", "exp_name", "experiment"),
    )
    project: str = setting(
        "runs", "folder of the runs", ("output_dir", "out_dir", "output", "logdir", "log_dir")
    )
    expect: Expect | None = None

    def change(self, **values: Any) -> "Recipe":
        """A new recipe with some settings changed; text is read as the setting's own type.

        Raises UsageError for an unknown setting or a value that it cannot take.
        """
        return replace(self, **{name: parse(name, value) for name, value in values.items()})

    def as_dict(self) -> dict[str, Any]:
        """The settings by name, without the claim."""
        return {f.name: getattr(self, f.name) for f in settings()}


@cache
def settings() -> tuple[Field[Any], ...]:
    """The fields that a user can type, in the order of the help."""
    return tuple(f for f in fields(Recipe) if f.default is not MISSING and f.metadata)


@cache
def aliases() -> dict[str, str]:
    """Every other word for a setting -> the setting.

    >>> aliases()["batch_size"]
    'batch'
    """
    return {alias: f.name for f in settings() for alias in f.metadata["aliases"]}


def resolve_name(word: str) -> tuple[str, bool]:
    """A typed word -> (setting, whether it was an alias); an unknown one names the nearest.

    >>> resolve_name("batch-size")
    ('batch', True)
    """
    names = [f.name for f in settings()]
    plain = word.replace("-", "_")
    if plain in names:
        return plain, False
    if plain in aliases():
        return aliases()[plain], True
    near = nearest(plain, [*names, *aliases()], 1)
    if near:
        right = aliases().get(near[0], near[0])
        raise UsageError(f"no {word!r} in settings; did you mean {right}?")
    raise UnknownName(word, names, "settings")


def parse(name: str, value: Any) -> Any:
    """A value, perhaps typed as text -> the type of the setting; says what would do if it cannot.

    >>> parse("epochs", "5")
    5
    """
    spec = {f.name: f for f in settings()}.get(name)
    if spec is None:
        raise UnknownName(name, [f.name for f in settings()], "settings")
    refuse_empty(name, value)
    hint = get_type_hints(Recipe)[name]
    options = get_args(hint) or (hint,)
    kind = options[0]
    if value is None or (
        isinstance(value, str) and value.lower() in ("none", "auto") and type(None) in options
    ):
        if type(None) not in options:
            raise UsageError(f"{name}={value!r} has no automatic value; give {_wanted(kind, spec)}")
        return None
    choices = spec.metadata["choices"]
    result = _convert(name, meant(name, value), kind, spec)
    if choices and result not in choices:
        near = nearest(str(result), choices, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"{name}={value!r} is not one of {', '.join(choices)}{hint}")
    check_range(name, result)
    return result


def refuse_empty(name: str, value: Any) -> None:
    """A word that was begun and got no value.

    >>> refuse_empty("epochs", "5")
    """
    if isinstance(value, str) and value == "":
        raise UsageError(f"{name}= has no value; leave the word out where Snellen shall choose")


def _convert(name: str, value: Any, kind: type, spec: Field[Any]) -> Any:
    switch, choices = SWITCH.get(str(value).lower()), spec.metadata["choices"]
    if kind is bool:
        if switch is not None:
            return switch
    elif kind is str:
        if switch is not None and "off" in choices:  # amp=yes, --amp, amp=True from Python
            return next(c for c in choices if (c == "off") is not switch)
        return next((c for c in choices if c == str(value).lower()), str(value))
    else:
        try:
            if kind is float:
                return float(value)
            if float(value) == int(float(value)):
                return int(value) if str(value).isdecimal() else int(float(value))
        except (TypeError, ValueError, OverflowError):
            pass
    raise UsageError(f"{name}={value!r} is not {_wanted(kind, spec)}; for example {_example(name)}")


def _wanted(kind: type, spec: Field[Any]) -> str:
    if spec.metadata["choices"]:
        return "one of " + ", ".join(spec.metadata["choices"])
    return {int: "a whole number", float: "a number", bool: "yes or no", str: "a word"}[kind]


def _example(name: str) -> str:
    usual = {"lr": "lr=0.01", "epochs": "epochs=10", "batch": "batch=64", "imgsz": "imgsz=224"}
    return usual.get(name, f"{name}=1")
