"""What the doctor found, roots first, each with its samples' pictures and its symptoms folded."""

from ...core.words import printable
from ...doctor.finding import Finding
from ...doctor.told import facts_of
from ...report.section import text
from ..answer import quoted, url
from ..recorded import Recorded
from ..section import Section

MOST = 12  # pictures of a finding


def build(run: Recorded) -> str:
    """A card a finding, or a sentence that says why there is none."""
    if run.findings is None:
        if run.folder.findings.exists():
            return '<p class="failed">findings.json is damaged, or not yet whole.</p>'
        return "<p>Nothing yet: the doctor's findings are written when a training ends.</p>"
    return "".join(_card(run, one) for one in run.findings) or "<p>The doctor found nothing.</p>"


def _card(run: Recorded, finding: Finding) -> str:
    symptoms = "".join(f"<h4>{text(one.id)}</h4>{_facts(one)}" for one in finding.symptoms)
    if symptoms:
        count = len(finding.symptoms)
        words = f"{count} symptom{'s' * (count != 1)} of it"
        symptoms = f"<details><summary>{words}</summary>{symptoms}</details>"
    link = f'<a href="/checks?{quoted(q=finding.id)}">{text(finding.id)}</a>'
    head = f"{text(finding.level)} · {link} · sure to {finding.confidence:.0%}"
    return (
        f'<article class="finding {text(finding.level)}"><h3>{head}</h3>{_facts(finding)}'
        f"{_pictures(run, finding)}{symptoms}</article>"
    )


def _facts(finding: Finding) -> str:
    rows = [f"<dt>{text(k)}</dt><dd>{text(printable(v))}</dd>" for k, v in facts_of(finding)]
    return f"<dl>{''.join(rows)}</dl>"


def _pictures(run: Recorded, finding: Finding) -> str:
    cards = [
        f'<li><img src="{url("run", run.key, "picture")}?{quoted(file=path)}" loading="lazy"'
        f' alt="{text(path)}">{text(index)}</li>'
        for index, path in zip(finding.samples[:MOST], finding.paths, strict=False)
        if run.picture(path)
    ]
    if not cards and finding.samples and run.folder.report.exists():
        link = f'<a href="{url("run", run.key, "report")}#findings">The report</a>'
        return f'<p class="soft">{link} has the pictures of its samples, where they are such.</p>'
    return f'<ul class="cards">{"".join(cards)}</ul>' if cards else ""


SECTIONS = {"findings": Section("The doctor's findings", 10, build)}
