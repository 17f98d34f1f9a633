"""Findings as SARIF 2.1.0 (OASIS), so that code review shows them at the line they come from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..core import files
from ..core.events import spelled
from ..version import __version__
from .check import all_checks
from .finding import Finding

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
IGNORED = {"kind": "external", "justification": "the user asked to ignore this check"}
LEVELS = {"error": "error", "warning": "warning", "advice": "note"}


def sarif(findings: Sequence[Finding], ignored: Sequence[Finding] = ()) -> dict[str, Any]:
    """Findings -> a SARIF log: the rules are the checks' own texts; ignored ones are suppressed.

    >>> sarif([])["runs"][0]["results"]
    []
    """
    ids = sorted({finding.id for finding in (*findings, *ignored)} | set(all_checks()))
    driver = {"name": "snellen", "version": __version__, "rules": [_rule(id) for id in ids]}
    results = [_result(finding, ids.index(finding.id)) for finding in findings]
    results += [_result(finding, ids.index(finding.id)) | {"suppressions": [IGNORED]}
                for finding in ignored if finding.message]  # fmt: skip
    return {"$schema": SCHEMA, "version": "2.1.0",
            "runs": [{"tool": {"driver": driver}, "results": results}]}  # fmt: skip


def write_sarif(path: Path, findings: Sequence[Finding], ignored: Sequence[Finding] = ()) -> None:
    """Write the SARIF log, all of it or nothing."""
    files.write_json(Path(path), sarif(findings, ignored))


def _rule(id: str) -> dict[str, Any]:
    check = all_checks().get(id)
    if check is None:  # a finding of another version, or of a package that is gone
        return {"id": id}
    title = (type(check).__doc__ or check.signal).splitlines()[0]
    return {
        "id": id,
        "name": type(check).__name__,
        "shortDescription": {"text": title},
        "fullDescription": {"text": check.why},
        "help": {"text": f"{check.do}\nbad:  {check.bad}\ngood: {check.good}"},
        "defaultConfiguration": {"level": LEVELS[check.level]},
        "properties": {"signal": check.signal, "source": check.source},
    }


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    words = ". ".join(w for w in (finding.message, finding.why, f"Do: {finding.do}") if w)
    more = ("samples", "samples_of", "paths", "since", "settings", "confidence", "evidence")
    facts = finding.as_dict()
    result: dict[str, Any] = {
        "ruleId": finding.id,
        "ruleIndex": rule,
        "level": LEVELS.get(finding.level, "none"),
        "message": {"text": words},
        "properties": spelled({key: facts[key] for key in more})
        | {"symptoms": [symptom.id for symptom in finding.symptoms]},
    }
    location = _location(finding.where)
    return {**result, "locations": [location]} if location else result


def _location(where: dict[str, Any]) -> dict[str, Any]:
    """File and line, and the module or parameter as a logical location, where they are known."""
    location: dict[str, Any] = {}
    if where.get("file"):
        path = Path(str(where["file"]))
        here = Path.cwd()
        path = path.relative_to(here) if path.is_relative_to(here) else path
        uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
        location["physicalLocation"] = {
            "artifactLocation": {"uri": uri},
            "region": {"startLine": max(1, int(where.get("line") or 1))},
        }
    if name := where.get("parameter") or where.get("module"):
        location["logicalLocations"] = [{"fullyQualifiedName": str(name), "kind": "member"}]
    return location
