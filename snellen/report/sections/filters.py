"""The first layer's filters as pictures: edges and blobs where it learned, noise where not."""

from typing import TYPE_CHECKING, Any

from ..facts import ReportFacts
from ..picture import png, png_uri
from ..section import Piece, Section, text

if TYPE_CHECKING:
    from torch import Tensor

MOST = 64
TILE = 48  # pixels of a filter in plots/filters.png, about


def build(facts: ReportFacts) -> Piece | None:
    """One grid; each filter is scaled by its own largest weight, so that mid-grey is zero."""
    weights = facts.filters_OIHW
    if weights is None or weights.dim() != 4 or min(weights.shape[-2:]) < 2:
        return None
    num_filters, channels, height, width = weights.shape
    picture = grid(weights)
    scale = max(1, TILE // max(height, width))
    large = picture.resize((picture.width * scale, picture.height * scale), 0)
    colour = "as colour" if channels == 3 else "mid-grey is zero"
    words = f"{num_filters} filters of {height} x {width} over {channels} channel"
    words += f"{'s' * (channels != 1)}; each scaled by its largest weight, {colour}."
    if num_filters > MOST:
        words += f" The first {MOST} are shown."
    if channels not in (1, 3):
        words += " Channels are averaged."
    html = f'<figure class="filters"><img class="small" src="{png_uri(picture)}"'
    html += f' alt="{text(words)}"><figcaption>{text(words)}</figcaption></figure>'
    return Piece(html, {"filters.png": png(large)})


def grid(weights_OIHW: "Tensor") -> Any:
    """weights_OIHW -> PIL: filters in rows on mid-grey, one pixel a weight, one between them."""
    import torch
    from PIL import Image

    weights = weights_OIHW[:MOST].detach().float().cpu().nan_to_num(0.0, 0.0, 0.0)
    if weights.shape[1] not in (1, 3):
        weights = weights.mean(1, keepdim=True)
    count, channels, height, width = weights.shape
    largest = weights.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
    tiles = ((weights / largest + 1) * 127.5).round().to(torch.uint8)
    columns = min(count, 8 if count <= 32 else 16)
    rows = -(-count // columns)
    sheet = torch.full((channels, rows * (height + 1) + 1, columns * (width + 1) + 1), 255)
    sheet = sheet.to(torch.uint8)
    for i, tile in enumerate(tiles):
        top, left = i // columns * (height + 1) + 1, i % columns * (width + 1) + 1
        sheet[:, top : top + height, left : left + width] = tile
    pixels = sheet.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(pixels if channels == 3 else pixels[:, :, 0].copy())


SECTIONS = {"filters": Section("First-layer filters", 70, build)}
