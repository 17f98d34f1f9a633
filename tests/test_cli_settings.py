"""The settings of `snellen train`: every spelling, every alias, and what a mistyped one is told."""

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from running import run_cli

from snellen.cli._settings import name_of, read_words
from snellen.cli._settings_help import settings_help
from snellen.cli.train import command
from snellen.core.errors import UsageError
from snellen.train.recipe import aliases, settings

TEXTS = {  # a value that each type of setting takes, as it is typed
    "split": "0.25", "epochs": "7", "batch": "16", "imgsz": "24", "lr": "0.003", "momentum": "0.8",
    "weight_decay": "1e-4", "label_smoothing": "0.1", "seed": "12345678901234567", "workers": "0",
    "threads": "1", "patience": "3", "save_minutes": "0.5", "optim": "adamw", "amp": "bf16",
    "schedule": "cosine", "speed": "off", "malloc": "keep", "doctor": "no", "compile": "yes",
    "channels_last": "no", "precise_norm": "no", "preflight": "full", "momentum_end": "0.99",
    "half_life": "5", "l1": "1e-4", "max_norm": "3", "clip": "1", "loss": "hinge", "bins": "8",
    "scale": "3", "noise": "25",
    "convolution": "library", "preparing": "torch", "readers": "2", "decoding": "whole",
    "residency": "files", "fused": "no",
    "norm": "library",
}  # fmt: skip
text_of = {f.name: TEXTS.get(f.name, "word") for f in settings()}


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
        ("--precision fp32 digits", {"amp": "off", "data": "digits"}),
        ("precision=bf16-mixed", {"amp": "bf16"}),
        ("memory_format=channels_last", {"channels_last": True}),
        ("--memory-format contiguous_format digits", {"channels_last": False, "data": "digits"}),
        ("device=GPU optim=SGD speed=Auto", {"device": "cuda", "optim": "sgd", "speed": "auto"}),
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
        ("readers=9999", "readers=9999 is out of range; it must be between 0 and 1024"),
        ("digits epochs 3", "did you mean epochs=...?"),
        ("digits shapes", "one word too many"),
        ("--epochs", "--epochs needs a value: epochs=..."),
        ("--batch_size --amp", "--batch_size needs a value: batch=..."),
        ("batch=1 bs=2", "batch is typed twice, 1 and 2"),
        ("digits data=shapes", "data is typed twice, digits and shapes"),
        ("batch=", "batch= has no value"),
        ("optim=adma", "not one of sgd, momentum"),
        ("compile=maybe", "compile='maybe' is not yes or no"),
        ("amp=fp8", "not one of off, bf16, fp16"),
    ],
)
def test_mistyped_settings_say_what_would_do(words, wanted):
    with pytest.raises(UsageError) as caught:
        read_words(words.split())
    assert wanted in str(caught.value)


def test_what_is_typed_to_be_chosen_is_no_word_left_out(monkeypatch):
    """In Python None is; a recipe's own value would stand."""
    told = {}

    def train(**settings):
        told.update(settings)
        raise UsageError("enough")

    monkeypatch.setattr("snellen.api.train", train)
    CliRunner().invoke(command, ["recipe=digits_lenet", "lr=auto", "epochs=3"])
    assert told == {"recipe": "digits_lenet", "lr": "auto", "epochs": 3}
