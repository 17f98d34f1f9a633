"""Pictures as they are fed, kept on the disk so that the next training need not decode them.

A file a picture under `cache_folder()/pixels`, named by a hash of the picture's bytes and of how it
was read. Everything there can be deleted at any time, by anyone: what is missing, cut off or
damaged is decoded again. Written beside and renamed; plain bytes, nothing in them is run. The
channels of a pixel lie together, as decoders leave them.
"""

import contextlib
import os
import shutil
import struct
import threading
import time
import zlib
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.cache import cache_folder

MOST, SHARE = 4 * 2**30, 0.1  # bytes in all, and of the disk where it is free or these copies'
SLICE, LAST = 64, 16  # parts of all, and of what is left, that a process is granted at once
HEAD = struct.Struct("<4sI5I")  # mark, checksum; C, H, W; H, W of the file
MARK = b"SNP2"
DEAD = 3600.0  # seconds after which nobody writes on a half-written file

Size = tuple[int, int]


@dataclass
class _Room:
    """The bytes that one process may still write before it looks again at what is there."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    left: int = 0
    is_swept: bool = False  # the oldest have made room
    is_full: bool = False  # for good


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
        self._since = time.time()  # what is younger is in use
        self._rooms: dict[int, _Room] = {}  # by process: a forked one inherits a lock that may hang

    def __getstate__(self) -> dict[str, Any]:
        """A process that is sent a cache looks for room itself."""
        return {**vars(self), "_rooms": {}}

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
        image = torch.frombuffer(data, dtype=torch.uint8, offset=HEAD.size)
        return image.view(height, width, channels).permute(2, 0, 1), (size[0], size[1])

    def put(self, key: str, image_CHW: Tensor, size: Size) -> None:
        """Keep a picture, if there is room; nothing is said where it cannot be written."""
        pixels = image_CHW.permute(1, 2, 0).numpy().tobytes()
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
                self._own().left, self._own().is_full = 0, True  # the disk; or not to be written
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key[2:]

    def _own(self) -> _Room:
        return self._rooms.setdefault(os.getpid(), _Room())

    def _takes(self, count: int) -> bool:
        """Whether so many bytes more have room. Other processes write too, so it is granted in
        slices, for each of which the folder is measured; at a process's first the oldest make room.
        """
        room = self._own()
        with room.lock:
            if count > room.left and not room.is_full:
                left = self._measure(sweep=not room.is_swept)
                room.is_swept, room.is_full = True, count > left
                if not room.is_full:
                    room.left = max(count, min(self.most // SLICE, left // LAST))
            if count > room.left:
                return False
            room.left -= count
            return True

    def _measure(self, sweep: bool) -> int:
        """Bytes that may still be written; where more than three quarters of what may be is there,
        the oldest files can be removed before, but for those of this training.
        """
        files = self._files()
        held = sum(size for _, size, _ in files)
        most = min(self.most, int(SHARE * (held + _free(self.folder))))
        for written, size, path in sorted(files) if sweep else ():
            if held <= most * 3 // 4 or written >= self._since:
                break
            with contextlib.suppress(OSError):
                Path(path).unlink(missing_ok=True)
                held -= size
        return max(0, most - held)

    def _files(self) -> list[tuple[float, int, str]]:
        """When each was written, its bytes and path; half-written ones are left to their writers,
        and removed where these must be dead.
        """
        files = []
        folders = [entry.path for entry in _entries(self.folder) if len(entry.name) == 2]
        for folder in folders:
            for entry in _entries(folder):
                with contextlib.suppress(OSError):
                    stat = entry.stat()
                    if not entry.name.startswith("."):
                        files.append((stat.st_mtime, stat.st_size, entry.path))
                    elif time.time() - stat.st_mtime > DEAD:
                        os.unlink(entry.path)
        return files


def _entries(folder: str | Path) -> list["os.DirEntry[str]"]:
    """What lies in a folder: nothing where there is none."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


def _free(folder: Path) -> int:
    """Bytes that are free on the disk of a folder, which may not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
