"""The first layer's filters as pictures: edges and blobs where it learned, noise where not."""

from typing import TYPE_CHECKING, Any

from ..facts import ReportFacts
from ..picture import png, png_uri
from ..section import Piece, Section, text

if TYPE_CHECKING:
    from torch import Tensor

MOST = 64
ZOOM, GAP = 8, 6  # pixels: of a weight, and between filters
BETWEEN = (198, 206, 216)  # no grey, so that it is not taken for a weight


def build(facts: ReportFacts) -> Piece | None:
    """One grid; each filter is scaled by its own largest weight, so that mid-grey is zero."""
    weights = facts.filters_OIHW
    if weights is None or weights.dim() != 4 or min(weights.shape[-2:]) < 2:
        return None
    num_filters, channels, height, width = weights.shape
    picture = grid(weights)
    colour = "as colour" if channels == 3 else "mid-grey is zero"
    words = f"{num_filters} filters of {height} x {width} over {channels} channel"
    words += f"{'s' * (channels != 1)}; each scaled by its largest weight, {colour}."
    if num_filters > MOST:
        words += f" The first {MOST} are shown."
    if channels not in (1, 3):
        words += " Channels are averaged."
    html = f'<figure class="filters"><img class="small" src="{png_uri(picture)}"'
    html += f' alt="{text(words)}"><figcaption>{text(words)}</figcaption></figure>'
    return Piece(html, {"filters.png": png(picture)})


def grid(weights_OIHW: "Tensor") -> Any:
    """weights_OIHW -> PIL: filters in rows, ZOOM pixels a weight, mid-grey for zero."""
    import torch
    from PIL import Image

    weights = weights_OIHW[:MOST].detach().float().cpu().nan_to_num(0.0, 0.0, 0.0)
    channels = weights.shape[1]
    if channels not in (1, 3):
        weights = weights.mean(1, keepdim=True)
    largest = weights.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
    bytes_OIHW = ((weights / largest + 1) * 127.5).round().to(torch.uint8)
    tiles = bytes_OIHW.repeat_interleave(ZOOM, 2).repeat_interleave(ZOOM, 3)
    count, _, height, width = tiles.shape
    columns = min(count, 8 if count <= 32 else 16)
    rows = -(-count // columns)
    size = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP)
    sheet = torch.tensor(BETWEEN, dtype=torch.uint8)[:, None, None].repeat(1, *size)
    for i, tile in enumerate(tiles):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        sheet[:, top : top + height, left : left + width] = tile
    return Image.fromarray(sheet.permute(1, 2, 0).contiguous().numpy())


SECTIONS = {"filters": Section("First-layer filters", 70, build)}
