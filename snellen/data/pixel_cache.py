"""Pictures as they are fed, kept on the disk so that the next training need not decode them.

A file a picture under `cache_folder()/pixels`, named by a hash of the picture's bytes and of how it
was read. Everything there can be deleted at any time, by anyone: what is missing, cut off or
damaged is decoded again. Written beside and renamed; plain bytes, nothing in them is run.
"""

import contextlib
import os
import shutil
import struct
import threading
import time
import zlib
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.cache import cache_folder

MOST, SHARE = 4 * 2**30, 0.1  # bytes in all, and of what is free on the disk
HEAD = struct.Struct("<4sI5I")  # mark, checksum; C, H, W; H, W of the file
MARK = b"SNP1"
DEAD = 3600.0  # seconds after which nobody writes on a half-written file

Size = tuple[int, int]


class PixelCache:
    """uint8 pictures by key; `get` and `put` never fail, threads may call them.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kept = PixelCache(Path(folder))
    ...     key = kept.key(b"the bytes of a file", "3x2x2")
    ...     kept.put(key, torch.full((3, 2, 2), 7, dtype=torch.uint8), (600, 800))
    ...     image_CHW, size = kept.get(key)
    ...     int(image_CHW.sum()), size, kept.get(kept.key(b"others", "3x2x2"))
    (84, (600, 800), None)
    """

    def __init__(self, folder: Path | None = None, most: int = MOST) -> None:
        self.folder, self.most = folder or cache_folder() / "pixels", most
        self._room: int | None = None  # bytes that may still be written; None before the first
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """A process that is sent a cache has a lock of its own, and looks for room itself."""
        return {"folder": self.folder, "most": self.most}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As new."""
        self.__init__(**state)  # type: ignore[misc]

    @staticmethod
    def key(data: bytes, how: str) -> str:
        """The bytes of a file and how they are read -> 40 letters."""
        return blake2b(data, digest_size=20, key=blake2b(how.encode()).digest()).hexdigest()

    def get(self, key: str) -> tuple[Tensor, Size] | None:
        """image_CHW and the (H, W) of the file, or None where nothing whole is there."""
        try:
            data = bytearray(self._path(key).read_bytes())
            mark, checksum, channels, height, width, *size = HEAD.unpack_from(data)
        except (OSError, struct.error):
            return None
        pixels = memoryview(data)[HEAD.size :]
        if mark != MARK or len(pixels) != channels * height * width or not len(pixels):
            return None
        if zlib.adler32(pixels) != checksum:
            return None
        image_CHW = torch.frombuffer(data, dtype=torch.uint8, offset=HEAD.size)
        return image_CHW.view(channels, height, width), (size[0], size[1])

    def put(self, key: str, image_CHW: Tensor, size: Size) -> None:
        """Keep a picture, if there is room; nothing is said where it cannot be written."""
        pixels = image_CHW.contiguous().numpy().tobytes()
        if not self._takes(HEAD.size + len(pixels)):
            return
        head = HEAD.pack(MARK, zlib.adler32(pixels), *image_CHW.shape, *size)
        path = self._path(key)
        beside = path.with_name(f".{key}.{os.getpid()}.{threading.get_ident()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(head + pixels)
            os.replace(beside, path)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):  # else someone else has tidied up
                self._room = 0  # a full disk, or a folder that cannot be written
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key[2:]

    def _takes(self, count: int) -> bool:
        """Whether so many bytes more have room; the first time the oldest make room."""
        with self._lock:
            if self._room is None:
                self._room = self._make_room()
            if count > self._room:
                return False
            self._room -= count
            return True

    def _make_room(self) -> int:
        """Remove the oldest files where there are more than three quarters of what may be."""
        files = self._files()
        held = sum(size for _, size, _ in files)
        most = min(self.most, held + int(SHARE * _free(self.folder)))
        for _, size, path in sorted(files):
            if held <= most * 3 // 4:
                break
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
                held -= size
        return max(0, most - held)

    def _files(self) -> list[tuple[float, int, Path]]:
        """When each was written, its bytes and path; half-written ones are left to their writers,
        and removed where these must be dead.
        """
        files = []
        with contextlib.suppress(OSError):
            for path in self.folder.glob("??/*"):
                with contextlib.suppress(OSError):
                    stat = path.stat()
                    if not path.name.startswith("."):
                        files.append((stat.st_mtime, stat.st_size, path))
                    elif time.time() - stat.st_mtime > DEAD:
                        path.unlink(missing_ok=True)
        return files


def _free(folder: Path) -> int:
    """Bytes that are free on the disk of a folder, which may not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
