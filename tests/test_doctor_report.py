"""Reports: text, HTML, JSON, SARIF and the checks' own words."""

import io
import json
import math
import re
from html.parser import HTMLParser

import pytest

from snellen.core.errors import UnknownName
from snellen.doctor.check import all_checks
from snellen.doctor.explain import explain
from snellen.doctor.finding import Finding
from snellen.doctor.report import document, html, show, text, write_json
from snellen.doctor.sarif import write_sarif

SYMPTOM = Finding("numerics-nan-loss", "error", "the loss became NaN at step 7", since=7)
ROOT = Finding(
    "data-nonfinite",
    "error",
    "12 train items hold NaN & <Inf>",
    why="one value spoils all",
    do="repair these items",
    where={"module": "fc1", "file": "net.py", "line": 12, "operation": "aten::linear"},
    samples=tuple(range(100, 112)),
    samples_of="train",
    paths=tuple(f"pets/{i}.png" for i in range(12)),
    since=7,
    settings={"lr": 0.01},
    confidence=0.99,
    evidence={"last": math.nan},
    symptoms=(SYMPTOM,),
)
ADVICE = Finding("data-not-centred", "advice", "mean 3.1", confidence=0.6)


def test_text_tells_all_that_a_finding_knows_symptoms_in_one_line():
    said = text([ROOT, ADVICE], notes=["2 steps were not seen"])
    assert said.splitlines()[0] == "1. error data-nonfinite (sure to 99 %)"
    for words in ("fc1 in aten::linear (net.py:12)", "since    step 7", "repair these items",
                  "lr=0.01", "100 (pets/0.png)", "and 2 more", "note: 2 steps"):  # fmt: skip
        assert words in said
    assert "111" not in said
    assert said.count("numerics-nan-loss") == 1
    assert said.index("data-nonfinite") < said.index("2. advice data-not-centred")
    assert max(map(len, said.splitlines())) <= 100


def test_nothing_found_says_in_how_many_steps():
    assert text([], steps=120) == "the doctor found nothing wrong in 120 steps"


def test_show_without_a_terminal_prints_the_same_plain_lines():
    file = io.StringIO()
    show([ROOT], file=file)
    assert file.getvalue().rstrip("\n") == text([ROOT])


class Balanced(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.data = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.data.append(data)


def test_html_is_balanced_escaped_and_fetches_nothing():
    evil = Finding("a-b", "error", "<script>alert('x')</script>", where={"module": '"><img src=x>'})
    page = html([ROOT, evil])
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert "<script" not in page
    assert "<img" not in page
    assert not re.search(r"(src|href)\s*=\s*[\"']?http", page)
    assert "12 train items hold NaN & <Inf>" in parser.data


def test_json_round_trips_and_is_strict(tmp_path):
    path = tmp_path / "findings.json"
    write_json(path, [ROOT])

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    read = json.loads(path.read_text(), parse_constant=refuse)
    assert read["version"] == 1
    assert read == json.loads(json.dumps(document([ROOT])))
    again = Finding.from_dict(read["findings"][0])
    assert (again.id, again.samples, again.symptoms) == (ROOT.id, ROOT.samples, ROOT.symptoms)


def test_sarif_has_what_the_standard_requires(tmp_path):
    path = tmp_path / "findings.sarif"
    stranger = Finding("my-own-check", "warning", "1", where={"file": "/home/me/a b.py"})
    write_sarif(path, [ROOT, ADVICE, stranger])
    log = json.loads(path.read_text())
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in run["results"]:
        assert result["message"]["text"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    assert [result["level"] for result in run["results"]] == ["error", "note", "warning"]
    spot = run["results"][0]["locations"][0]["physicalLocation"]
    assert spot == {"artifactLocation": {"uri": "net.py"}, "region": {"startLine": 12}}
    uri = run["results"][2]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.endswith("a%20b.py")
    assert "locations" not in run["results"][1]
    assert run["results"][0]["properties"]["samples"] == list(range(100, 112))


def test_every_check_explains_itself():
    for id, check in all_checks().items():
        said = explain(id)
        for words in (id, check.level, check.bad, check.good):
            assert words in said


def test_an_unknown_id_gets_the_nearest():
    with pytest.raises(UnknownName, match="did you mean lr-too-high"):
        explain("lr-to-high")
