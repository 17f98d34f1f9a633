"""The public face is frozen here: a name that comes or goes edits this file as well."""

import subprocess
import sys

import pytest

import snellen as sn

NAMES = (
    "train", "load", "Run", "tune", "ensemble", "doctor", "Finding", "explain", "gradcheck",
    "accelerate", "model", "models", "Recipe", "Sample", "Target", "Prediction", "Batch", "nn",
    "optim",
    "SnellenError", "UsageError", "DataError", "Diverged", "DoctorError", "__version__",
)  # fmt: skip


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_names_are_the_frozen_ones():
    assert tuple(sn.__all__) == NAMES
    assert len(NAMES) <= 25
    assert set(NAMES) <= set(dir(sn))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_resolves_and_is_documented(name):
    value = getattr(sn, name)
    assert value is not None
    assert name == "__version__" or (value.__doc__ or "").strip()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'snellen' has no attribute 'trian'"):
        sn.trian  # noqa: B018
    assert not hasattr(sn, "trian")


def test_importing_costs_nothing():
    """Neither numpy nor torch, for the face and for every room of it that is a verb."""
    heavy = "print(sorted({'numpy', 'torch', 'rich', 'yaml'} & set(sys.modules)))"
    assert python(f"import sys, snellen; {heavy}") == "[]"
    assert python(f"import sys, snellen; dir(snellen); snellen.__version__; {heavy}") == "[]"
    assert python(f"import sys, snellen.train, snellen.doctor, snellen.models; {heavy}") == "[]"


# A fresh package in an interpreter that has torch already, which is what takes the time.
FORGET = (
    "for name in [n for n in sys.modules if n.split('.')[0] == 'snellen']: del sys.modules[name]"
)


def test_a_room_is_a_verb_and_a_verb_is_a_room():
    """Whichever comes first, the name or the room, both go on working."""
    inside = {"train": "recipe", "doctor": "finding", "models": "lenet", "explain": "draw"}
    script, face = ["import sys"], "import snellen as sn"
    for room, file in inside.items():
        use = f"assert callable(sn.{room}); print(sn.{room}.__name__.rpartition('.')[2])"
        enter = f"import snellen.{room}; from snellen.{room} import {file}; {file}.__file__"
        for order in (
            [face, use, enter, use],
            [face, enter, use, enter],
            [enter, face, use, enter],
        ):
            script += [*order, FORGET]
    assert python("\n".join(script)).split() == sorted([*inside] * 4, key=[*inside].index)


def test_calling_a_room_calls_the_verb():
    """With the arguments of a user, one of them wrong, so that nothing is trained."""
    script = ["import sys"]
    for before in ("pass", "import snellen.models.lenet, snellen.train.recipe"):
        script += [
            f"import snellen as sn; {before}",
            "try:\n    sn.train('digits', epcohs=1)",
            "except sn.UsageError as error:\n    print('epochs' in str(error))",
            "print('resnet50' in sn.models())",
            FORGET,
        ]
    assert python("\n".join(script)).split() == ["True"] * 4


def test_star_import_gives_the_names():
    assert python("from snellen import *; print(Recipe.__name__, train.__name__)").startswith(
        "Recipe"
    )
