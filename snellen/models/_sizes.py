"""Says what is wrong with images that a network cannot take, and which sizes it can."""

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.shapes import Unfilled
from ..nn.count import device_of, probe_copy
from ..nn.norm_by_shape import InTurn

if TYPE_CHECKING:
    from ._network import Network

REACH = 320  # pixels that a larger size is looked for; no family here needs more than 299


def wrong_images(net: "Network", x: Any) -> str | None:
    """What is wrong with a batch, its type included; None where nothing is."""
    if not isinstance(x, Tensor):
        return f"x is a {type(x).__name__}; a tensor is wanted: torch.from_numpy(x).float()"
    kind = next((p.dtype for p in net.parameters()), x.dtype)
    if x.dtype != kind and not (x.is_floating_point() and torch.is_autocast_enabled(x.device.type)):
        return f"x holds {x.dtype}, the weights are {kind}: give x.to({kind})"
    return wrong_input(net, tuple(x.shape))


def wrong_input(net: "Network", shape: tuple[int, ...]) -> str | None:
    """What is wrong with an input of this shape and which would do; None where nothing is."""
    wanted = f"(B, {net.channels}, H, W)"
    if len(shape) != 4:
        return f"x has shape {shape}; a batch of images {wanted} is wanted (one image is x[None])"
    batch, channels, height, width = shape
    if channels != net.channels:
        return (
            f"x has shape {shape}, this network takes {wanted}; "
            f"build it with channels={channels} or convert the images"
        )
    probe = _Probe(net, height * width)
    if probe.takes(height, width, batch):
        return None
    if probe.takes(height, width):
        return (
            f"one image of {height}x{width} leaves batch norm a single value a channel while "
            "training; give two images or more a batch (drop a last batch of one)"
        )
    if net.row is not None and probe.takes(height, width, aux=False):
        larger = [s for s in probe.near_sizes(height, width) if s > max(height, width)]
        resize = f", or resize them (imgsz={larger[0]})" if larger else ""
        return (
            f"images of {height}x{width} are too small for the auxiliary head, which only training "
            f"needs: build the network without it (aux=False){resize}"
        )
    sizes = probe.near_sizes(height, width)
    if not sizes:
        return None
    return (
        f"images of {height}x{width} do not fit this architecture; "
        f"{' and '.join(f'{s}x{s}' for s in sizes)} would: resize them (imgsz={sizes[-1]}) "
        f"{_instead(net, height, width)}or take another model"
    )


def _instead(net: "Network", height: int, width: int) -> str:
    """What else would do: another build of the same network."""
    if height == width and hasattr(net.row, "imgsz"):
        try:
            from ._row import changed

            sized = changed(net.row, "", {"imgsz": height}).make(1, net.channels)
        except UsageError:
            return ""
        if _Probe(sized, height * width).takes(height, width):
            return f"or build it for these (imgsz={height} where it is made) "
    return ""


class _Probe:
    """Tries sizes on a copy. Most sizes meet again after some stages, and are then known."""

    def __init__(self, net: "Network", pixels: int) -> None:
        self.net = cast("Network", probe_copy(net, pixels))
        kind = next((p.dtype for p in self.net.parameters()), torch.float32)
        self.one = torch.zeros((), device=device_of(self.net), dtype=kind)
        self.known: dict[tuple[str, tuple[Any, ...]], tuple[Any, ...] | None] = {}

    def takes(self, height: int, width: int, batch: int = 2, *, aux: bool = True) -> bool:
        """Whether the network runs on such a batch."""
        shape: tuple[Any, ...] = (batch, self.net.channels, height, width)
        seen: list[tuple[Any, ...]] = []
        beside = self.net.aux if aux and self.net.training and self.net.aux is not None else ()
        for name in (*self.net.stages, "head"):
            shape = tuple(seen) if self.net.taps and name == "head" else shape
            after = self._after(name, shape)
            if after is None or (name in beside and self._after(f"aux.{name}", after) is None):
                return False
            shape = after
            seen += [shape] if name in self.net.taps else []
        return True

    def _after(self, name: str, shape: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if (name, shape) not in self.known:
            part = self.net.get_submodule(name)
            after = self._through if type(part) in (nn.Sequential, InTurn) else self._run
            self.known[name, shape] = after(name, part, shape)
        return self.known[name, shape]

    def _through(self, name: str, part: nn.Module, shape: tuple[int, ...]) -> Any:
        for child, _ in part.named_children():
            if (shape := self._after(f"{name}.{child}", shape)) is None:  # type: ignore[assignment]
                return None
        return shape

    def _run(self, name: str, part: nn.Module, shape: tuple[Any, ...]) -> Any:
        """The shape of what a part gives, or its shapes; a head with taps is fed several."""
        many = isinstance(shape[0], tuple)
        maps = [self.one.expand(one).clone() for one in (shape if many else [shape])]
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]), Unfilled():
                out = part(maps if many else maps[0])
        except (RuntimeError, ValueError, UsageError):
            return None
        return tuple(out.shape) if isinstance(out, Tensor) else tuple(tuple(o.shape) for o in out)

    def near_sizes(self, height: int, width: int) -> list[int]:
        """The next square below the longer side and the next above the shorter one that run."""
        least, most = min(height, width), max(height, width)
        below = next((s for s in range(most, 0, -1) if self.takes(s, s)), None)
        above = next((s for s in range(least, least + REACH) if self.takes(s, s)), None)
        return sorted({s for s in (below, above) if s is not None})
