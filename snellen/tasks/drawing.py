"""Pictures with what is true or said of them: words below, boxes on them."""

from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw
from torch import Tensor

LEAST = 128  # pixels that a drawing is wide at least
ROOMY = 384  # and where there is something to be seen on it
LINE = 14  # pixels from one line of words to the next
COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080")


def draw_label(image_CHW: Tensor, words: str) -> Image.Image:
    """image_CHW -> a picture at least 128 pixels wide with words under it."""
    return draw_lines(image_CHW, [words])


def draw_lines(
    image_CHW: Tensor,
    lines: Sequence[str],
    boxes_N4: Tensor | None = None,
    *,
    words: Sequence[str] = (),
    kinds: Sequence[int] | None = None,
    least: int = LEAST,
) -> Image.Image:
    """image_CHW -> a picture, `least` pixels wide or more, with boxes_N4 (xyxy, its own pixels) on
    it and lines under it; a box may have a word, and a colour by its kind instead of its number.

    >>> draw_lines(torch.zeros(1, 8, 8, dtype=torch.uint8), ["a", "b"]).size
    (128, 158)
    """
    picture = picture_of(image_CHW).convert("RGB")
    least = least if boxes_N4 is None else ROOMY
    scale = max(1, -(-least // max(picture.width, 1)))
    big = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
    canvas = Image.new("RGB", (big.width, big.height + 2 + LINE * len(lines)), "white")
    canvas.paste(big, (0, 0))
    pen = ImageDraw.Draw(canvas)
    for i, line in enumerate(lines):
        pen.text((2, big.height + 2 + LINE * i), line, fill="black")
    boxes = [] if boxes_N4 is None else boxes_N4.tolist()
    colours = [COLOURS[k % len(COLOURS)] for k in (kinds or range(len(boxes)))]
    for i, box in reversed(list(enumerate(boxes))):  # the first, and surest, on top
        x1, y1, x2, y2 = (v * scale for v in box)
        if x1 < x2 and y1 < y2:
            end = max(x2 - 1, x1), max(y2 - 1, y1)  # a box may be thinner than a pixel
            pen.rectangle((x1, y1, *end), outline=colours[i], width=2)
            _tag(pen, (x1, y1), words[i] if words else "", colours[i])
    return canvas


def picture_of(image_CHW: Tensor) -> Image.Image:
    """image_CHW -> the picture itself, gray or in its first three channels.

    >>> picture_of(torch.zeros(1, 8, 6, dtype=torch.uint8)).size
    (6, 8)
    """
    hwc = as_pixels(image_CHW).permute(1, 2, 0).numpy()
    return Image.fromarray(hwc[..., 0] if hwc.shape[2] == 1 else hwc[..., :3])


def _tag(pen: ImageDraw.ImageDraw, corner: tuple[float, float], word: str, colour: str) -> None:
    """A word in white on its box's colour: above the corner where there is room, else below it."""
    if word:
        x, y = corner[0], corner[1] - LINE if corner[1] >= LINE else corner[1]
        pen.rectangle((x, y, x + pen.textlength(word) + 5, y + LINE - 1), fill=colour)
        pen.text((x + 3, y + 1), word, fill="white")


def as_pixels(image_CHW: Tensor) -> Tensor:
    """image_CHW as it is, or floats of any range -> 0..255, smallest black; NaN becomes black.

    >>> as_pixels(torch.tensor([[[0.0, 2.0, 4.0]]])).tolist()
    [[[0, 127, 255]]]
    """
    if image_CHW.dtype == torch.uint8:
        return image_CHW
    finite = torch.nan_to_num(image_CHW.float(), 0.0, 0.0, 0.0)
    low, high = finite.min(), finite.max()
    return ((finite - low) / (high - low).clamp(min=1e-12) * 255).to(torch.uint8)
