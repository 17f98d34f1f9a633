"""The studio shows what the files of a run say, whatever their state, and nothing of anything else.

The pages are asked directly here; tests/test_studio_server.py asks them through a socket.
"""

import csv
import json
import math
import os
import re
import shutil
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import snellen as sn
from snellen.core import registry
from snellen.core.follow import follow
from snellen.core.runs import run_folders, summary
from snellen.doctor import report
from snellen.doctor.finding import Finding
from snellen.studio.answer import Answer, Asked
from snellen.studio.app import answer
from snellen.studio.curves import MOST, panels, thin
from snellen.studio.server import NEEDED
from snellen.studio.shelf import Shelf

PAGES = registry.collect("snellen.studio.pages", "PAGES")
absent = [name for name in NEEDED if not find_spec(name)]
pytestmark = pytest.mark.skipif(bool(absent), reason=f"{absent} not installed: snellen[studio]")
EVIL = '<script>alert("1")</script>'


@pytest.fixture
def runs(run_with_pictures, tmp_path) -> Path:
    """A copy of it that a test may damage."""
    return Path(shutil.copytree(run_with_pictures, tmp_path / "runs"))


def ask(folder: Path, path: str, words: dict[str, list[str]] | None = None, **names) -> Answer:
    return answer(PAGES[path], Shelf(folder), Asked(names, words or {}))


def html(folder: Path, path: str, words=None, **names) -> str:
    got = ask(folder, path, words, **names)
    assert got.status == 200, got.body.decode()
    return got.body.decode()


class Tags(HTMLParser):
    """All tags of a page with their attributes, and its words."""

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.words = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += data


def test_the_list_tells_what_the_run_knows_of_itself(runs):
    page = html(runs, "/")
    run = sn.load(runs / "pets-1")
    for words in ("pets-1", "classify", "lenet5_bn", "finished", "2/2"):
        assert words in page
    assert f"accuracy {run.metrics['accuracy']:.4f}" in page


def test_a_run_shows_every_part_of_its_folder(runs):
    page = html(runs, "/run/{run}", run="pets-1")
    for part in ("findings", "curves", "plots", "predictions", "settings", "log"):
        assert f'<section id="{part}">' in page
    assert "plots/confusion.png" in page
    assert "speed=auto" in page
    assert "torch" in page
    assert page.count("/picture?file=") == 20  # of 10 held-out pictures, twice
    assert "failed" not in page


def test_pictures_of_the_data_are_shown_also_where_they_were_typed_as_a_relative_path(
    runs, monkeypatch
):
    monkeypatch.chdir(runs.parent)
    config = runs / "pets-1" / "config.yaml"
    place = re.search(r"data: (/\S+)", config.read_text())[1]
    config.write_text(config.read_text().replace(f"  data: {place}", "  data: pets", 1)
                      + f"places:\n  data: {place}\n")  # fmt: skip
    got = ask(runs, "/run/{run}/picture", {"file": ["pets/c/0.png"]}, run="pets-1")
    assert (got.status, got.kind) == (200, "image/png")
    assert got.body[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    "file", ["/etc/passwd", "../runs/pets-1/plots/confusion.png", "c", "absent.png", "", "\0",
             "c/notes.png", "link.png"]
)  # fmt: skip
def test_only_pictures_of_the_runs_own_data_go_out(file, runs, run_with_pictures):
    data = run_with_pictures.parent / "pets"
    (data / "c" / "notes.png").write_text("no picture")
    if not (data / "link.png").is_symlink():
        (data / "link.png").symlink_to(run_with_pictures / "pets-1" / "plots" / "confusion.png")
    got = ask(runs, "/run/{run}/picture", {"file": [file]}, run="pets-1")
    assert got.status == 404


def test_curves_are_the_numbers_of_metrics_csv(runs):
    told = json.loads(ask(runs, "/run/{run}/curves", run="pets-1").body)
    with open(runs / "pets-1" / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 8
    for row in rows:
        steps, values = told["panels"][row["name"]][row["split"]]
        assert values[steps.index(int(row["step"]))] == pytest.approx(float(row["value"]), rel=1e-5)
    assert len(told["panels"]["loss"]["each step"][0]) > 5
    assert not told["running"]


def event(step: int, value: object, kind: str = "metric") -> str:
    return json.dumps({"kind": kind, "step": step, "split": "val", "name": "f1", "value": value})


def test_a_log_is_read_on_from_where_the_last_look_ended(runs):
    log = runs / "pets-1" / "events.jsonl"

    def look(at: str) -> dict:
        return json.loads(ask(runs, "/run/{run}/curves", {"at": [at]}, run="pets-1").body)

    first = look("")
    assert first["anew"]
    quiet = look(first["place"])
    assert (quiet["panels"], quiet["anew"], quiet["place"]) == ({}, False, first["place"])
    with open(log, "a") as file:
        file.write(event(900, 0.5) + "\n" + event(901, 0.25)[:20])
    half = look(first["place"])
    assert half["panels"] == {"f1": {"val": [[900], [0.5]]}}
    with open(log, "a") as file:
        file.write(event(901, 0.25)[20:] + "\n")
    assert look(half["place"])["panels"] == {"f1": {"val": [[901], [0.25]]}}
    beside = log.with_name("beside")
    beside.write_text(event(1, 0.75) + "\n" + log.read_text())  # a resume writes the log again
    os.replace(beside, log)
    again = look(half["place"])
    assert again["anew"]
    assert again["panels"]["f1"]["val"][1][0] == 0.75


@pytest.mark.parametrize("place", ["x", "-", "1-2-3", "99-1", "-5", "1-\u00b2", "0-99999999999"])
def test_a_place_that_is_none_begins_anew(place, runs):
    assert follow(runs / "pets-1" / "events.jsonl", place).anew


def test_a_log_larger_than_one_look_is_told_in_several(tmp_path):
    log = tmp_path / "events.jsonl"
    log.write_text("".join(event(i, i / 7) + "\n" for i in range(100)))
    seen, place, more = [], "", True
    while more:
        news = follow(log, place, ("metric",), most=700)
        seen, place, more = [*seen, *news.events], news.place, news.more
    assert [one["step"] for one in seen] == list(range(100))


def test_a_long_line_is_thinned_and_keeps_its_peaks_and_gaps():
    rows = np.random.RandomState(1).rand(100_000)
    rows[777], rows[60_001] = 50, -50
    steps, values = thin(range(len(rows)), rows.tolist())
    assert len(steps) <= MOST + 1
    assert (max(values), min(values), steps[-1]) == (50, -50, 99_999)
    assert all(rows[step] == value for step, value in zip(steps, values, strict=True))
    rows[5] = math.nan
    steps, values = thin(range(len(rows)), rows.tolist())
    assert len(steps) <= MOST + 1
    assert any(math.isnan(value) for value in values)
    assert 50 in values
    assert thin([1, 2], [math.nan, math.inf]) == ([1, 2], [math.nan, math.inf])


def test_events_that_are_not_as_they_should_be_are_passed_over():
    odd = [{"kind": "metric"}, {"kind": "metric", "step": "x", "value": 1}, {"kind": "step"},
           {"kind": "step", "step": 1, "values": [1]}, json.loads(event(1, "high"))]  # fmt: skip
    assert panels(odd) == {}
    assert panels([json.loads(event(1, 10**400))] * 4000)["f1"]["val"][1][0] == 10**400


# fmt: off
FILES = ["config.yaml", "events.jsonl", "metrics.csv", "findings.json", "predictions.csv",
         "env.json", "log.txt", "report.html", "weights/last.json", "plots/confusion.png"]
# fmt: on
DAMAGES = {
    "absent": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "noise": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "a list": lambda path: path.write_text("[1, [2]]"),
    "other words": lambda path: path.write_text(
        '{"recipe": 3, "choices": 1, "findings": [1], "meta": [], "time": "x", "kind": "end"}\n'
    ),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "deep": lambda path: path.write_text("[" * 200_000),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_gives_a_page(damage, runs):
    """Every file in turn, put back afterwards; the other run of the folder is shown beside it."""
    shutil.copytree(runs / "pets-1", runs / "pets-2")
    for file in FILES:
        whole = runs / "pets-1" / file
        DAMAGES[damage](whole)
        assert "pets-2" in html(runs, "/"), file
        assert 'id="log"' in html(runs, "/run/{run}", run="pets-1") or file == "log.txt", file
        html(runs, "/compare", {"run": ["pets-1", "pets-2"]})
        got = ask(runs, "/run/{run}/curves", run="pets-1")
        assert got.status == 200, (file, got.body)
        assert "panels" in json.loads(got.body), file
        if whole.is_dir():
            whole.rmdir()
        shutil.copy2(runs / "pets-2" / file, whole)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("findings.json", '{"version": 1, "fin', "findings.json is damaged"),
        ("findings.json", '{"findings": [{"id": 3}]}', "cannot be read as they are"),
        ("config.yaml", "recipe: [", "config.yaml is missing or damaged"),
    ],
)
def test_what_is_damaged_is_said(file, text, said, runs):
    (runs / "pets-1" / file).write_text(text)
    assert said in html(runs, "/run/{run}", run="pets-1")


def test_a_run_at_work_and_one_that_was_killed(runs):
    log = runs / "pets-1" / "events.jsonl"
    whole = log.read_text().splitlines()
    log.write_text("\n".join(whole[:-1]) + '\n{"kind": "metr')
    (runs / "pets-1" / "findings.json").unlink()
    assert "killed?" not in html(runs, "/")
    assert 'class="running">running' in html(runs, "/")
    assert "when a training ends" in html(runs, "/run/{run}", run="pets-1")
    assert json.loads(ask(runs, "/run/{run}/curves", run="pets-1").body)["running"]
    os.utime(log, (1e9, 1e9))
    assert "killed?" in html(runs, "/")


def test_a_run_at_work_tells_how_long_it_has_been(runs):
    (folder,) = run_folders(runs)
    whole = folder.events.read_text().splitlines()
    ended = summary(folder)["seconds"]
    assert ended == json.loads(whole[-1])["seconds"]
    epoch = next(i for i, line in enumerate(whole) if '"kind": "epoch"' in line)
    folder.events.write_text("\n".join(whole[: epoch + 1]) + "\n")
    began = json.loads(whole[0])["time"]
    os.utime(folder.events, (began + 90, began + 90))
    assert summary(folder)["seconds"] == pytest.approx(90, abs=0.01)


def test_an_empty_folder_says_what_to_do(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        assert "snellen train digits" in html(folder, "/")


def test_a_run_alone_is_a_folder_of_one(runs):
    assert "/run/pets-1" in html(runs / "pets-1", "/")
    assert '<section id="curves">' in html(runs / "pets-1", "/run/{run}", run="pets-1")


def test_findings_come_roots_first_with_pictures_and_folded_symptoms(runs, run_with_pictures):
    path = str(run_with_pictures.parent / "pets" / "c" / "0.png")
    root = Finding("lr-too-high", "error", "the loss rose", do="divide lr", samples=(0, 7),
                   paths=(path, "gone.png"),
                   symptoms=(Finding("grad-exploding", "error", "4e9"),))  # fmt: skip
    findings = (root, Finding("data-outlier", "advice", "one is far out"))
    report.write_json(runs / "pets-1" / "findings.json", findings)
    page = html(runs, "/run/{run}", run="pets-1")
    places = [page.index(word) for word in ("lr-too-high", "<details>", "4e9", "data-outlier")]
    assert places == sorted(places)
    assert page.count('alt="' + path) == 1
    assert "gone.png" in page
    assert "divide lr" in page
    assert "1 error, 1 advice" in html(runs, "/")


def test_what_stands_in_files_is_only_ever_shown(runs):
    evil = runs / EVIL.replace("/", "\u2215")
    os.rename(runs / "pets-1", evil)
    finding = Finding("x" + EVIL, "error", EVIL, why=EVIL, where={"module": EVIL}, paths=(EVIL,),
                      samples=(1,), symptoms=(Finding(EVIL, "advice", EVIL),))  # fmt: skip
    report.write_json(evil / "findings.json", [finding])
    config = evil / "config.yaml"
    config.write_text(config.read_text() + f"task: '{EVIL}'\nnetwork: '{EVIL}'\n")
    (evil / "log.txt").write_text(EVIL)
    (evil / "env.json").write_text(json.dumps({EVIL: EVIL}))
    (evil / "predictions.csv").write_text(f"file,label,score\n{EVIL},{EVIL},0.5\n")
    (evil / "metrics.csv").write_text(f"1,1,{EVIL},x,1\n")
    shutil.copytree(evil, runs / "b")
    shutil.copyfile(evil / "plots" / "curves.png", runs / "b" / "plots" / "<b>.png")
    name = evil.name
    pages = [html(runs, "/"), html(runs, "/run/{run}", run=name), html(runs, "/run/{run}", run="b"),
             html(runs, "/compare", {"run": [name, "b"]}),
             html(runs, "/checks", {"q": [EVIL]}),
             ask(runs, "/run/{run}", run=EVIL).body.decode()]  # fmt: skip
    for page in pages:
        seen = Tags(page)
        assert "alert(" in seen.words or "<b>" in seen.words
        for tag, attrs in seen.tags:
            assert tag != "script" or attrs["src"].startswith("/static/"), attrs
            assert tag != "b" or "finding" in page
            assert not [key for key in attrs if key.startswith("on") or key == "style"], attrs
            for link in (attrs.get("src"), attrs.get("href"), attrs.get("action")):
                assert not link or link.startswith(("/", "#", "data:,")), link
                assert not link or not link.startswith("//")


def test_names_that_are_no_utf8_are_shown_and_found(runs):
    os.rename(os.fsencode(runs / "pets-1"), os.fsencode(runs) + b"/caf\xe9")
    assert "/run/caf%EF%BF%BD" in html(runs, "/")
    assert '<section id="curves">' in html(runs, "/run/{run}", run="caf\ufffd")


@pytest.mark.parametrize(
    "stray", ["", "events.jsonl", "config.yaml", "log.txt", "weights", "weights/last.json", "plots"]
)
def test_a_run_of_which_something_leads_out_is_not_shown(stray, runs, tmp_path):
    moved = tmp_path / "elsewhere"
    os.rename(runs / "pets-1" / stray, moved)
    (runs / "pets-1" / stray).symlink_to(moved)
    page = html(runs, "/")
    assert "Not shown: pets-1" in page
    assert "/run/pets-1" not in page
    refused = ask(runs, "/run/{run}", run="pets-1")
    assert refused.status == 404
    assert b"leads out of" in refused.body
    assert ask(runs, "/run/{run}/report", run="pets-1").status == 404


def test_a_pipe_in_a_run_blocks_nobody(runs):
    (runs / "pets-1" / "log.txt").unlink()
    os.mkfifo(runs / "pets-1" / "log.txt")
    assert "Not shown: pets-1" in html(runs, "/")


def test_plots_are_those_of_the_folder_alone(runs):
    plots = runs / "pets-1" / "plots"
    assert ask(runs, "/run/{run}/plots/{name}", run="pets-1", name="confusion.png").status == 200
    (plots / "out.png").symlink_to("/etc/hostname")
    for name in ("out.png", "../config.yaml", "absent.png", "/etc/hostname"):
        got = ask(runs, "/run/{run}/plots/{name}", run="pets-1", name=name)
        assert got.status == 404, name
    assert "out.png" not in html(runs, "/run/{run}", run="pets-1")


def test_the_report_gets_no_script(runs):
    got = ask(runs, "/run/{run}/report", run="pets-1")
    assert got.body == (runs / "pets-1" / "report.html").read_bytes()
    assert "sandbox" in got.policy
    assert "script-src" not in got.policy
    assert "default-src 'none'" in got.policy


def test_compare_tells_settings_and_scores_apart(runs):
    shutil.copytree(runs / "pets-1", runs / "pets-2")
    config = runs / "pets-2" / "config.yaml"
    config.write_text(re.sub(r"(?m)^  seed: 0$", "  seed: 41", config.read_text()))
    page = html(runs, "/compare", {"run": ["pets-1", "pets-2"]})
    settings = page[page.index("Settings in which") :]
    assert "<td>seed</td><td>0</td><td>41</td>" in settings
    assert settings.count("<tr>") == 2  # the head and the seed
    assert "<td>accuracy</td>" in page
    named = json.loads(next(a["data-runs"] for _, a in Tags(page).tags if "data-runs" in a))
    assert [name for name, _ in named] == ["pets-1", "pets-2"]


@pytest.mark.parametrize(
    ("names", "status", "said"),
    [
        (["pets-1"], 400, "tick 2"),
        ([], 400, "tick 2"),
        (["pets-1", "pets-1"], 400, "tick 2"),
        (["pets-1", "pets-l"], 404, "did you mean pets-1?"),
        ([str(i) for i in range(40)], 400, "40 runs"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_said(names, status, said, runs):
    got = ask(runs, "/compare", {"run": names})
    assert got.status == status
    assert said in Tags(got.body.decode()).words


def test_runs_sort_by_any_column(runs):
    for number, score in ((2, 0.5), (3, 0.125)):
        folder = shutil.copytree(runs / "pets-1", runs / f"pets-{number}")
        mark = json.loads((folder / "weights" / "last.json").read_text())
        mark["meta"]["metrics"] = {"accuracy": score}
        (folder / "weights" / "last.json").write_text(json.dumps(mark))

    def order(**words: str) -> list[str]:
        page = html(runs, "/", {name: [word] for name, word in words.items()})
        return re.findall(r'href="/run/pets-(\d)"', page)

    assert order(by="run", down="0") == ["1", "2", "3"]
    assert order(by="run", down="1") == ["3", "2", "1"]
    by_score = order(by="best score", down="0")
    assert by_score.index("3") < by_score.index("2")
    for number, level, count in ((1, "warning", 2), (2, "warning", 10), (3, "error", 1)):
        findings = [Finding(f"f{i}", level, "") for i in range(count)]
        report.write_json(runs / f"pets-{number}" / "findings.json", findings)
    assert order(by="findings", down="1") == ["3", "2", "1"]
    for column in ("nonsense", "epoch", "took", "status", "data"):
        assert len(order(by=column, down="x")) == 3


def test_checks_are_found_by_what_one_sees(runs):
    everything = html(runs, "/checks")
    assert everything.count("<details") > 50
    assert "lr-too-high" in html(runs, "/checks", {"q": ["leaps MINIMUM"]})
    one = html(runs, "/checks", {"q": ["lr-too-high"]})
    assert one.count("<details") == one.count(" open>") == 1
    assert "Near it" in html(runs, "/checks", {"q": ["lr-to-hihg"]})


def test_the_list_reads_no_yaml_and_knows_how_far_a_resume_goes(runs, monkeypatch):
    """200 files of YAML would take ten seconds; the log's first event has nearly the same."""
    (folder,) = run_folders(runs)
    monkeypatch.setattr("snellen.core.runs.read_settings", lambda folder: pytest.fail("read"))
    assert summary(folder)["epochs"] == "2/2"
    folder.config.write_text(folder.config.read_text().replace("  epochs: 2\n", "  epochs: 9\n"))
    assert (summary(folder)["epochs"], summary(folder)["model"]) == ("2/9", "lenet5_bn")
