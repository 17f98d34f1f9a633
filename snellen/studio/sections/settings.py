"""Every setting with who set it, what speed=auto chose and why, and the machine: as the report."""

from ...report.facts import ReportFacts
from ...report.sections import settings
from ..recorded import Recorded
from ..section import Section

FACTS = ("task", "format", "samples", "network")  # beside the settings in config.yaml


def build(run: Recorded) -> str:
    """The report's own section, from config.yaml and env.json."""
    if not run.settings:
        return '<p class="failed">config.yaml is missing or damaged: no setting is known.</p>'
    choices = [(str(one.get("setting")), one.get("value"), str(one.get("reason", "")))
               for one in run.part("choices", list) if isinstance(one, dict)]  # fmt: skip
    known = {k: run.settings[k] for k in FACTS if run.settings.get(k)}
    facts = ReportFacts(
        recipe=run.part("recipe", dict),
        set_by=run.part("set_by", dict),
        choices=choices,
        environment={**known, **run.environment},
    )
    piece = settings.build(facts)
    return piece.html if piece else ""


SECTIONS = {"settings": Section("Settings and machine", 60, build)}
