"""A typed value is never overridden; every blank is filled; speed=off is plain PyTorch."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import snellen as sn
from snellen.core import registry
from snellen.core.errors import UsageError
from snellen.nn._limits import Limits
from snellen.tasks.compute import pick_device
from snellen.tasks.detect import Detect
from snellen.tasks.reading import near, why_whole
from snellen.train import idle
from snellen.train.plan import resolve
from snellen.train.recipe import Recipe
from snellen.train.speed import Choice, Facts, Machine, choose, fits_in_memory
from snellen.train.values import RANGES

TYPED = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["resnet18", "lenet5_bn"]),
        "epochs": st.integers(0, 1000),
        "batch": st.integers(1, 4096),
        "optim": st.sampled_from(["sgd", "adam", "adamw", "rmsprop"]),
        "lr": st.floats(1e-8, 10),
        "momentum": st.floats(0, 0.99),
        "weight_decay": st.floats(0, 1),
        "schedule": st.sampled_from(["onecycle", "cosine", "constant"]),
        "augment": st.sampled_from(["off", "crop", "affine+flip"]),
        "device": st.just("cpu"),
        "amp": st.sampled_from(["off", "bf16"]),
        "channels_last": st.booleans(),
        "threads": st.integers(1, 64),
        "convolution": st.sampled_from(["by_shape", "library"]),
        "norm": st.sampled_from(["by_shape", "library"]),
        "malloc": st.sampled_from(["keep", "system"]),
        "compile": st.booleans(),
        "workers": st.integers(0, 8),
        "speed": st.sampled_from(["auto", "off"]),
        "seed": st.integers(0, 2**31),
        "split": st.floats(0, 0.9),
    },
)
FACTS = st.builds(
    Facts,
    num_samples=st.integers(1, 10**7),
    pictures=st.booleans(),
    macs=st.integers(0, 10**12),
    params=st.integers(0, 10**9),
)
MACHINE = st.builds(
    Machine,
    cores=st.integers(1, 128),
    busy=st.floats(0, 200),
    bf16=st.booleans(),
    cuda=st.booleans(),
    free_bytes=st.integers(0, 2**40),
)


@settings(deadline=None)
@given(typed=TYPED, facts=FACTS, machine=MACHINE)
def test_what_the_user_typed_is_what_is_done(typed, facts, machine):
    plan = resolve(Recipe().change(**typed), typed, facts).then(facts, machine)
    done = plan.recipe.as_dict()
    assert {name: done[name] for name in typed} == typed
    assert all(plan.set_by[name] == "you" for name in typed)
    assert not {choice.setting for choice in plan.choices} & set(typed)


@settings(deadline=None)
@given(typed=TYPED, facts=FACTS, machine=MACHINE)
def test_no_blank_is_left_where_the_training_needs_a_value(typed, facts, machine):
    plan = resolve(Recipe().change(**typed), typed, facts).then(facts, machine)
    may_stay_open = {"residency",  # chosen where the samples are weighed
                     "data", "task", "val", "imgsz", "weights", "freeze", "patience", "name",
                     "loss", "momentum_end", "max_norm", "clip", "bins", "scale",
                     "fold"}  # fmt: skip
    blanks = {name for name, value in plan.recipe.as_dict().items() if value is None}
    assert blanks <= may_stay_open


def test_a_recipes_value_is_the_recipes_and_a_default_says_so():
    recipe = Recipe(lr=0.3, model="lenet5_bn")
    plan = resolve(recipe, {}, Facts(1000))
    assert plan.recipe.lr == 0.3
    assert plan.set_by["lr"] == "recipe"
    assert plan.set_by["epochs"] == "default"


def test_speed_off_is_plain_pytorch():
    machine = Machine(cores=8, busy=0.0, bf16=True, cuda=False, free_bytes=1 << 34)
    facts = Facts(10_000, macs=10**10)
    off = {c.setting: c.value for c in choose(Recipe(speed="off", batch=64), facts, machine)}
    assert off["amp"] == "off"
    assert off["channels_last"] is False
    auto = {c.setting: c.value for c in choose(Recipe(batch=64), facts, machine)}
    assert auto["amp"] == "bf16"
    assert auto["channels_last"] is True


@pytest.mark.parametrize(("busy", "threads"), [(0.1, 2), (0.5, 1), (1.9, 1), (2.0, 1)])
def test_a_busy_box_gets_one_thread(busy, threads):
    machine = Machine(cores=2, busy=busy, bf16=False, cuda=False, free_bytes=1 << 34)
    chosen = {c.setting: c.value for c in choose(Recipe(batch=64), Facts(99, macs=10**9), machine)}
    assert chosen["threads"] == threads


@pytest.mark.parametrize(("samples", "way"), [(300, "library"), (3000, "by_shape")])
def test_shapes_are_timed_only_in_a_run_that_earns_it_back(samples, way):
    machine = Machine(2, 0.0, bf16=True, cuda=False, free_bytes=1 << 34)
    facts, recipe = Facts(samples, macs=10**9), Recipe(batch=32, epochs=1)
    found = next(c for c in choose(recipe, facts, machine) if c.setting == "convolution")
    assert (found.value, found.quiet) == (way, way == "library")


def test_a_data_set_that_fills_the_memory_is_streamed():
    machine = Machine(cores=2, busy=0, bf16=False, cuda=False, free_bytes=1000)
    assert fits_in_memory(250, machine)
    assert not fits_in_memory(251, machine)


def test_a_device_that_is_not_here_is_an_error_that_lists_those_that_are():
    with pytest.raises(UsageError, match=r"device=cuda:7.*cpu"):
        pick_device("cuda:7")
    with pytest.raises(UsageError, match="device=gpu9"):
        pick_device("gpu9")


@pytest.mark.parametrize("name", RANGES)
def test_a_value_out_of_range_names_itself_and_the_range(name):
    with pytest.raises(UsageError, match=f"{name}=-1"):
        Recipe().change(**{name: -1})


def test_a_network_is_compiled_on_a_gpu_alone_and_where_the_run_earns_it_back():
    facts = Facts(50_000, macs=560_000_000)  # ResNet-18 on pictures of 32 pixels
    gpu = Machine(cores=8, busy=0.0, bf16=True, cuda=True, free_bytes=1 << 34, bf16_gpu=True)
    cpu = Machine(cores=8, busy=0.0, bf16=True, cuda=False, free_bytes=1 << 34)
    answers = {}
    for machine in (gpu, cpu):
        for epochs in (2, 2000):
            plan = resolve(Recipe(epochs=epochs, batch=128), {}, facts).then(facts, machine)
            said = [c for c in plan.choices if c.setting == "compile"]
            assert [c.value for c in said] == [plan.recipe.compile]
            assert all(c.reason for c in said)
            answers[machine.cuda, epochs] = plan.recipe.compile
    assert answers == {
        (True, 2): False,
        (True, 2000): True,
        (False, 2): False,
        (False, 2000): False,
    }
    able = Machine(cores=2, busy=0.0, bf16=True, cuda=False, free_bytes=1 << 34, numba=True)
    for epochs, norm in ((1, "by_shape"), (0, "library")):
        plan = resolve(Recipe(epochs=epochs), {}, facts).then(facts, able)
        assert plan.recipe.norm == norm
    typed = {"compile": True}
    plan = resolve(Recipe(compile=True), typed, facts).then(facts, cpu)
    assert plan.recipe.compile is True
    assert plan.recipe.convolution == plan.recipe.norm == "library"


def test_every_choice_for_speed_is_said_with_its_reason():
    machine = Machine(cores=8, busy=0.0, bf16=True, cuda=False, free_bytes=1 << 34)
    facts = Facts(10_000, macs=10**10)
    for recipe in (Recipe(batch=64), Recipe(batch=64, speed="off")):
        chosen = choose(recipe, facts, machine)
        *loud, usual = resolve(recipe, {"batch": 64}, facts).then(facts, machine).lines()
        assert all(str(choice) in loud for choice in chosen if not choice.quiet)
        for choice in chosen:
            assert choice.reason
            assert not choice.quiet or f"{choice.setting}={choice.value}" in usual
    assert "(speed=off)" in usual


def test_a_small_net_of_short_steps_is_not_compiled_on_a_gpu():
    gpu = Machine(cores=8, busy=0.0, bf16=True, cuda=True, free_bytes=1 << 34, bf16_gpu=True)
    recipe = Recipe(epochs=200, batch=128)  # 78,000 steps
    for layers, compiled in ((4, False), (100, True)):
        facts = Facts(50_000, macs=100_000, layers=layers)
        assert resolve(recipe, {}, facts).then(facts, gpu).recipe.compile is compiled


def test_typed_workers_read_instead_of_threads_also_in_a_run_that_goes_on():
    machine = Machine(cores=8, busy=0.0, bf16=False, cuda=False, free_bytes=1 << 34)

    def reading(**typed):
        return resolve(Recipe().change(**typed), typed, Facts(99)).then(Facts(99), machine)

    assert (reading().recipe.workers, reading().recipe.readers) == (4, 8)
    assert (reading(workers=2).recipe.workers, reading(workers=2).recipe.readers) == (2, 0)
    assert reading(readers=0).recipe.workers == 0
    gone_on = reading().again(reading().recipe.change(workers=3), {"workers": 3})
    assert (gone_on.recipe.workers, gone_on.recipe.readers) == (3, 0)
    with pytest.raises(UsageError, match="workers=2 and readers=3"):
        reading(workers=2, readers=3)
    both = {"workers": 2, "readers": 3}
    with pytest.raises(UsageError, match="workers=2 and readers=3"):
        reading().again(reading().recipe.change(**both), both)


@pytest.mark.parametrize(
    ("typed", "now", "speed"),
    [({}, "files", "auto"), ({"residency": "memory"}, "memory", "auto"), ({}, "files", "off")],
)
def test_a_run_that_goes_on_weighs_memory_again_where_nobody_typed_it(typed, now, speed):
    machine = Machine(cores=2, busy=0.0, bf16=False, cuda=False, free_bytes=1 << 34)
    held = Choice("residency", "memory", "5 MB encoded, read once")
    typed = {**typed, "speed": speed}
    plan = resolve(Recipe().change(**typed), typed, Facts(99)).then(Facts(99), machine)
    gone_on = plan.filled([held]).again(plan.filled([held]).recipe, {"device": "cpu"})
    gone_on = gone_on.then(Facts(99), machine)
    gone_on = gone_on.filled([Choice("residency", "files", "over a quarter")])
    assert gone_on.recipe.residency == now
    assert sum(c.setting == "residency" for c in gone_on.choices) == (not typed.get("residency"))


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"amp": "fp16"}, "amp=fp16 is for a GPU"),
        ({"norm": "by_shape", "channels_last": False}, "norm=by_shape needs channels_last"),
        ({"convolution": "by_shape", "compile": True}, "convolution=by_shape does nothing beside"),
        ({"convolution": "by_shape", "device": "cuda"}, "is for a processor"),
        ({"norm": "by_shape"}, "norm=by_shape needs numba"),
    ],
)
def test_what_would_do_nothing_is_refused(typed, words, monkeypatch):
    monkeypatch.setattr(idle, "is_here", lambda: words != "norm=by_shape needs numba")
    machine = Machine(cores=2, busy=0.0, bf16=False, cuda=False, free_bytes=1 << 34)
    facts = Facts(99, macs=1000)
    done = resolve(Recipe().change(**typed), typed, facts).then(facts, machine).recipe
    idle.refuse_powerless(done, {}, facts)
    with pytest.raises(UsageError, match=words):
        idle.refuse_powerless(done, typed, facts)


@pytest.mark.parametrize(
    ("macs", "cuda", "limits", "last"),
    [
        (1000, False, Limits(), True),
        (1000, True, Limits(), False),
        (10**10, True, Limits(), True),
        (10**10, False, Limits(), True),
        (10**10, False, Limits("it raises"), False),
    ],
)
def test_maps_lie_channels_last_where_that_gains_and_runs(macs, cuda, limits, last):
    machine = Machine(2, 0.0, bf16=True, cuda=cuda, free_bytes=1 << 34, numba=True)
    facts = Facts(50_000, macs=macs, limits=limits)
    done = resolve(Recipe(epochs=9), {}, facts).then(facts, machine).recipe
    assert done.channels_last is last
    by_shape = last and not cuda and macs > 1000
    assert (done.convolution, done.norm) == (("by_shape",) * 2 if by_shape else ("library",) * 2)


@pytest.mark.parametrize(("limits", "amp"), [(Limits(), "bf16"), (Limits(fp32="no"), "off")])
def test_a_network_that_raises_under_bf16_stays_in_fp32(limits, amp):
    machine = Machine(2, 0.0, bf16=True, cuda=False, free_bytes=1 << 34)
    facts = Facts(50_000, macs=10**10, limits=limits)
    assert resolve(Recipe(), {}, facts).then(facts, machine).recipe.amp == amp


@pytest.mark.parametrize(
    ("num_samples", "augment", "batch"), [(205, "flip+affine", 16), (2000, "flip", 32)]
)
def test_few_pictures_that_are_seen_often_are_changed_more(num_samples, augment, batch):
    recipe = resolve(Recipe(), {}, Facts(num_samples, usual=Detect.usual)).recipe
    assert (recipe.augment, recipe.batch) == (augment, batch)


@pytest.mark.parametrize("kind", registry.collect("snellen.tasks", "TASKS").values())
def test_the_choice_of_decoding_is_what_is_done(kind):
    inputs = {"channels": 1, "height": 8, "width": 8, "mean": [0.5], "std": [0.25],
              "pixels": "bytes"}  # fmt: skip
    task = kind({"classes": ["a"], "inputs": inputs})
    facts = Facts(99, macs=10**9, whole=why_whole(task))
    machine = Machine(cores=2, busy=0.0, bf16=False, cuda=False, free_bytes=1 << 34)
    done = resolve(Recipe(), {}, facts).then(facts, machine)
    assert (near(task, "near") is None) == (done.recipe.decoding == "whole")
    if done.recipe.decoding == "whole":
        assert f"decoding=whole (task={kind.name} has targets in the pixels)" in done.lines()[-1]
        with pytest.raises(UsageError, match=f"decoding=near would do nothing: task={kind.name}"):
            idle.refuse_powerless(done.recipe, {"decoding": "near"}, facts)


@pytest.mark.parametrize(("has_units", "amp"), [(True, "bf16"), (False, "bf16"), (False, "off")])
def test_bf16_without_units_is_said_to_be_slower(has_units, amp, tmp_path, monkeypatch):
    monkeypatch.setattr("snellen.train.speed.has_fast_bf16", lambda: has_units)
    run = sn.train("digits", model="lenet5_bn", amp=amp, epochs=0, project=tmp_path, quiet=True)
    is_slow = amp == "bf16" and not has_units
    assert ("amp=bf16 is slower" in (run.path / "log.txt").read_text()) == is_slow
