"""Images as they stand on the page: data URIs, small ones kept sharp, large ones made small."""

import base64
import io
from typing import TYPE_CHECKING, Any

from .section import text

if TYPE_CHECKING:
    from torch import Tensor

SIDE = 224  # of a picture on the page, in pixels; a larger image is reduced to it
MARK = (255, 0, 200)
SHARP = 96  # up to here pixels are shown as they are


def img(image_CHW: "Tensor", alt: str, *, mark: bool = False) -> str:
    """image_CHW (uint8, or float in any range) -> an <img> that holds its own data.

    `mark` paints pixels that are not finite in a colour that no one overlooks.
    """
    picture = marked(image_CHW) if mark else to_picture(image_CHW)
    kind = ' class="small"' if max(picture.size) <= SHARP else ""
    picture.thumbnail((SIDE, SIDE))
    return f'<img{kind} src="{data_uri(picture)}" alt="{text(alt)}" loading="lazy">'


def to_picture(image_CHW: "Tensor") -> Any:
    """image_CHW -> PIL: one channel grey, three or more the first three as colour.

    Floats are stretched over the range of their finite values; what is not finite is black.
    """
    from PIL import Image

    pixels_HWC = _to_bytes(image_CHW).permute(1, 2, 0).contiguous().numpy()
    if pixels_HWC.shape[2] < 3:
        return Image.fromarray(pixels_HWC[:, :, 0].copy())
    return Image.fromarray(pixels_HWC[:, :, :3].copy())


def marked(image_CHW: "Tensor") -> Any:
    """image_CHW -> PIL, pixels that are not finite in magenta."""
    picture = to_picture(image_CHW)
    bad_HW = (~image_CHW.detach().cpu().isfinite()).any(0)
    if not bool(bad_HW.any()):
        return picture
    from PIL import Image

    mask = Image.fromarray((bad_HW * 255).byte().numpy())
    picture = picture.convert("RGB")
    picture.paste(MARK, (0, 0), mask)
    return picture


def data_uri(picture: Any) -> str:
    """PIL -> data URI: JPEG for photographs, PNG where every pixel counts."""
    if max(picture.size) <= SHARP or picture.mode != "RGB":
        return png_uri(picture)
    sink = io.BytesIO()
    picture.save(sink, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(sink.getvalue()).decode()}"


def png_uri(picture: Any) -> str:
    """PIL -> data URI, bit for bit."""
    return f"data:image/png;base64,{base64.b64encode(png(picture)).decode()}"


def png(picture: Any) -> bytes:
    """PIL -> PNG."""
    sink = io.BytesIO()
    picture.save(sink, "PNG")
    return sink.getvalue()


def _to_bytes(image_CHW: "Tensor") -> "Tensor":
    import torch

    image = image_CHW.detach().cpu()
    if image.dtype == torch.uint8:
        return image
    image = image.float()
    finite = image[image.isfinite()]
    low, high = (finite.min(), finite.max()) if finite.numel() else (0.0, 1.0)
    scaled = (image - low) / max(float(high - low), 1e-12)
    return (scaled.nan_to_num(0.0, 0.0, 0.0).clamp(0, 1) * 255).round().to(torch.uint8)
