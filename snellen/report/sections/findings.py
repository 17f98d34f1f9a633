"""What the doctor found, in its own words."""

from ...doctor import report
from ..facts import ReportFacts
from ..section import Piece, Section


def build(facts: ReportFacts) -> Piece | None:
    """The findings; a clean bill where the doctor watched and found nothing."""
    if not facts.findings and facts.chart is None:
        return None
    steps = facts.chart.step if facts.chart is not None else None
    return Piece(report.html(facts.findings, steps=steps))


SECTIONS = {"findings": Section("Findings", 20, build)}
