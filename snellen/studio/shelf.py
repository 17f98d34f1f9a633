"""The runs that may be shown: those of one folder, of which nothing leads out."""

import os
from pathlib import Path

from ..core.errors import DataError, nearest
from ..core.runfolder import RunFolder
from ..core.runs import is_run, run_folders


class Shelf:
    """A folder of runs (or one run), read anew each time it is asked.

    >>> Shelf("absent").look()
    ({}, [])
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()

    def look(self) -> tuple[dict[str, RunFolder], list[str]]:
        """Runs by the names that addresses use; and, in words, those that are not shown."""
        shown: dict[str, RunFolder] = {}
        refused = []
        for run in run_folders(self.folder):
            strays = self._strays(run)
            if strays:
                refused.append(f"{run.path.name}: {strays[0]}")
            else:
                shown[key(run)] = run
        return shown, refused

    def find(self, name: str) -> RunFolder:
        """The run of that name, or DataError."""
        for path in (self.folder, self.folder / name):  # without a look at all the others
            run = RunFolder(path)
            if path.name == name and name != ".." and is_run(path) and not self._strays(run):
                return run
        shown, refused = self.look()
        if name in shown:  # a name that is no UTF-8
            return shown[name]
        near = nearest(name, shown)
        hint = f"did you mean {near[0]}?" if near else f"the folder is {self.folder}"
        why = next((words for words in refused if words.startswith(f"{name}: ")), "")
        raise DataError(why or f"there is no run {name!r} here; {hint}")

    def _strays(self, run: RunFolder) -> list[str]:
        """What of a run is a link that leads elsewhere, or no file at all (a pipe would block)."""
        try:
            odd = [Path(entry) for entry in os.scandir(run.path) if not _is_plain(entry)]
        except OSError as error:
            return [f"it cannot be read ({error.strerror})"]
        odd += [run.path, run.weights / "last.json"]
        words = f"leads out of {self.folder}, or is no file"
        return [f"{path.name} {words}" for path in odd if not self._may_be_read(path)]

    def _may_be_read(self, path: Path) -> bool:
        """Whether it lies here, and is a file, a folder or not there at all."""
        is_known = path.is_file() or path.is_dir() or not path.exists()
        return is_known and is_within(path, self.folder)


def key(run: RunFolder) -> str:
    """The name of a run as an address can hold it.

    >>> key(RunFolder("runs/digits-1"))
    'digits-1'
    """
    return os.fsencode(run.path.name).decode("utf-8", "replace")


def is_within(path: Path, folder: Path) -> bool:
    """Whether a path, all its links followed, lies in a folder.

    >>> is_within(Path("docs/../README.md"), Path("docs"))
    False
    """
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a circle of links, a NUL
        return False


def _is_plain(entry: "os.DirEntry[str]") -> bool:
    return entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
