"""The command line: verbs found by file, settings in every spelling, errors, exit codes."""

import importlib
import json
import sys
import types
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import run_cli, run_process

import snellen
import snellen.cli
from snellen.cli import _errors
from snellen.cli._settings import name_of, read_words
from snellen.cli._settings_help import settings_help
from snellen.core.errors import DataError, Diverged, Interrupted, SnellenError, UsageError
from snellen.train.recipe import aliases, settings

VERBS = sorted(p.stem for p in Path(snellen.cli.__path__[0]).glob("[!_]*.py"))
TEXTS = {  # a value that each type of setting takes, as it is typed
    "split": "0.25", "epochs": "7", "batch": "16", "imgsz": "24", "lr": "0.003", "momentum": "0.8",
    "weight_decay": "1e-4", "label_smoothing": "0.1", "seed": "12345678901234567", "workers": "0",
    "threads": "1", "patience": "3", "save_minutes": "0.5", "optim": "adamw", "amp": "bf16",
    "schedule": "cosine", "speed": "off", "doctor": "no", "compile": "yes", "channels_last": "no",
}  # fmt: skip
text_of = {f.name: TEXTS.get(f.name, "word") for f in settings()}


def test_version_and_bare_call():
    assert run_cli("--version").out == f"snellen {snellen.__version__}\n"
    bare = run_cli()
    assert bare.code == 0
    assert "train" in bare.out


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


def test_train_help_names_every_setting_alias_and_choice():
    shown = settings_help()
    for field in settings():
        assert f"  {field.name}=" in shown
        for word in (*field.metadata["aliases"], *field.metadata["choices"]):
            assert word in shown.replace("\n" + " " * 23, " ")
    assert max(map(len, shown.splitlines())) <= 100
    assert run_cli("train", "--help").out.count(shown) == 1


@given(
    st.lists(st.sampled_from(sorted(text_of)), unique=True, max_size=6),
    st.lists(st.sampled_from(["k=v", "--k v", "--k=v", "alias=v", "--al-ias v"]), min_size=6),
)
def test_every_spelling_of_a_setting_reads_the_same(names, spellings):
    words, expected = [], {}
    for name, spelling in zip(names, spellings, strict=False):
        others = [a for a, n in aliases().items() if n == name] or [name]
        value = text_of[name]
        words += {
            "k=v": [f"{name}={value}"],
            "--k v": [f"--{name}", value],
            "--k=v": [f"--{name.replace('_', '-')}={value}"],
            "alias=v": [f"{others[0]}={value}"],
            "--al-ias v": [f"--{others[-1].replace('_', '-')}", value],
        }[spelling]
        expected |= read_words([f"{name}={value}"]).settings
    typed = read_words(words)
    assert typed.settings == expected
    assert len(typed.notes) <= len(names)


def test_values_have_the_type_of_their_setting():
    typed = read_words([f"{name}={value}" for name, value in text_of.items()]).settings
    assert set(typed) == set(text_of)
    assert typed["seed"] == 12345678901234567  # more digits than a float holds
    assert typed["lr"] == 0.003
    assert typed["doctor"] is False
    assert typed["epochs"] == 7


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("--amp", {"amp": "bf16"}),
        ("amp=yes", {"amp": "bf16"}),
        ("amp=no", {"amp": "off"}),
        ("--no-amp", {"amp": "off"}),
        ("--speed off", {"speed": "off"}),
        ("speed=no", {"speed": "off"}),
        ("--doctor=no", {"doctor": False}),
        ("--no-doctor digits", {"doctor": False, "data": "digits"}),
        ("--compile digits", {"compile": True, "data": "digits"}),
        ("--compile no digits", {"compile": False, "data": "digits"}),
        ("--amp --epochs 3", {"amp": "bf16", "epochs": 3}),
        ("digits epochs=1e1", {"data": "digits", "epochs": 10}),
        ("data=a=b.csv", {"data": "a=b.csv"}),
        ("data=digits digits", {"data": "digits"}),
        ("epochs=2 max_epochs=2", {"epochs": 2}),
        ("lr=auto", {"lr": None}),
        ("--resume runs/a-1", {"resume": "runs/a-1"}),
        ("recipe=digits_lenet lr=0.1", {"recipe": "digits_lenet", "lr": 0.1}),
    ],
)
def test_flags_booleans_and_words(words, wanted):
    assert read_words(words.split()).settings == wanted


@pytest.mark.parametrize("alias", sorted(aliases()))
def test_an_alias_gives_one_note(alias):
    name = aliases()[alias]
    assert name_of(alias) == (name, True)
    typed = read_words([f"{alias}={text_of[name]}"])
    assert typed.notes == [f"{alias} is called {name} here"]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("digits epcohs=3", "did you mean epochs?"),
        ("digits bach_size=3", "did you mean batch?"),
        ("digits --resum x", "did you mean resume?"),
        ("digits zzzz=3", "there are: amp, augment"),
        ("lr=-1", "lr=-1.0 is out of range"),
        ("--lr -1", "lr=-1.0 is out of range"),
        ("lr=inf", "out of range"),
        ("seed=-3", "seed=-3 is out of range"),
        ("digits epochs 3", "did you mean epochs=...?"),
        ("digits shapes", "one word too many"),
        ("--epochs", "--epochs needs a value: epochs=..."),
        ("--batch_size --amp", "--batch_size needs a value: batch=..."),
        ("batch=1 bs=2", "batch is typed twice, 1 and 2"),
        ("digits data=shapes", "data is typed twice, digits and shapes"),
        ("batch=", "batch= has no value"),
        ("optim=adma", "not one of sgd, adam"),
        ("compile=maybe", "compile='maybe' is not yes or no"),
        ("amp=fp8", "not one of off, bf16, fp16"),
    ],
)
def test_mistyped_settings_say_what_would_do(words, wanted):
    with pytest.raises(UsageError) as caught:
        read_words(words.split())
    assert wanted in str(caught.value)


def test_options_of_every_verb_can_be_written_without_dashes(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("")
    seen = fake_script(monkeypatch)
    for words in (["json=F.json"], ["--json", "F.json"], ["--json=F.json"]):
        monkeypatch.chdir(tmp_path)
        run_cli("doctor", *words, "fail_on=warning", "preflight=yes", "a.py")
        assert seen["json"] == "F.json"
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
    assert all(set(row) == keys for row in rows)
    assert all(
        type(row[k]) is int for row in rows for k in ("params", "params_without_aux", "macs")
    )
    one = json.loads(run_cli("models", "resnet50", "--json").out)
    assert one["params"] == 25_557_032
    assert one in rows
    table = run_cli("models", "lenet5").out
    assert "61,706 parameters" in table
    assert "4,089,184,256" in run_cli("models").out


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
