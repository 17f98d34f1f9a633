"""Settings: every word that fingers know, every type, every range; errors name the way out."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snellen.core.errors import UsageError
from snellen.train.recipe import Expect, Recipe, aliases, parse, resolve_name, settings
from snellen.train.values import RANGES

KINDS = {f.name: f for f in settings()}
WORDS = {
    "batch_size": "batch", "bs": "batch", "lr0": "lr", "learning_rate": "lr",
    "img_size": "imgsz", "max_epochs": "epochs", "output_dir": "project", "optimizer": "optim",
    "num_workers": "workers", "wd": "weight_decay", "precision": "amp", "arch": "model",
}  # fmt: skip


def test_a_recipe_is_frozen_comparable_and_complete():
    recipe = Recipe(data="digits", expect=Expect("accuracy", 0.985, 0.2))
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.lr = 0.1
    assert recipe == Recipe(data="digits", expect=Expect("accuracy", 0.985, 0.2))
    assert list(recipe.as_dict()) == [f.name for f in settings()]
    assert "expect" not in recipe.as_dict()
    assert all(f.metadata["help"] for f in settings())


@pytest.mark.parametrize(("word", "name"), WORDS.items())
def test_words_that_fingers_know(word, name):
    assert resolve_name(word) == (name, True)
    assert resolve_name(word.replace("_", "-"))[0] == name


def test_names_and_other_words_never_collide():
    every = [a for f in settings() for a in f.metadata["aliases"]]
    assert len(every) == len(set(every)) == len(aliases())
    assert not set(every) & set(KINDS)
    for name in KINDS:
        assert resolve_name(name) == (name, False)


@pytest.mark.parametrize(
    ("typo", "name"),
    [("epcohs", "epochs"), ("bacth", "batch"), ("bathc_size", "batch"), ("learning_rte", "lr"),
     ("imgsize", "imgsz"), ("optimzer", "optim"), ("wieghts", "weights"), ("sed", "seed")],
)  # fmt: skip
def test_a_typo_gets_the_nearest_right_word(typo, name):
    with pytest.raises(UsageError, match=rf"no '{typo}' in settings; did you mean {name}\?"):
        resolve_name(typo)


def test_a_word_like_no_other_gets_the_list():
    with pytest.raises(UsageError, match="there are: "):
        resolve_name("xyzzy")
    with pytest.raises(UsageError, match="xyzzy"):
        Recipe().change(xyzzy=1)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("lr", "0.1", 0.1), ("lr", "1e-3", 1e-3), ("lr", 1, 1.0), ("epochs", "5", 5),
     ("epochs", "5.0", 5), ("epochs", 1e3, 1000), ("compile", "yes", True), ("compile", "0", False),
     ("doctor", "off", False), ("amp", "off", "off"), ("amp", False, "off"), ("amp", True, "bf16"),
     ("lr", "auto", None), ("epochs", None, None), ("model", "resnet18", "resnet18"),
     ("device", "cuda:1", "cuda:1"), ("seed", 2**40, 2**40)],
)  # fmt: skip
def test_text_is_read_as_the_settings_own_type(name, text, value):
    found = parse(name, text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [("lr", "abc", "a number; for example lr=0.01"), ("epochs", "5.5", "a whole number"),
     ("epochs", "many", "epochs=10"), ("batch", "0", "between 1 and"), ("lr", "-1", "positive"),
     ("split", "1.5", "between 0 and 0.9"), ("optim", "sdg", "sgd, .*, adam, adamw"),
     ("compile", "perhaps", "yes or no"), ("speed", "fast", "auto, off"),
     ("epochs", "nan", "epochs"), ("epochs", "inf", "whole number"),
     ("seed", "auto", "a whole number"), ("seed", None, "no automatic value"),
     ("batch", [1], "a whole number"), ("val", "", "has no value"), ("lr", "", "has no value")],
)  # fmt: skip
def test_what_cannot_be_read_says_what_would_do(name, text, wanted):
    with pytest.raises(UsageError, match=rf"{name}=.*{wanted}") as caught:
        parse(name, text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", RANGES)
def test_ranges_hold_at_both_ends(name):
    low, high, _ = RANGES[name]
    assert name in KINDS
    assert parse(name, low) == low
    for outside in (low - 1, high + 1 if math.isfinite(high) else None, float("nan")):
        if outside is not None:
            with pytest.raises(UsageError, match=name):
                parse(name, outside)


@given(st.sampled_from(sorted(RANGES)), st.floats(0, 1) | st.integers(0, 10**5))
def test_what_parse_gives_it_takes_again(name, value):
    """Saved in config.yaml and read back, as a value or as text, it stays what it was."""
    try:
        first = parse(name, value)
    except UsageError:
        return
    assert parse(name, first) == first
    assert parse(name, str(first)) == first


def test_defaults_are_legal_values():
    for name, value in Recipe().as_dict().items():
        assert value is None or parse(name, value) == value
