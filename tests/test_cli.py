"""The command line: verbs found by file, what they print, errors and exit codes."""

import importlib
import json
import sys
import types
from pathlib import Path

import click
import pytest
from little_data import folders, pets
from running import assert_well_said, run_cli, run_process

import snellen
import snellen.cli
from snellen.cli import _errors
from snellen.core.errors import DataError, Diverged, Interrupted, SnellenError, UsageError
from snellen.core.events import read_events
from snellen.data.source import Problem

VERBS = sorted(p.stem for p in Path(snellen.cli.__path__[0]).glob("[!_]*.py"))


def test_version_and_bare_call():
    assert run_cli("--version").out == f"snellen {snellen.__version__}\n"
    bare = run_cli()
    assert bare.code == 0
    assert "train" in bare.out


def test_names_of_files_and_classes_cannot_write_on_the_terminal(tmp_path, monkeypatch):
    """ESC [2J would wipe the screen, the line break forge a line, U+202E turn the writing round."""
    evil = "a\x1b[2J\x9b2J\nsnellen: all is well\u202e"
    folders(tmp_path / "pets", "ant", evil)
    (tmp_path / "pets" / "ant" / f"{evil}.png").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    for words in (("data", "pets"), ("check", "pets"), ("data", evil), ("train", f"data={evil}"),
                  ("predict", evil, evil), ("verify", evil)):  # fmt: skip
        ended = run_cli(*words)
        said = ended.out + ended.err
        assert not set("\x1b\x9b\u202e") & set(said), words
        assert r"a\x1b[2J\x9b2J" in said, words
        assert words[0] in ("predict", "verify") or "\nsnellen: all" not in said, words
    assert r"\x1b" in str(Problem("x", "seen", file=f"{evil}.png"))
    assert "\n" not in str(Problem("x", evil))


def test_every_verb_is_a_file_and_has_help():
    listed = run_cli("--help").out
    assert {"train", "eval", "predict", "doctor", "models", "verify", "runs", "data"} <= set(VERBS)
    for verb in VERBS:
        assert f"\n  {verb} " in listed
        for flag in ("--help", "-h"):
            ended = run_cli(verb, flag)
            assert ended.code == 0
            assert ended.out.startswith(f"Usage: snellen {verb}")
        command = importlib.import_module(f"snellen.cli.{verb}").command
        first = command.get_short_help_str(60)
        assert first
        assert not first.endswith("...")


def test_the_module_runs_as_the_command_does():
    assert run_process("--version").out == f"snellen {snellen.__version__}\n"


def test_options_of_every_verb_can_be_written_without_dashes(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("")
    seen = fake_script(monkeypatch)
    for words in (["json=F.json"], ["--json", "F.json"], ["--json=F.json"]):
        monkeypatch.chdir(tmp_path)
        run_cli("doctor", *words, "fail_on=warning", "preflight=yes", "a.py")
        assert seen["json"] == str(tmp_path / "F.json")
        assert seen["fail_on"] == "warning"
        assert seen["preflight"] is True
    assert "did you mean fail-on=x" in run_cli("doctor", "failon=x", "a.py").err
    assert "is not yes or no" in run_cli("doctor", "preflight=perhaps", "a.py").err


def fake_script(monkeypatch, code=0):
    seen = {}

    def run_script(script, argv, **options):
        seen.update(options, script=script, argv=argv)
        return code

    module = types.ModuleType("snellen.doctor.script")
    module.run_script = run_script
    monkeypatch.setitem(sys.modules, "snellen.doctor.script", module)
    return seen


def test_what_stands_after_the_script_is_the_scripts(tmp_path, monkeypatch):
    script = tmp_path / "train.py"
    script.write_text("")
    own = ["--help", "--json", "x", "k=v", "--", "-1", "json=y"]
    seen = fake_script(monkeypatch, code=7)
    ended = run_cli("doctor", "--ignore", "lr-too-low", "--ignore=lr-too-high", script, *own)
    assert (ended.code, seen["script"], seen["argv"]) == (7, str(script), own)
    assert seen["ignore"] == ("lr-too-low", "lr-too-high")
    assert seen["fail_on"] == "error"
    assert seen["json"] is None


def test_explain_prints_a_check_and_names_the_nearest():
    assert run_cli("doctor", "--explain", "lr-too-low").out.startswith("lr-too-low")
    for words in (["--explain", "lr-to-low"], ["--ignore", "lr-to-low", "x.py"]):
        ended = run_cli("doctor", *words)
        assert ended.code == 2
        assert "did you mean lr-too-low" in ended.err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("no"), 2, "snellen: no"),
        (DataError("no"), 3, "snellen: no"),
        (Diverged("no"), 4, "snellen: no"),
        (Interrupted("saved"), 130, "snellen: saved"),
        (KeyboardInterrupt(), 130, "snellen: interrupted"),
        (MemoryError(), 2, "a smaller batch="),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 2, "a smaller batch="),
        (OSError(28, "No space left on device", "/x/y"), 3, "the disk is full: /x/y"),
        (PermissionError(13, "Permission denied", "/x/y"), 3, "Permission denied: /x/y"),
        (click.UsageError("No such thing."), 2, "snellen: no such thing"),
        (SystemExit(5), 5, ""),
        (BrokenPipeError(32, "Broken pipe"), 141, ""),
        (DataError("\n".join(map(str, range(30)))), 3, "... and 23 lines more"),
    ],
)
def test_every_ending_has_its_code_and_its_words(error, code, said, capsys, monkeypatch):
    monkeypatch.delenv("SNELLEN_TRACEBACK", raising=False)
    monkeypatch.setattr(_errors.os, "dup2", lambda a, b: None)  # leave pytest's own stdout alone
    assert _errors.ending(error) == code
    shown = capsys.readouterr().err
    assert said in shown
    assert bool(shown) == bool(said)
    assert len(shown.splitlines()) <= 8


def test_a_bug_is_called_one_and_its_traceback_kept(capsys, monkeypatch):
    monkeypatch.delenv("SNELLEN_TRACEBACK", raising=False)
    try:
        {}["key"]
    except KeyError as error:
        code = _errors.ending(error)
    shown = capsys.readouterr().err
    assert code == 70
    assert "bug of Snellen" in shown
    assert "Traceback" not in shown
    path = Path(shown.split("report it with ")[1].split(",")[0])
    assert "KeyError: 'key'" in path.read_text()
    path.unlink()
    monkeypatch.setenv("SNELLEN_TRACEBACK", "1")
    with pytest.raises(SnellenError):
        _errors.ending(SnellenError("raised, for a developer"))


def test_a_closed_pipe_is_no_error():
    import subprocess

    process = subprocess.Popen(
        [sys.executable, "-m", "snellen", "models", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141
    process.stderr.close()


def test_models_lists_integers_and_shows_layers():
    rows = json.loads(run_cli("models", "--json").out)
    keys = {"name", "family", "params", "params_without_aux", "macs", "input", "paper"}
    assert all(keys <= set(row) for row in rows)
    assert all(
        type(row[k]) is int for row in rows for k in ("params", "params_without_aux", "macs")
    )
    one = json.loads(run_cli("models", "resnet50", "--json").out)
    assert one["params"] == 25_557_032
    assert one in rows
    table = run_cli("models", "lenet5").out
    assert "61,706 parameters" in table
    listed = run_cli("models").out
    assert "4,089,184,256" in listed
    tables = {text.split()[1]: text for text in listed.split("\n\n")}
    for task, name in (("detect", "yolov3-small"), ("segment", "unet"), ("pose", "openpose_coco")):
        assert f"\n{name} " in tables[task]
        assert f"\n{name} " not in tables["classify"]


def test_no_runs_is_no_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = run_cli("runs")
    assert ended.code == 0
    assert "snellen train digits" in ended.err
    assert json.loads(run_cli("runs", "--json").out) == []


def test_data_says_what_a_set_is():
    facts = json.loads(run_cli("data", "digits", "--json").out)
    assert facts["parts"]["train"]["samples"] == 1437
    assert facts["parts"]["val"]["samples"] == 360
    assert sum(facts["parts"]["val"]["labels"].values()) == 360
    assert "1,437" in run_cli("data", "digits").out


def test_check_says_what_harms_and_where(tmp_path):
    pets(tmp_path)
    good = run_cli("check", tmp_path / "pets")
    assert (good.code, good.out) == (0, f"{tmp_path / 'pets'}: nothing wrong was found\n")
    broken = tmp_path / "pets/bee/bee3.png"
    broken.write_bytes(b"no picture")
    ended = run_cli("check", f"data={tmp_path / 'pets'}", "--json", tmp_path / "f.json")
    assert ended.code == 1
    assert str(broken) in ended.out
    assert "do: " in ended.out
    document = json.loads((tmp_path / "f.json").read_text())
    assert document["version"] == 1
    (finding,) = document["findings"]
    assert finding["level"] == "error"
    assert finding["where"] == {"file": str(broken)}
    assert finding["paths"] == [str(broken)]
    assert run_cli("check", tmp_path / "pets", "fail_on=never").code == 0


def test_data_whose_path_is_not_utf8_are_trained_on_and_resumed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pets(tmp_path)
    Path("pets").rename("p\udcffts")  # the byte 255
    words = ("model=lenet5_bn", "imgsz=16", "epochs=1", "name=odd")
    trained = run_cli("train", "data=p\udcffts", *words)
    assert trained.code == 0, trained.err
    assert next(read_events(Path("runs/odd-1/events.jsonl")))["recipe"]["data"] == "p\udcffts"
    assert run_cli("train", "resume=runs/odd-1", "epochs=2").code == 0
    assert json.loads(run_cli("eval", "runs/odd-1").last)["accuracy"] <= 1


def test_the_whole_way_of_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pets(tmp_path)
    trained = run_cli("train", "pets", "model=lenet5_bn", "imgsz=16", "--epochs", "2", "name=whole")
    assert trained.code == 0, trained.err
    assert trained.last == "runs/whole-1"
    scores = json.loads(run_cli("eval", "runs/whole-1").last)
    assert 0 <= scores["accuracy"] <= 1
    assert "loss" in scores
    other = json.loads(run_cli("eval", "runs/whole-1", "data=pets").last)
    assert set(other) == set(scores)
    (row,) = json.loads(run_cli("runs", "--json").out)
    assert (row["run"], row["status"], row["epochs"]) == ("runs/whole-1", "finished", "2/2")
    assert row["model"] == "lenet5_bn"
    assert row["metrics"]["accuracy"] == pytest.approx(scores["accuracy"], abs=1e-6)
    table = run_cli("runs").out.splitlines()
    assert table[0].split()[:3] == ["run", "task", "model"]
    assert "runs/whole-1" in table[1]
    assert run_cli("verify", "runs/whole-1").out == "runs/whole-1: whole\n"
    for file in [f for f in Path("runs/whole-1").rglob("*") if f.is_file()]:
        whole = file.read_bytes()
        file.write_bytes(whole[:-2] + b" " + whole[-1:] if whole[-2:-1] != b" " else whole[:-1])
        assert_well_said(run_cli("verify", "runs/whole-1"), 3, [file.name])
        assert_well_said(run_cli("verify", file), 3, [file.name])
        file.write_bytes(whole)
    assert run_cli("verify", "runs/whole-1").code == 0
    assert run_cli("doctor", "runs/whole-1", "--json", "again.json").code == 0
    assert json.loads(Path("again.json").read_text())["version"] == 1
