"""Folders of pictures with known faults, from any seed: clean ones are drawn, then spoilt."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("ant", "bee", "cow")
HARMLESS = {"cmyk", "gray", "alpha", "palette", "16 bit", "float", "animated", "turned", "png.jpg",
            "stray", "thumbs", "loop", "odd name", "web page name"}  # fmt: skip
IDS = {
    "empty": "file-empty", "zeros": "file-zeros", "web page": "file-not-an-image",
    "pointer": "file-not-an-image", "cut off": "file-truncated", "zero tail": "file-truncated",
    "noise": "file-unreadable", "bomb": "file-unreadable", "one pixel": "image-tiny",
    "blank": "data-constant-sample", "wide": "image-odd-size", "huge": "image-odd-size",
    "copy": "data-duplicate", "two labels": "label-conflict", "leak": "data-leak-train-val",
    "near leak": "data-leak-train-val", "mirrored leak": "data-leak-train-val",
    "nan": "file-unreadable", "name case": "file-names-alike", "folder": "class-empty",
    "loop": "folder-loop",
    "cmyk": "file-cmyk", "gray": "file-gray", "alpha": "file-alpha", "palette": "file-palette",
    "16 bit": "file-16-bit", "float": "file-float", "animated": "file-animated",
    "turned": "file-exif-rotated", "png.jpg": "file-wrong-extension", "stray": "file-stray",
    "thumbs": "file-stray", "odd name": "file-odd-name", "web page name": "file-odd-name",
}  # fmt: skip


def photo(random: np.random.RandomState, size: tuple[int, int] = (80, 60)) -> Image.Image:
    small = Image.fromarray(random.randint(0, 256, (6, 8, 3)).astype(np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, format: str = "JPEG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def bomb(side: int = 30_000) -> bytes:
    """A PNG of 900 million pixels in some kilobytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = packer.compress(bytes(3 * side + 1)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", row) + chunk(b"IEND", b"")


def turned(image: Image.Image, random: np.random.RandomState) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = int(random.randint(2, 9))
    return encoded(image, exif=exif)


def cut(data: bytes, random: np.random.RandomState) -> bytes:
    return data[: int(len(data) * random.uniform(0.4, 0.9))]


def zero_tail(data: bytes, random: np.random.RandomState) -> bytes:
    return cut(data, random).ljust(len(data), b"\0")


def float_tiff(random: np.random.RandomState, *, bad: bool) -> bytes:
    values = random.rand(60, 80).astype(np.float32)
    values[3, 4] = np.nan if bad else 0.5
    return encoded(Image.fromarray(values), "TIFF")


Bytes = Callable[[Image.Image, np.random.RandomState], bytes]
FILES: dict[str, tuple[str, Bytes]] = {  # kind -> its ending, what stands in the file
    "empty": (".jpg", lambda image, r: b""),
    "zeros": (".jpg", lambda image, r: bytes(int(r.randint(1, 5000)))),
    "web page": (".jpg", lambda image, r: b"\n <HTML><head><title>403</title></head></HTML>"),
    "pointer": (".png", lambda image, r: b"version https://git-lfs.github.com/spec/v1\noid x\n"),
    "cut off": (".jpg", lambda image, r: cut(encoded(image), r)),
    "zero tail": (".jpg", lambda image, r: zero_tail(encoded(image, quality=95), r)),
    "noise": (".png", lambda image, r: b"\x93" + r.bytes(4000)),
    "bomb": (".png", lambda image, r: bomb()),
    "one pixel": (".png", lambda image, r: encoded(image.resize((1, 1)), "PNG")),
    "blank": (".png", lambda image, r: encoded(Image.new("RGB", (80, 60), (9, 99, 9)), "PNG")),
    "wide": (".png", lambda image, r: encoded(image.resize((400, 12)), "PNG")),
    "huge": (".jpg", lambda image, r: encoded(image.resize((2400, 1800)))),
    "nan": (".tif", lambda image, r: float_tiff(r, bad=True)),
    "cmyk": (".jpg", lambda image, r: encoded(image.convert("CMYK"))),
    "gray": (".jpg", lambda image, r: encoded(image.convert("L"))),
    "alpha": (".png", lambda image, r: encoded(image.convert("RGBA"), "PNG")),
    "palette": (".png", lambda image, r: encoded(image.quantize(64), "PNG")),
    "16 bit": (".png", lambda image, r: encoded(Image.fromarray(
        r.randint(0, 65536, (60, 80)).astype(np.uint16)), "PNG")),
    "float": (".tiff", lambda image, r: float_tiff(r, bad=False)),
    "animated": (".gif", lambda image, r: encoded(
        image, "GIF", save_all=True, append_images=[image.rotate(90)])),
    "turned": (".jpg", turned),
    "png.jpg": (".jpg", lambda image, r: encoded(image, "PNG")),
}  # fmt: skip


def folder(root: Path, seed: int) -> list[tuple[str, Path]]:
    """A set of train and val with one fault of each kind; returns (kind, file)."""
    random = np.random.RandomState(seed)
    for part, count in (("train", 40), ("val", 24)):
        for name in CLASSES:
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                photo(random).save(root / part / name / f"{seed}_{i:02}.jpg", quality=90)
    faults = []
    for kind, (ending, make) in FILES.items():
        file = root / ("train", "val")[random.randint(2)] / CLASSES[random.randint(3)]
        file = file / f"{kind.replace(' ', '_').replace('.', '_')}{ending}"
        file.write_bytes(make(photo(random), random))
        faults.append((kind, file))
    names = {"odd name": " blanks .jpg", "web page name": "a?b=1&c:d.jpg"}
    for kind, name in names.items():
        faults.append((kind, root / "train" / CLASSES[random.randint(3)] / name))
        photo(random).save(faults[-1][1], quality=90)
    return faults + copies(root, random) + others(root, random)


def copies(root: Path, random: np.random.RandomState) -> list[tuple[str, Path]]:
    """The same picture again, in each way; the later one of a pair is named."""
    ant, bee = root / "train" / "ant", root / "train" / "bee"
    clean = sorted(ant.glob("[0-9]*.jpg"))
    first = [clean[i] for i in random.permutation(len(clean))[:6]]
    images = [Image.open(file).convert("RGB") for file in first]
    (ant / "z copy.jpg").write_bytes(first[0].read_bytes())
    images[1].save(bee / "z twin.png")
    (root / "val" / "ant" / "z leak.jpg").write_bytes(first[2].read_bytes())
    images[3].resize((160, 120), Image.Resampling.BICUBIC).save(root / "val" / "ant" / "z near.jpg")
    flipped = images[4].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    flipped.save(root / "val" / "ant" / "z mirror.jpg", quality=90)
    upper = ant / first[5].name.replace(".jpg", ".JPG")
    photo(random).save(upper, "JPEG", quality=90)
    later = max(upper, first[5], key=str)
    return [("copy", ant / "z copy.jpg"), ("two labels", bee / "z twin.png"),
            ("leak", root / "val" / "ant" / "z leak.jpg"),
            ("near leak", root / "val" / "ant" / "z near.jpg"),
            ("mirrored leak", root / "val" / "ant" / "z mirror.jpg"),
            ("name case", later)]  # fmt: skip


def others(root: Path, random: np.random.RandomState) -> list[tuple[str, Path]]:
    """Files that are no pictures, hidden ones, empty folders and links in a circle."""
    place = root / "train" / CLASSES[random.randint(3)]
    (place / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + random.bytes(100))
    (place / "notes.txt").write_text("from the zoo")
    (place / ".hidden.jpg").write_bytes(b"")
    (root / "train" / "emu").mkdir()
    os.symlink(root / "train", place / "loop")  # a circle
    return [("thumbs", place / "Thumbs.db"), ("stray", place / "notes.txt"),
            ("folder", root / "train" / "emu"), ("loop", place / "loop")]  # fmt: skip
