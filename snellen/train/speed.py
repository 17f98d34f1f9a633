"""speed=auto: looks at the machine, the network and the data, and chooses; says what and why.

Figures behind the rules: docs/performance.md. Each choice is a setting: typing it overrides it,
and the run stores it, so that a resumed run computes the same.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from ..core.compiled import is_here
from ..core.cores import Neighbours, usable_cores
from ..core.memory import free_memory
from ..data.augment import compose
from ..data.augment.one_pass import fits
from ..nn._limits import Limits
from .allocator import is_glibc
from .recipe import Recipe

TINY_STEP = 3e8  # multiply-adds a step under which threads and bf16 cost more than they give
LONG = 5e8  # values prepared in all, from which compiled loops save more than they cost to load
LONG_WORK = 5e12  # multiply-adds of a run, minutes, under which ten seconds for loops do not pay
STEPS_TO_TIME = 30  # of a run, in which timing the ways of each shape takes longer than they save
# Of compiling, by other people's reports; none of it was measured on a GPU here
COMPILE_SECONDS = 60.0  # for forward and backward of a network, with CUDA graphs
COMPILED_GAIN = 0.2  # share of a step that compiling saves
GPU_RATE = 5e13  # FLOP a second that a GPU reaches
LAUNCHES = 8e-5  # seconds that a layer takes of a step at least: 5 ms in all of ResNet-18
SPARED = 0.3  # of a core that others may use and it still counts as free
RESIDENT_SHARE = 0.25  # of the free memory that an encoded data set may fill


@dataclass(frozen=True)
class Choice:
    """One setting that was not typed: its value, the reason, and who chose it."""

    setting: str
    value: Any
    reason: str
    by: str = "speed"  # "speed", or "default" for the usual value
    quiet: bool = False  # whether it is said in one line with others, being nothing special

    def __str__(self) -> str:
        return f"{self.setting}={self.value}: {self.reason}"


@dataclass(frozen=True)
class Machine:
    """What the policy knows of the machine."""

    cores: int
    busy: float  # cores that other programs use
    bf16: bool  # the processor's matrix units for bfloat16
    cuda: bool
    free_bytes: int
    bf16_gpu: bool = False
    numba: bool = False
    most_threads: int | None = None  # that the user's environment allows

    def multiplies_bf16(self, device: str | None) -> bool:
        """Whether the device has units for bfloat16."""
        return self.bf16_gpu if (device or "cpu").startswith("cuda") else self.bf16

    @staticmethod
    def here(neighbours: Neighbours) -> "Machine":
        """Read off the machine at hand; what a platform does not tell counts as unknown."""
        cuda = torch.cuda.is_available()
        gpu = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
        most = os.environ.get("OMP_NUM_THREADS", "")
        return Machine(
            usable_cores(), neighbours.busy(), has_fast_bf16(), cuda, free_memory(), gpu, is_here(),
            int(most) if most.isdecimal() and int(most) else None,
        )  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What the choices depend on: the data and the network."""

    num_samples: int
    pictures: bool = True  # uint8 pixels, not the user's own floats
    model: str | None = "resnet18"  # the task's usual network; None for the user's own
    usual: Mapping[str, Any] = field(default_factory=dict)  # the task's usual settings
    params: int = 0
    macs: int = 0  # multiply-adds of one sample
    layers: int = 0  # modules without modules of their own
    values: int = 0  # numbers that the network is fed of one sample
    whole: str = ""  # why pictures are read whole, whatever is chosen
    limits: Limits = field(default_factory=Limits)  # what the network does not take


def choose(recipe: Recipe, facts: Facts, machine: Machine) -> list[Choice]:
    """Every setting of speed, chosen; `speed=off` is plain PyTorch."""
    device = recipe.device or ("cuda" if machine.cuda else "cpu")
    device = "cuda" if device in ("gpu", "0") else device
    where = Choice("device", device, "a GPU is here" if device == "cuda" else "no GPU is here")
    if recipe.speed == "off":
        off = {
            "amp": "off",
            "channels_last": False,
            "threads": torch.get_num_threads(),
            "workers": 0,
            "malloc": "system",
            "convolution": "library",
            "norm": "library",
            "compile": False,
            "preparing": "torch",
            "readers": 0,
            "decoding": "whole",
            "residency": "files",
            "fused": False,
        }
        return [where, *(Choice(k, v, "speed=off", quiet=True) for k, v in off.items())]
    tiny = facts.macs * (recipe.batch or 1) < TINY_STEP
    return [
        where,
        _threads(device, tiny, machine),
        _precision(device, tiny, machine, facts),
        _memory_format(device, tiny, facts),
        _malloc(device, tiny),
        _convolution(device, tiny, recipe, facts),
        _norm(device, tiny, recipe, facts, machine),
        _compile(device, tiny, recipe, facts),
        _preparing(device, recipe, facts, machine),
        _workers(recipe, machine),
        _readers(recipe, machine),
        Choice("fused", True, "one kernel for all weights, where the optimiser has it", quiet=True),
        _decoding(facts),
    ]  # fmt: skip


def _threads(device: str, tiny: bool, machine: Machine) -> Choice:
    if device != "cpu":
        return Choice("threads", machine.cores, "the GPU does the work", quiet=True)
    if tiny:
        return Choice("threads", 1, "a step is too small to share out")
    most = machine.most_threads
    if most is not None and most < _to_share(machine):
        return Choice("threads", most, f"OMP_NUM_THREADS={most} is set")
    return Choice("threads", _to_share(machine), _others(machine))


def _workers(recipe: Recipe, machine: Machine) -> Choice:
    if recipe.readers == 0 or machine.cores <= 2:
        reason = f"{machine.cores} cores" if machine.cores <= 2 else "readers=0 reads nothing ahead"
        return Choice("workers", 0, reason, quiet=True)
    return Choice("workers", min(4, machine.cores - 1), f"{machine.cores} cores", quiet=True)


def _readers(recipe: Recipe, machine: Machine) -> Choice:
    if recipe.workers:
        return Choice("readers", 0, f"{recipe.workers} workers read")
    return Choice("readers", min(8, _to_share(machine)), _others(machine), quiet=True)


def _decoding(facts: Facts) -> Choice:
    if facts.whole:
        return Choice("decoding", "whole", facts.whole, quiet=True)
    return Choice("decoding", "near", "JPEGs far larger than they are fed are shrunk", quiet=True)


def _to_share(machine: Machine) -> int:
    """Cores that are free but for a little; a thread that waits for one holds up all others."""
    return max(1, int(machine.cores - machine.busy + SPARED))


def _others(machine: Machine) -> str:
    return f"others use {machine.busy:.1f} of {machine.cores} cores"


def _precision(device: str, tiny: bool, machine: Machine, facts: Facts) -> Choice:
    if tiny:
        return Choice("amp", "off", "a tiny network gains nothing from bf16")
    if facts.limits.fp32:
        return Choice("amp", "off", facts.limits.fp32)
    if machine.multiplies_bf16(device):
        return Choice("amp", "bf16", "matrix units for bf16; weights stay fp32")
    return Choice("amp", "off", "no bf16 units here")


def _memory_format(device: str, tiny: bool, facts: Facts) -> Choice:
    if facts.limits.contiguous:
        return Choice("channels_last", False, facts.limits.contiguous)
    if tiny and device != "cpu":
        return Choice("channels_last", False, "a tiny network gains nothing from it on a GPU")
    return Choice("channels_last", True, "convolutions and pooling read channels together")


def _malloc(device: str, tiny: bool) -> Choice:
    if tiny or device != "cpu" or not is_glibc():
        return Choice("malloc", "system", "small or foreign blocks are no trouble", quiet=True)
    return Choice("malloc", "keep", "the same large blocks are asked for at each step")


def _stays(recipe: Recipe, facts: Facts) -> bool:
    """Whether the maps will not lie channels last."""
    return recipe.channels_last is False or bool(
        facts.limits.contiguous and not recipe.channels_last
    )


def _convolution(device: str, tiny: bool, recipe: Recipe, facts: Facts) -> Choice:
    if tiny or device != "cpu" or recipe.compile or _stays(recipe, facts):
        return Choice("convolution", "library", "there is nothing to choose", quiet=True)
    if recipe.epochs and facts.num_samples * recipe.epochs < STEPS_TO_TIME * (recipe.batch or 1):
        return Choice("convolution", "library", "too short a run to time shapes for", quiet=True)
    reason = "small maps of many channels are quicker as one matrix product"
    return Choice("convolution", "by_shape", reason)


def _norm(device: str, tiny: bool, recipe: Recipe, facts: Facts, machine: Machine) -> Choice:
    if tiny or device != "cpu" or recipe.compile or _stays(recipe, facts):
        return Choice("norm", "library", "there is nothing to choose", quiet=True)
    if not machine.numba:
        return Choice("norm", "library", "fusing it with ReLU wants numba (the extra fast)")
    if facts.macs * facts.num_samples * (recipe.epochs or 0) < LONG_WORK:
        return Choice("norm", "library", "too short a run to compile loops for", quiet=True)
    return Choice("norm", "by_shape", "batch norm and ReLU as one loop, where that is quicker")


def _compile(device: str, tiny: bool, recipe: Recipe, facts: Facts) -> Choice:
    if not device.startswith("cuda"):
        reason = "on a processor it costs a minute and gains a few percent"
        return Choice("compile", False, reason, quiet=tiny)
    num_samples = facts.num_samples * (recipe.epochs or 0)
    steps = num_samples / (recipe.batch or 1)
    seconds = max(6 * facts.macs * num_samples / GPU_RATE, steps * facts.layers * LAUNCHES)
    long = "about" if seconds * COMPILED_GAIN > COMPILE_SECONDS else "only about"
    reason = f"{long} {seconds:.0f} s of steps to earn back {COMPILE_SECONDS:.0f} s of compiling"
    return Choice("compile", seconds * COMPILED_GAIN > COMPILE_SECONDS, reason)


def _preparing(device: str, recipe: Recipe, facts: Facts, machine: Machine) -> Choice:
    total = facts.values * facts.num_samples * (recipe.epochs or 0)
    can = device == "cpu" and machine.numba and facts.pictures
    if not can or total < LONG or not can_compile(recipe.augment):
        return Choice("preparing", "torch", "there is nothing to gain", quiet=True)
    return Choice("preparing", "compiled", f"numba prepares {total:.0e} values in loops of its own")


def can_compile(augment: str | None) -> bool:
    """Whether the augmentation that these words name has compiled loops."""
    return fits(compose(augment))


def fits_in_memory(num_bytes: int, machine: Machine) -> bool:
    """Whether an encoded data set may stay in memory as one tensor."""
    return num_bytes <= RESIDENT_SHARE * machine.free_bytes


def has_fast_bf16() -> bool:
    """Whether the processor multiplies bfloat16 matrices in hardware (AMX or AVX512-BF16)."""
    try:
        with open("/proc/cpuinfo") as file:
            flags = next((line for line in file if line.startswith("flags")), "").split()
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags
