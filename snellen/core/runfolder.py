"""The run folder: everything that one training leaves behind, and nothing anywhere else.

runs/<name>-N/ can be moved, copied and read by hand; all paths inside it are relative.
"""

from pathlib import Path

from .errors import DataError, UsageError
from .events import EventLog

MARK = "config.yaml"
SEALS = "run.sha256.json"  # the record of what a training wrote


class RunFolder:
    """Names every file of a run. Making or reading them is their owners' work.

    >>> RunFolder("runs/digits-1").best.as_posix()
    'runs/digits-1/weights/best.safetensors'
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / MARK
        self.command = self.path / "command.txt"
        self.env = self.path / "env.json"
        self.events = self.path / "events.jsonl"
        self.metrics = self.path / "metrics.csv"
        self.findings = self.path / "findings.json"
        self.sarif = self.path / "findings.sarif"
        self.weights = self.path / "weights"
        self.best = self.weights / "best.safetensors"
        self.plots = self.path / "plots"
        self.predictions = self.path / "predictions.csv"
        self.report = self.path / "report.html"
        self.log = self.path / "log.txt"
        self.seals = self.path / SEALS

    def open_events(self) -> EventLog:
        """The event log, for appending."""
        return EventLog(self.events)

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)


def create(project: str | Path, name: str) -> RunFolder:
    """Make runs/<name>-N, as `claim` does, with the folders of a run in it."""
    folder = RunFolder(claim(project, name))
    folder.weights.mkdir()
    folder.plots.mkdir()
    return folder


def claim(project: str | Path, name: str) -> Path:
    """Make the folder <project>/<name>-N with the first free N; two at once never share one.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [claim(folder, "digits").name for _ in range(2)]
    ['digits-1', 'digits-2']
    """
    if not name or name in (".", "..") or any(c in name for c in '/\\\0:*?"<>|'):
        raise UsageError(f"name={name!r} cannot be a folder; use letters, digits, - and _")
    project = Path(project)
    try:
        project.mkdir(parents=True, exist_ok=True)
        number = max((taken for taken, _ in numbered(project, name)), default=0) + 1
        while True:
            folder = project / f"{name}-{number}"
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                number += 1
    except OSError as error:
        raise UsageError(
            f"project={project} cannot hold a run: {error.strerror}; name a folder you may write to"
        ) from error


def find(path: str | Path) -> RunFolder:
    """The run at `path`, or an error that says what is there instead.

    >>> find("a-1")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    snellen.core.errors.DataError: no run at a-1: there is no such folder; ...
    """
    folder = RunFolder(path)
    if folder.config.is_file():
        return folder
    if not folder.path.exists():
        kin = numbered(folder.path.parent, folder.path.name)
        hint = f"the newest of that name is {max(kin)[1]}" if kin else "`snellen runs` lists yours"
        raise DataError(f"no run at {path}: there is no such folder; {hint}")
    if folder.path.is_file():
        home = next((p for p in folder.path.absolute().parents if (p / MARK).is_file()), None)
        hint = f"it belongs to the run {home}" if home else f"a run is a folder with {MARK}"
        raise DataError(f"{path} is a file and no run; {hint}")
    inside = [p.parent.name for p in sorted(folder.path.glob(f"*/{MARK}"))]
    hint = f"it holds runs: {', '.join(inside[:5])}" if inside else f"it has no {MARK}"
    raise DataError(f"{path} is not a run; {hint}")


def numbered(project: Path, name: str) -> list[tuple[int, Path]]:
    """(number, folder) of each run of a name."""
    tails = ((p.name[len(name) + 1 :], p) for p in project.glob(f"{glob_safe(name)}-*"))
    return [(int(tail), p) for tail, p in tails if tail.isdecimal()]


def glob_safe(name: str) -> str:
    """A name with its glob signs quoted.

    >>> glob_safe("a[1]*")
    'a[[]1[]][*]'
    """
    return "".join(f"[{c}]" if c in "[]*?" else c for c in name)
