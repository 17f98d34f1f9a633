"""The verb: a network, a picture, a method -> what it saw, as a map, a picture and words."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import UnknownName, UsageError, shortlist
from ..core.modes import evaluating
from ..core.words import number
from .draw import as_picture, grid, heat
from .method import Method, Question, Seen, methods, pick

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a method saw of one answer.

    `target` is the number of the answer and `name` its name; `map` is float HW over the picture, or
    None; `picture` what is drawn of it; `made` a picture that was made, as the network is fed it.
    """

    method: str
    target: int
    name: str
    score: float
    layer: str
    words: str
    picture: Image.Image
    map: Array | None = None
    made: Tensor | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        where = f" at {self.layer}" if self.layer else ""
        said = f"; {self.words}" if self.words else ""
        return f"{self.method}{where}: {self.name} (score {number(self.score)}){said}"


@dataclass(frozen=True, eq=False)
class Meaning:
    """What a network's input and answers mean, where plain tensors do not say it.

    `answer` gives x_BCHW -> scores_BK or logits_BKHW (default: the network's own answer); `bounds`
    are the least and greatest x, broadcast (default: those of the picture); with `rivals` one
    answer excludes the others; `picture` is what x shows, in the part x1, y1, x2, y2 of it that
    `extent` says.
    """

    answer: Callable[[Tensor], Any] | None = None
    names: Sequence[str] = ()
    bounds: tuple[Tensor, Tensor] | None = None
    rivals: bool = True
    picture: Image.Image | None = None
    extent: Sequence[int] | None = None
    tell: Callable[[int, int], None] = lambda done, total: None


def explain(
    net: nn.Module,
    x: Tensor,
    method: str = "gradcam",
    *,
    target: int | str | None = None,
    layer: str = "",
    meaning: Meaning | None = None,
    style: Tensor | None = None,
    data: Any = None,
    **settings: Any,
) -> Explanation:
    """A module and x_CHW, as it is fed, -> what the method sees of the answer `target`, by default
    the one with the highest score. `style` is a second x, `data` further ones (x_CHW, or pairs of
    it and a class); `settings` are the method's own.

    Nothing of the network changes: modes, hooks, gradients, statistics and random numbers are as
    before. Raises UsageError for what cannot be followed.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    >>> with torch.no_grad():
    ...     _ = net[1].weight.copy_(torch.tensor([[0.0, 1, -2, 0], [0, 0, 0, 0]]))
    >>> explain(net, torch.ones(1, 2, 2), "saliency", target=0).map.tolist()
    [[0.0, 1.0], [2.0, 0.0]]
    """
    meaning = meaning or Meaning()
    how = ready(method, settings, {"style": style is not None, "data": data is not None})
    with _still(net):
        question = _asked(net, _one(net, x), target, layer, meaning)
        others = None if data is None else lambda: _others(net, data)
        second = None if style is None else _one(net, style)
        question = replace(question, others=others, style_1CHW=second)
        seen = how.look(question)
        if seen.target is not None:
            question = replace(question, target=seen.target)
        score = float(question.scores(question.x_1CHW)[0, question.target])
    return _told(how.name, question, score, seen, meaning)


def ready(method: str, settings: dict[str, Any], given: dict[str, bool]) -> Method:
    """A method by its name with its settings; raises UsageError for those it has not."""
    kind, known = pick(method), settings_of(method)
    for name in settings:
        if name not in known:
            raise UnknownName(name, known, f"the settings of {kind.name}")
    if kind.needs and not given[kind.needs]:
        what = {"style": "a second picture", "data": "further pictures"}[kind.needs]
        raise UsageError(f"{kind.name} needs {what}: {kind.needs}=")
    return kind(**settings)


def settings_of(method: str) -> list[str]:
    """The settings of a method.

    >>> settings_of("occlusion")
    ['patch', 'stride']
    """
    return [f.name for f in fields(pick(method))]


def without(**given: bool) -> list[str]:
    """The methods whose needs are met, in the order of their names.

    >>> "style" in without(style=False, data=True), "tsne" in without(style=False, data=True)
    (False, True)
    """
    return [name for name, kind in sorted(methods().items()) if not kind.needs or given[kind.needs]]


@contextmanager
def _still(net: nn.Module) -> Iterator[None]:
    """Eval mode, gradients on, and compiled parts as they are written."""
    import sys

    compiled = "torch._dynamo" in sys.modules
    with evaluating(net), torch.inference_mode(False), torch.enable_grad():
        if not compiled:
            yield
            return
        with torch.compiler.set_stance("force_eager"):
            yield


def _one(net: nn.Module, x: Tensor) -> Tensor:
    """x_CHW or x_1CHW -> x_1CHW where the network is, float32 or, as its weights, float64."""
    x = torch.as_tensor(x)
    x = x[None] if x.ndim == 3 else x
    if x.ndim != 4 or len(x) != 1 or not x.numel():
        raise UsageError(f"x has shape {tuple(x.shape)}; one picture (C, H, W) is wanted")
    like = _like(net)
    kind = torch.float64 if like.dtype == torch.float64 else torch.float32
    return x.detach().clone().to(like.device, kind)


def _like(net: nn.Module) -> Tensor:
    return next((p for p in net.parameters() if p.dtype.itemsize > 1), torch.zeros(()))


def _others(net: nn.Module, data: Any) -> Iterator[tuple[Tensor, int | None]]:
    for one in data() if callable(data) else data:
        x, label = one if isinstance(one, tuple | list) else (one, None)
        yield _one(net, x)[0], None if label is None else int(label)


def _asked(
    net: nn.Module, x_1CHW: Tensor, target: int | str | None, layer: str, meaning: Meaning
) -> Question:
    answer, kind = meaning.answer or net, _like(net).dtype

    def raw_of(x_BCHW: Tensor) -> Tensor:
        return _plain(answer(x_BCHW.to(kind, copy=True)))

    with torch.no_grad():
        raw = raw_of(x_1CHW)
    for what, values in (("picture", x_1CHW), ("network's answer", raw)):
        if not values.isfinite().all():
            raise UsageError(f"the {what} has NaN or Inf, of which nothing can be explained")
    read = _columns(raw)
    scores_K = read(raw)[0]
    if target is None and raw.ndim == 4:
        chosen = int(_most(raw))
    else:
        chosen = _number(target, scores_K, meaning.names)
    low, high = meaning.bounds or (x_1CHW.min(), x_1CHW.max())
    bounds = (low.to(x_1CHW), high.to(x_1CHW))
    return Question(
        net, x_1CHW, lambda x: read(raw_of(x)), chosen, target is not None, meaning.names, layer,
        bounds, meaning.bounds is not None, meaning.rivals and len(scores_K) > 1, tell=meaning.tell,
    )  # fmt: skip


def _plain(raw: Any) -> Tensor:
    """The tensor of an answer."""
    if isinstance(raw, dict):
        raw = raw.get("logits", raw.get("out"))
    if isinstance(raw, Tensor) and raw.ndim in (1, 2, 4):
        return raw.float() if raw.dtype != torch.float64 else raw
    have = f"shape {tuple(raw.shape)}" if isinstance(raw, Tensor) else type(raw).__name__
    raise UsageError(
        f"the network's answer is {have}; scores (B, K) or maps (B, K, H, W) can be explained: "
        "meaning=Meaning(answer=function of x_BCHW) gives such"
    )


def _columns(first: Tensor) -> Callable[[Tensor], Tensor]:
    """The first answer -> how all are read as scores_BK. Of maps the mean over the pixels that are
    said to be of the class; where there are none, over all.
    """
    if first.ndim < 4:
        return lambda raw: raw[:, None] if raw.ndim == 1 else raw
    said_1KHW = F.one_hot(first.argmax(1), first.shape[1]).movedim(-1, 1).to(first)
    weight = torch.where(said_1KHW.any(-1).any(-1)[..., None, None], said_1KHW, 1.0)
    weight = weight / weight.sum((2, 3), keepdim=True)
    return lambda raw: (raw * weight).sum((2, 3))


def _most(maps_1KHW: Tensor) -> Tensor:
    """The class of most pixels; class 0, the ground of most data, where there is no other."""
    counts = maps_1KHW.argmax(1).flatten().bincount(minlength=maps_1KHW.shape[1])
    return counts[1:].argmax() + 1 if counts[1:].any() else counts.argmax()


def _number(target: int | str | None, scores_K: Tensor, names: Sequence[str]) -> int:
    """A name, a number or None -> the number of an answer."""
    if target is None:
        return int(scores_K.nan_to_num(-torch.inf).argmax())
    if isinstance(target, str) and target in names:
        return list(names).index(target)
    try:
        k = int(target)
    except (TypeError, ValueError):
        raise UnknownName(str(target), names, "the answers of the network") from None
    if not 0 <= k < len(scores_K):
        some = f" ({shortlist(names)})" if names else ""
        raise UsageError(f"target={target}: the network has the answers 0..{len(scores_K) - 1}"
                         f"{some}")  # fmt: skip
    return k


def _told(
    method: str, question: Question, score: float, seen: Seen, meaning: Meaning
) -> Explanation:
    """What was seen, in coordinates of the picture."""
    shown = meaning.picture or as_picture(question.shown(question.x_1CHW)[0])
    placed, picture = None, seen.drawing
    if seen.map_HW is not None:
        placed = _over(_cut(seen.map_HW.float().cpu(), meaning), shown)
        picture = heat(placed, shown)
    if seen.made_1CHW is not None:
        picture = as_picture(_cut(question.shown(seen.made_1CHW)[0], meaning))
    elif seen.tiles_NCHW is not None:
        picture = grid(seen.tiles_NCHW, seen.columns)
    assert picture is not None
    name = question.name()
    return Explanation(method, question.target, name, score, seen.layer, seen.words, picture,
                       placed, seen.made_1CHW, seen.facts)  # fmt: skip


def _cut(maps: Tensor, meaning: Meaning) -> Tensor:
    """The part of x in which the picture lies."""
    x1, y1, x2, y2 = meaning.extent or (0, 0, maps.shape[-1], maps.shape[-2])
    return maps[..., y1:y2, x1:x2]


def _over(map_HW: Tensor, picture: Image.Image) -> Array:
    """A map in the picture's size."""
    size = picture.height, picture.width
    if map_HW.shape != size:
        map_HW = F.interpolate(map_HW[None, None], size, mode="bilinear", antialias=True)[0, 0]
    return map_HW.numpy()
