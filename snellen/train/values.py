"""What the values of settings may be: other words for them, and how far numbers go."""

import math
from collections.abc import Mapping
from typing import Any

from ..core.errors import UsageError

SWITCH = {"true": True, "yes": True, "on": True, "1": True,
          "false": False, "no": False, "off": False, "0": False}  # fmt: skip
WORDS: Mapping[str, Mapping[str, Any]] = {  # by setting: what others say -> what is meant
    "amp": {
        "fp32": "off", "float32": "off", "32": "off", "32-true": "off",
        "bfloat16": "bf16", "bf16-mixed": "bf16",
        "float16": "fp16", "half": "fp16", "16": "fp16", "16-mixed": "fp16",
    },
    "channels_last": {
        "channels_last": True, "nhwc": True,
        "channels_first": False, "contiguous_format": False, "contiguous": False, "nchw": False,
    },
    "device": {"gpu": "cuda", "0": "cuda:0", "cpu": "cpu", "cuda": "cuda", "mps": "mps"},
}  # fmt: skip
RANGES: Mapping[str, tuple[float, float, str]] = {
    # least and greatest value that makes sense, and what is wanted
    "split": (0.0, 0.9, "between 0 and 0.9"),
    "epochs": (0, 1e6, "between 0 and 1,000,000"),
    "batch": (1, 1e7, "between 1 and 10,000,000"),
    "imgsz": (1, 1e5, "between 1 and 100,000 pixels"),
    "lr": (0.0, float("inf"), "0 or a positive number"),
    "momentum": (0.0, 0.99999, "at least 0 and below 1"),
    "momentum_end": (0.0, 0.99999, "at least 0 and below 1"),
    "half_life": (1e-9, float("inf"), "above 0"),
    "l1": (0.0, float("inf"), "0 or more"),
    "max_norm": (1e-9, float("inf"), "above 0"),
    "clip": (1e-9, float("inf"), "above 0"),
    "weight_decay": (0.0, float("inf"), "0 or more"),
    "bins": (2, 1000, "between 2 and 1000"),
    "scale": (1, 16, "between 1 and 16"),
    "noise": (0.0, 255.0, "between 0 and 255"),
    "label_smoothing": (0.0, 1.0, "between 0 and 1"),
    "workers": (0, 1024, "between 0 and 1024"),
    "readers": (0, 1024, "between 0 and 1024"),
    "threads": (1, 4096, "between 1 and 4096"),
    "patience": (1, 1e6, "between 1 and 1,000,000"),
    "save_minutes": (0.0, float("inf"), "0 or more"),
    "seed": (0, 2**63 - 1, "between 0 and 2**63 - 1"),
}


def meant(name: str, value: Any) -> Any:
    """A value as typed, or as PyTorch's own object -> what it is called here.

    >>> meant("amp", "FP32"), meant("device", "GPU"), meant("data", "FP32")
    ('off', 'cuda', 'FP32')
    """
    words = WORDS.get(name, {})
    return words.get(str(value).lower().removeprefix("torch."), value)


def check_range(name: str, value: Any) -> None:
    """Raises UsageError for a number that makes no sense.

    >>> check_range("workers", 9999)
    Traceback (most recent call last):
    snellen.core.errors.UsageError: workers=9999 is out of range; it must be between 0 and 1024
    """
    if name in RANGES:
        low, high, wanted = RANGES[name]
        if not low <= value <= high or math.isinf(value):
            raise UsageError(f"{name}={value} is out of range; it must be {wanted}")
