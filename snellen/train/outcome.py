"""How a training ended, read from its run folder."""

from ..core.events import read_events
from ..core.runfolder import RunFolder
from .checkpoint import load_weights


def status_of(folder: RunFolder) -> str:
    """finished, stopped early, diverged, interrupted, failed; 'running' where it was killed or
    still runs.

    >>> status_of(RunFolder("absent"))
    'running'
    """
    events = list(read_events(folder.events)) if folder.events.exists() else []
    return next((e["status"] for e in reversed(events) if e["kind"] == "end"), "running")


def metrics_of(folder: RunFolder) -> dict[str, float]:
    """The scores of the best epoch; empty where no epoch was finished.

    >>> metrics_of(RunFolder("absent"))
    {}
    """
    if not folder.best.exists():
        return {}
    return dict(load_weights(folder.best)[1].get("metrics", {}))
