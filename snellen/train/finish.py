"""After the last step: the best weights, the findings, the predictions and the report.

Each is written on its own; what fails is said and does not lose the others.
"""

import csv
import io
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import DataError
from ..core.exports import record_text
from ..core.files import write_text
from ..core.runfolder import RunFolder
from ..data.source import SampleSet
from ..doctor import report as doctor_report
from ..doctor.finding import Finding
from ..doctor.pictures import images_of
from ..report import write as write_report
from ..report.facts import Mistake, ReportFacts
from ..tasks.objects import csv_table
from . import checkpoint
from .evaluate import Evaluation
from .logbook import environment
from .session import Session

MISTAKES = 24


def finish(session: Session, findings: tuple[Finding, ...], note: Callable[[str], None]) -> None:
    """Everything that the run folder owes once the loop has ended."""
    folder = session.folder
    write_findings(session, findings)
    result = None
    if folder.best.exists():
        try:
            weights, _ = checkpoint.load_weights(folder.best)
            checkpoint.fit_into(session.loop.net, weights)
            result = session.evaluate(keep=True)
            write_predictions(session, result)
        except Exception as error:  # the training is done; what fails here must not cost it
            note(f"predictions.csv was not written: {type(error).__name__}: {error}")
    try:
        write_report(folder, report_facts(session, findings, result))
    except Exception as error:  # nor a drawing
        note(f"report.html was not written: {type(error).__name__}: {error}")


def seal(folder: RunFolder) -> None:
    """Record the SHA-256 of all that a training wrote, but for the weights, which have seals."""
    parts = [path for place in (folder.path, folder.plots) for path in sorted(place.glob("*"))]
    files = {path.relative_to(folder.path).as_posix(): path for path in parts
             if path.is_file() and path != folder.seals}  # fmt: skip
    with suppress(DataError):  # on a full disk it is judged as a run that was killed
        write_text(folder.seals, record_text(files).decode())


def write_findings(session: Session, findings: tuple[Finding, ...]) -> None:
    """findings.json, findings.sarif and the event log's."""
    doctor_report.write_json(session.folder.findings, findings)
    doctor_report.write_sarif(session.folder.sarif, findings)
    for finding in findings:
        session.book.events.write("finding", finding.since, finding=finding.as_dict())


def write_predictions(session: Session, result: Evaluation) -> None:
    """predictions.csv: file, label, score (and a box, where the task finds boxes; a value, where it
    tells numbers) of each object in the validation part.
    """
    part = _shown_part(session)
    files = [part.path(position) or str(position) for position in result.index]
    rows = csv_table(files, result.predictions, session.job.task.names())
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(session.folder.predictions, text.getvalue())


def report_facts(
    session: Session, findings: tuple[Finding, ...], result: Evaluation | None
) -> ReportFacts:
    """What the report shows, gathered in one place."""
    job, plan = session.job, session.job.plan
    classes = tuple(job.task.spec.get("classes", ()))
    train = job.source.train
    labels = train.labels()
    counts = class_counts(labels, classes)
    return ReportFacts(
        recipe=plan.recipe.as_dict(),
        set_by=dict(plan.set_by),
        classes=classes,
        history=session.best.history,
        best=session.best.metrics,
        confusion_KK=result.metric.counts_KK if result else None,
        mistakes=_mistakes(session, result) if result else [],
        filters_OIHW=first_filters(session.loop.net),
        chart=session.doc.chart if session.doc else None,
        findings=findings,
        finding_images=images_of(session.doc, findings) if session.doc else {},
        choices=[(c.setting, c.value, c.reason) for c in plan.choices],
        seconds=session.seconds(),
        environment=environment(plan.recipe.threads),
        class_counts=counts,
        examples=_examples(train, labels, classes),
        data_notes=job.data_notes,
    )


def class_counts(labels: Tensor | None, classes: tuple[str, ...]) -> dict[str, int]:
    """labels_N -> samples of each class by name; empty where labels are not known."""
    if labels is None:
        return {}
    counts = torch.bincount(labels[labels >= 0], minlength=len(classes))
    return dict(zip(classes, counts.tolist(), strict=True))


def _mistakes(session: Session, result: Evaluation) -> list[Mistake]:
    """The validation samples that are wrong with the most conviction."""
    part, classes = _shown_part(session), session.job.task.spec.get("classes", [])
    wrong = []
    for position, said, true in zip(result.index, result.predictions, result.targets, strict=True):
        if said.label is None or true.label is None or said.label == true.label:
            continue
        p = 1.0 if said.scores_K is None else float(said.scores_K[true.label])
        wrong.append((-torch.tensor(p).clamp(min=1e-12).log().item(), position, said, true))
    wrong.sort(key=lambda row: -row[0])
    return [
        Mistake(part[i].image_CHW, classes[true.label], classes[said.label], said.score or 0.0,
                part.path(i), loss)
        for loss, i, said, true in wrong[:MISTAKES]
    ]  # fmt: skip


def _examples(train: SampleSet, labels: Tensor | None, classes: tuple[str, ...]) -> dict[str, Any]:
    """One image of each class (of the first thirty)."""
    if labels is None:
        return {}
    rows = {k: (labels == k).nonzero() for k in range(min(len(classes), 30))}
    return {classes[k]: train[int(r[0])].image_CHW for k, r in rows.items() if len(r)}


def _shown_part(session: Session) -> SampleSet:
    return session.job.source.val or session.job.source.train


def first_filters(net: nn.Module) -> Tensor | None:
    """The weight of the first convolution (O, I, H, W), or None where there is none."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            return module.weight.detach().cpu().float()
    return None
