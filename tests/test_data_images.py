"""Any picture comes out as a viewer shows it, or is refused by name."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from snellen.core.errors import DataError
from snellen.data.images import read_header, read_image
from snellen.data.pixels import image_tensor

COLOUR = np.random.RandomState(0).randint(0, 256, (6, 8, 3)).astype(np.uint8)
GRAY = COLOUR[..., 0]


def saved(path, image, **options):
    image.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm", "a.webp"])
def test_lossless_round_trip(tmp_path, name):
    options = {"lossless": True} if name.endswith("webp") else {}
    path = saved(tmp_path / name, Image.fromarray(COLOUR), **options)
    assert (read_image(path).numpy().transpose(1, 2, 0) == COLOUR).all()
    assert read_image(path, 1).shape == (1, 6, 8)


def test_gray_becomes_colour_and_sixteen_bits_keep_the_high_byte(tmp_path):
    path = saved(tmp_path / "l.png", Image.fromarray(GRAY))
    assert (read_image(path).numpy() == GRAY).all()
    deep = GRAY.astype(np.uint16) * 256 + 77
    for name in ("deep.png", "deep.tif"):
        path = saved(tmp_path / name, Image.fromarray(deep))
        assert (read_image(path, 1)[0].numpy() == GRAY).all()
    few = np.full((4, 4), 200, np.uint16)  # dark, but 16 bit all the same
    assert int(read_image(saved(tmp_path / "few.png", Image.fromarray(few)), 1).max()) == 0


def test_floats_palette_cmyk_and_alpha(tmp_path):
    floats = Image.fromarray((GRAY / 255).astype(np.float32))
    assert (read_image(saved(tmp_path / "f.tif", floats), 1)[0].numpy() == GRAY).all()
    one = Image.new("RGB", (8, 6), (200, 30, 90))
    palette = read_image(saved(tmp_path / "p.png", one.quantize(4)))
    assert palette[:, 0, 0].tolist() == [200, 30, 90]
    cmyk = read_image(saved(tmp_path / "c.jpg", one.convert("CMYK"), quality=100))
    assert np.abs(cmyk[:, 0, 0].numpy().astype(int) - [200, 30, 90]).max() <= 3
    clear = Image.new("RGBA", (8, 6), (0, 0, 0, 0))
    assert int(read_image(saved(tmp_path / "a.png", clear)).min()) == 255
    opaque = Image.new("RGBA", (8, 6), (1, 2, 3, 255))
    assert read_image(saved(tmp_path / "o.png", opaque))[:, 0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation_is_undone(tmp_path, turn):
    undo = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270}  # fmt: skip
    image = Image.fromarray(COLOUR)
    stored = image.transpose(undo[turn]) if turn in undo else image
    exif = Image.Exif()
    exif[0x0112] = turn
    path = saved(tmp_path / "e.png", stored, exif=exif)
    assert (read_image(path).numpy().transpose(1, 2, 0) == COLOUR).all()
    assert read_header(path).orientation == turn


def test_pictures_in_memory_are_read_as_files_are(tmp_path):
    """What torchvision's loaders hand out: 16 bit, palette, alpha, CMYK, turned by EXIF."""
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = Image.fromarray(GRAY.astype(np.uint16) * 256 + 77)
    kinds = {"deep.png": deep, "p.png": Image.fromarray(COLOUR).quantize(4),
             "a.png": Image.new("RGBA", (8, 6), (9, 9, 9, 128)), "b.png": Image.new("1", (8, 6), 1),
             "c.jpg": Image.new("CMYK", (8, 6), (9, 99, 0, 0))}  # fmt: skip
    for name, image in kinds.items():
        path = saved(tmp_path / name, image, exif=exif)
        with Image.open(path) as opened:
            assert torch.equal(image_tensor(opened, 3), read_image(path))
            assert torch.equal(image_tensor(opened), read_image(path, 1 if name[0] in "bd" else 3))
    cut = saved(tmp_path / "cut.png", Image.fromarray(COLOUR))
    cut.write_bytes(cut.read_bytes()[:100])
    with Image.open(cut) as opened, pytest.raises(DataError, match=r"cut\.png cannot be read"):
        image_tensor(opened)


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("L", (8, 6), v) for v in (10, 200, 90)]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert read_header(path).frames == 3
    assert int(read_image(path).max()) == 10


def bomb(path, side):
    """A PNG whose header claims side x side pixels."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    data = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    body = zlib.compress(b"\0" * 100)
    idat = b"IDAT" + body
    data += struct.pack(">I", len(body)) + idat + struct.pack(">I", zlib.crc32(idat))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data + b"\0\0\0\0IEND\xaeB`\x82")
    return path


@pytest.mark.parametrize("side", [9_000, 11_000, 60_000])
def test_bombs_are_refused_before_decoding(tmp_path, side):
    with pytest.raises(DataError, match=r"bomb\.png.*pixels"):
        read_image(bomb(tmp_path / "bomb.png", side))


@pytest.mark.parametrize("kept", [0, 1, 30, 0.5, 0.9])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.tif", "a.bmp"])
def test_cut_files_are_refused_by_name(tmp_path, name, kept):
    image = Image.fromarray(np.random.RandomState(0).randint(0, 256, (90, 90, 3)).astype(np.uint8))
    path = saved(tmp_path / name, image)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept) if kept <= 0.9 and kept != 1 else int(kept)])
    with pytest.raises(DataError) as error:
        read_image(path)
    assert str(path) in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>404", bytes(500), b"\xff\xd8\xff"])
def test_what_is_no_picture_is_refused(tmp_path, content):
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.jpg"):
        read_image(path)
    with pytest.raises(DataError, match=r"there is no file .*gone\.jpg"):
        read_image(tmp_path / "gone.jpg")
