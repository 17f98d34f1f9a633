"""One part of a data set as its examinations need it: read once, bounded in time and memory."""

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Subset, TensorDataset, default_collate

from ...core.patience import patience
from ...core.seeds import untouched_rng
from ..loader import innermost, length_of, row_of
from ..scan import leaves

MOST = 20_000  # samples of a set that are read
WIDE = 1024  # values kept of a sample; larger pictures are shrunk
SIDE = 32
AGAIN = 4  # samples that are read twice more
CHANNELS = 64  # axes whose moments are told apart


@dataclass
class Part:
    """Samples of one part; `rows_N` index the innermost data set, `places_N` the set dealt from.

    `thumbs_ND` are the values themselves where they are few, else shrunk pictures.
    """

    name: str
    rows_N: Tensor
    places_N: Tensor
    thumbs_ND: Tensor
    gray_NHW: Tensor | None  # pictures of SIDE x SIDE, where there are some
    mean_NC: Tensor
    square_NC: Tensor
    digests: list[bytes]
    labels_N: Tensor | None
    total: int
    is_indices: bool = False  # whole numbers that name things and measure nothing
    dataset: Any = None
    more: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows_N)


def read(name: str, dataset: Any, most: int = MOST, seconds: float = 5.0) -> Part | None:
    """A data set -> the part of it that can be read in time; None where it cannot be read by row.

    >>> part = read("train", TensorDataset(torch.rand(9, 1, 8, 8), torch.arange(9)))
    >>> len(part), part.thumbs_ND.shape, part.labels_N[3]
    (9, torch.Size([9, 64]), tensor(3))
    """
    if not length_of(dataset) or not hasattr(dataset, "__getitem__"):
        return None
    places = spread(len(dataset), most)
    inner = innermost(dataset)
    if type(inner) is TensorDataset and len(inner.tensors) and len(places):
        rows = _inner_rows(dataset, places)
        chosen = [t[rows] for t in inner.tensors[:2]]
        y = chosen[1] if len(chosen) > 1 else None
        return of_tensors(
            name, chosen[0], y, rows=rows, places=places, total=len(dataset), dataset=dataset
        )
    return _read_items(name, dataset, places, seconds)


def of_tensors(
    name: str,
    x: Tensor,
    y: Tensor | None,
    *,
    rows: Tensor | None = None,
    places: Tensor | None = None,
    total: int = 0,
    dataset: Any = None,
) -> Part:
    """x_N..., labels -> a part, a thousand samples at a time."""
    rows = torch.arange(len(x)) if rows is None else rows
    x = x.detach().cpu()
    chunks = [_shrunk(chunk) for chunk in x.split(1000)]
    thumbs, gray, mean, square = zip(*chunks, strict=True)
    raw = x.contiguous()
    digests = [hashlib.blake2b(row, digest_size=8).digest() for row in _bytes(raw)]
    return Part(
        name, rows, rows if places is None else places, torch.cat(thumbs),
        None if gray[0] is None else torch.cat(gray), torch.cat(mean), torch.cat(square),
        digests, class_labels(y), total or len(x),
        not x.is_floating_point() and x.dtype != torch.uint8, dataset,
    )  # fmt: skip


def spread(count: int, most: int) -> Tensor:
    """At most so many of `count` rows, in order, drawn the same each time.

    >>> spread(5, 9)
    tensor([0, 1, 2, 3, 4])
    """
    if count <= most:
        return torch.arange(count)
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:most].sort().values


def _inner_rows(dataset: Any, places: Tensor) -> Tensor:
    """Rows of the innermost set, without a call for each where only Subsets lie between."""
    while isinstance(dataset, Subset):
        places, dataset = torch.as_tensor(dataset.indices)[places], dataset.dataset
    if type(dataset) is TensorDataset:
        return places
    return torch.tensor([row_of(dataset, int(i)) for i in places])


def _read_items(name: str, dataset: Any, places: Tensor, seconds: float) -> Part | None:
    """Item by item in an order without pattern, until the time is over."""
    draw = torch.Generator().manual_seed(1)
    found: list[Tensor] = []
    labels: list[Any] = []
    read_at: list[int] = []
    end = time.monotonic() + patience(seconds)
    held, shape = 0, None
    with untouched_rng():
        for i in places[torch.randperm(len(places), generator=draw)].tolist():
            x, y = item(dataset[i])
            if x is None:
                return None
            if shape is None:
                shape = x.shape
            if x.shape == shape or x.dim() == 3:
                x = x if x.shape == shape and x.numel() <= 4 * WIDE else _fitted(x)
                if found and x.shape != found[0].shape:
                    continue
                found.append(x)
                labels.append(y)
                read_at.append(i)
                held += x.nbytes
            if time.monotonic() > end or held > 1 << 28:
                break
        anew = any(_is_drawn(lambda i=i: dataset[i]) for i in read_at[:AGAIN])
    if not found:
        return None
    order = torch.tensor(read_at).argsort()
    places = torch.tensor(read_at)[order]
    y = None if any(label is None for label in labels) else torch.tensor(labels)[order]
    rows = torch.tensor([row_of(dataset, int(i)) for i in places])
    x = torch.stack(found)[order]
    part = of_tensors(name, x, y, rows=rows, places=places, total=len(dataset), dataset=dataset)
    part.more["anew"] = anew
    return part


def note_collate(part: Part, collate: Any) -> None:
    """Note a collate_fn that makes another batch of the same items each time: it augments them."""
    places = part.places_N[:AGAIN].tolist()
    if part.dataset is None or not places or collate is None or collate is default_collate:
        return
    items = [part.dataset[i] for i in places]
    with untouched_rng():
        part.more["anew"] = part.more.get("anew") or _is_drawn(lambda: collate(list(items)))


def _is_drawn(read: Any) -> bool:
    """Whether what is read is another one each time: an augmentation draws it."""
    first, second = (item(read())[0] for _ in range(2))
    return first is not None and second is not None and not torch.equal(first, second)


def item(value: Any) -> tuple[Tensor | None, Any]:
    """An item of any nesting -> its first tensor, and its label where that is one number.

    >>> item((np.zeros((2, 2)), 3))[1]
    3
    """
    pairs = list(leaves(value))
    if not pairs:
        return None, None
    first = pairs[0][1]
    x = torch.as_tensor(np.asarray(first)) if hasattr(first, "getbands") or isinstance(
        first, np.ndarray) else first  # fmt: skip
    if not isinstance(x, Tensor) or x.is_complex() or x.is_sparse or not x.dim():
        return None, None
    label = pairs[1][1] if len(pairs) == 2 else None
    if isinstance(label, Tensor | np.ndarray | np.generic):
        label = label.item() if np.prod(label.shape) == 1 else None
    return x.detach(), label if isinstance(label, int | float) else None


def _fitted(x: Tensor) -> Tensor:
    """A large picture CHW (or HWC) -> SIDE x SIDE."""
    if x.dim() != 3:
        return x
    x = x if x.shape[0] <= 4 or x.shape[2] > 4 else x.permute(2, 0, 1)
    return F.adaptive_avg_pool2d(x.float(), SIDE)


def _shrunk(x: Tensor) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
    """x_N... -> thumbs_ND, gray_NHW, the mean and the mean square of each channel."""
    x = x.float().nan_to_num(0.0, 0.0, 0.0)
    flat = x.flatten(1) if x.dim() > 1 else x[:, None]
    if x.dim() == 3 and min(x.shape[1:]) >= 16:
        x = x[:, None]
    gray, thumbs = None, flat
    if x.dim() == 4 and min(x.shape[2:]) >= 16:
        gray = F.interpolate(x.mean(1, keepdim=True), (SIDE, SIDE), mode="area")[:, 0]
        thumbs = F.adaptive_avg_pool2d(x[:, :3], 16).flatten(1)
    elif flat.shape[1] > WIDE:
        thumbs = F.adaptive_avg_pool1d(flat[:, None], WIDE)[:, 0]
    if x.dim() == 4 and x.shape[1] <= CHANNELS:
        channels = x.flatten(2)
    else:
        channels = flat[..., None] if flat.shape[1] <= CHANNELS else flat[:, None]
    return thumbs, gray, channels.mean(2), channels.double().square().mean(2)


def _bytes(x: Tensor) -> Any:
    if x.dtype == torch.bfloat16:
        x = x.float()
    return x.numpy().reshape(len(x), -1).view(np.uint8) if x.dim() and len(x) else []


def class_labels(y: Tensor | None) -> Tensor | None:
    """Class labels as integers; zeros and ones of any type are classes too."""
    if y is None:
        return None
    y = y.detach().cpu()
    if y.dim() == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dim() != 1 or y.is_complex():
        return None
    if not y.is_floating_point():
        return y.long()
    return y.long() if bool(((y == 0) | (y == 1)).all()) else None
