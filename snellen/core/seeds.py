"""Randomness that can be set, saved and put back: torch, numpy and python in one breath."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed the three generators that training code draws from (and every GPU's).

    >>> seed_everything(3); a = torch.rand(1); seed_everything(3); bool(a == torch.rand(1))
    True
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def rng_state() -> dict[str, Any]:
    """The state of every generator, as tensors and plain JSON values (no pickle needed).

    >>> sorted(rng_state().keys() - {"cuda"})
    ['numpy', 'numpy_meta', 'python', 'python_meta', 'torch']
    """
    version, keys, gauss = random.getstate()
    kind, words, pos, has_gauss, cached = np.random.get_state(legacy=True)
    state = {
        "torch": torch.get_rng_state(),
        "numpy": torch.from_numpy(words.astype(np.int64)),  # type: ignore[union-attr]
        "numpy_meta": [str(kind), int(pos), int(has_gauss), float(cached)],
        "python": torch.tensor(keys, dtype=torch.int64),
        "python_meta": [version, gauss],
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = list(torch.cuda.get_rng_state_all())
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    """Put back what `rng_state` returned, bit for bit; a GPU's only where as many GPUs are here.

    >>> state = rng_state(); a = torch.rand(1); set_rng_state(state); bool(a == torch.rand(1))
    True
    """
    torch.set_rng_state(state["torch"])
    kind, pos, has_gauss, cached = state["numpy_meta"]
    np.random.set_state((kind, state["numpy"].numpy().astype(np.uint32), pos, has_gauss, cached))
    version, gauss = state["python_meta"]
    random.setstate((version, tuple(state["python"].tolist()), gauss))
    if len(state.get("cuda", ())) == torch.cuda.device_count() > 0:
        torch.cuda.set_rng_state_all(state["cuda"])


@contextmanager
def untouched_rng() -> Iterator[None]:
    """Whatever is drawn inside, the world outside draws as if it had not been.

    >>> _ = torch.manual_seed(0)
    >>> with untouched_rng(): _ = torch.rand(5)
    >>> a = torch.rand(1); _ = torch.manual_seed(0); bool(a == torch.rand(1))
    True
    """
    state = rng_state()
    try:
        yield
    finally:
        set_rng_state(state)
