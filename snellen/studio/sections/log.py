"""The end of log.txt."""

from ...core.words import printable
from ...report.section import text
from ..recorded import Recorded
from ..section import Section

LINES = 60


def build(run: Recorded) -> str:
    """The last lines, as they were printed."""
    lines = run.tail(run.folder.log)
    if not lines:
        return ""
    words = "\n".join(printable(line) for line in lines[-LINES:])
    return f'<pre tabindex="0" aria-label="log">{text(words)}</pre>'


SECTIONS = {"log": Section("The end of the log", 70, build)}
