"""What the doctor found, in its own words, with the pictures of the samples that it names."""

from ...doctor import report
from ...doctor.finding import Finding
from ..facts import ReportFacts
from ..picture import img
from ..section import Piece, Section, text


def build(facts: ReportFacts) -> Piece | None:
    """The findings; a clean bill where the doctor watched and found nothing."""
    if not facts.findings and facts.chart is None:
        return None
    steps = facts.chart.step if facts.chart is not None else None

    def pictures(finding: Finding) -> str:
        images = facts.finding_images.get(finding.id) or {}
        cards = [f"<li>{img(image, f'sample {i}', mark=True)}{text(finding.samples_of)} {i}</li>"
                 for i, image in images.items()]  # fmt: skip
        return f'<ul class="cards">{"".join(cards)}</ul>' if cards else ""

    said = report.html(facts.findings, steps=steps, ignored=facts.ignored, pictures=pictures)
    return Piece(said)


SECTIONS = {"findings": Section("Findings", 20, build)}
