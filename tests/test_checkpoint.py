"""Checkpoints: round trips, kills at random moments, every bit flipped, a full disk, misfits."""

import json
import math
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from snellen.core import files, sealed
from snellen.core.errors import DataError, UsageError
from snellen.core.pack import pack, unpack
from snellen.core.seeds import rng_state
from snellen.train.checkpoint import (
    Checkpoint,
    fit_into,
    load,
    load_weights,
    save,
    save_best,
    verify,
)

DTYPES = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64,
]  # fmt: skip


def at_step(step: int) -> Checkpoint:
    """A checkpoint all of whose parts say the same step."""
    weights = {"a": torch.full((30, 10), float(step)), "b": torch.full((7,), float(step))}
    return Checkpoint(weights, {"step": step, "m": {0: torch.full((9,), step)}}, {"step": step})


def step_of(checkpoint: Checkpoint) -> int:
    """The one step that all parts say; fails where they do not agree."""
    step = checkpoint.meta["step"]
    tensors = [*checkpoint.weights.values(), checkpoint.state["m"][0]]
    assert checkpoint.state["step"] == step
    assert all((tensor == step).all() for tensor in tensors)
    return step


def same(a, b) -> bool:
    """Equal in value, type, key order and bits (NaN equals NaN)."""
    if isinstance(a, torch.Tensor):
        bits = [t.contiguous().reshape(-1).view(torch.uint8) if t.numel() else t for t in (a, b)]
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(*bits)
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or (a != a and b != b)


def test_last_and_previous(tmp_path):
    for step in (1, 2, 3):
        path = save(tmp_path, at_step(step))
    assert path == tmp_path / "last.safetensors"
    names = {f"{n}{e}" for n in ("last", "previous")
             for e in (".safetensors", ".state.safetensors", ".json")}  # fmt: skip
    assert {p.name for p in tmp_path.iterdir()} == names
    checkpoint, notes = load(tmp_path)
    assert (step_of(checkpoint), notes, verify(tmp_path)) == (3, [], [])
    weights, meta = load_weights(tmp_path / "previous.safetensors")
    assert meta == {"step": 2}
    assert (weights["a"] == 2).all()
    assert json.loads((tmp_path / "last.json").read_text())["meta"] == {"step": 3}


def test_state_of_real_optimisers_and_generators_comes_back(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2))
    net = net.to(memory_format=torch.channels_last)
    net(torch.rand(2, 3, 8, 8)).sum().backward()
    optimizers = [torch.optim.AdamW(net.parameters(), amsgrad=True),
                  torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)]  # fmt: skip
    for optimizer in optimizers:
        optimizer.step()
    state = {"optim": [o.state_dict() for o in optimizers], "rng": rng_state()}
    save(tmp_path, Checkpoint(net.state_dict(), state, {"score": math.nan}))
    back, _ = load(tmp_path)
    assert same(back.state, state)
    assert same(back.weights, dict(net.state_dict()))
    assert math.isnan(back.meta["score"])
    moment = back.state["optim"][0]["state"][0]["exp_avg"]
    assert moment.stride() == optimizers[0].state_dict()["state"][0]["exp_avg"].stride()
    optimizers[0].load_state_dict(back.state["optim"][0])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (3, 5)], ids=str)
def test_every_type_and_shape(tmp_path, dtype, shape):
    tensor = (torch.randn(shape) * 100).to(dtype)
    save(tmp_path, Checkpoint({"w": tensor}, {"s": [tensor, {3: tensor.t() if tensor.dim() == 2
                                                             else tensor}]}))  # fmt: skip
    back, _ = load(tmp_path)
    assert same(back.weights["w"], tensor)
    assert same(back.state["s"][0], tensor)
    assert verify(tmp_path) == []


def test_views_and_shared_tensors(tmp_path):
    base = torch.arange(24.0).reshape(4, 6)
    weights = {"tied": base, "tied_too": base, "row": base[1], "column": base[:, 1],
               "turned": base.t(), "image": torch.rand(2, 3, 4, 4)
               .to(memory_format=torch.channels_last)}  # fmt: skip
    save(tmp_path, Checkpoint(weights, {"one": base, "two": base, "part": base[2:]}))
    back, _ = load(tmp_path)
    assert same(back.weights, weights)
    assert same(back.state["part"], base[2:])
    assert back.state["one"] is back.state["two"]


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.just("$tensor"), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(plain_values)
@settings(max_examples=150, deadline=None)
def test_any_nesting_goes_through_json_and_back(value):
    tree, tensors = pack(value)
    assert same(unpack(json.loads(json.dumps(tree)), tensors), value)


def test_what_would_need_pickle_is_refused_with_its_place(tmp_path):
    for value in (np.int64(3), {1, 2}, b"x", object(), np.zeros(2), torch.float32):
        with pytest.raises(UsageError, match=r"state\['a'\]\[1\] is a \w+, which cannot"):
            save(tmp_path, Checkpoint({}, {"a": [0, value]}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_kill_9_at_any_moment_loses_at_most_the_save_under_way(tmp_path):
    """Thirty forks of this process, which need no import and can so be killed often."""
    last, rng = 0, random.Random(4)
    for _ in range(30):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            while True:  # killed from outside
                last += 1
                save(tmp_path, at_step(last))
                os.write(writer, b"%d\n" % last)
        os.close(writer)
        said = os.read(reader, 4)
        time.sleep(rng.random() * 0.02)
        os.kill(child, 9)
        os.waitpid(child, 0)
        while more := os.read(reader, 65536):
            said += more
        os.close(reader)
        saved = int(said.split()[-1])
        checkpoint, _ = load(tmp_path)
        assert step_of(checkpoint) in (saved, saved + 1)
        assert verify(tmp_path) == []
        last = step_of(checkpoint)
    save(tmp_path, at_step(last + 1))
    assert len(list(tmp_path.iterdir())) == 6  # no litter, under whatever name


def test_kill_between_any_two_system_calls(tmp_path, monkeypatch):
    """Stop after each rename in turn: what is left always loads, and no later save is hurt."""

    class Killed(BaseException):
        pass

    for stop in range(1, 8):
        folder = tmp_path / str(stop)
        save(folder, at_step(1))
        save(folder, at_step(2))
        calls, replace = [], os.replace

        def dying(source, target, calls=calls, stop=stop, replace=replace):
            calls.append(target)
            if len(calls) == stop:
                raise Killed
            replace(source, target)

        monkeypatch.setattr(files.os, "replace", dying)
        if stop < 7:
            with pytest.raises(Killed):
                save(folder, at_step(3))
        else:
            save(folder, at_step(3))
        monkeypatch.setattr(files.os, "replace", replace)
        assert step_of(load(folder)[0]) == (3 if stop == 7 else 2)
        assert verify(folder) == []
        save(folder, at_step(4))
        assert step_of(load(folder)[0]) == 4


@pytest.mark.parametrize("name", ["last.safetensors", "last.state.safetensors", "last.json"])
def test_every_flipped_bit_is_seen(tmp_path, name):
    save(tmp_path, at_step(1))
    save(tmp_path, at_step(2))
    path = tmp_path / name
    whole = path.read_bytes()
    random.seed(0)
    places = {*range(16), *random.sample(range(len(whole)), 250), len(whole) - 1}
    read = sealed.read_json if name.endswith(".json") else sealed.read_tensors
    for place in sorted(places):
        changed = bytearray(whole)
        changed[place] ^= 1 << random.randrange(8)
        path.write_bytes(changed)
        reading = read(path)
        assert reading.damages, f"a bit of byte {place} ({whole[place : place + 1]!r})"
    checkpoint, notes = load(tmp_path)
    assert step_of(checkpoint) == 1
    assert name in notes[0]
    assert "previous.* is whole and was used instead (step 1)" in notes[-1]


def test_a_changed_tensor_is_named(tmp_path):
    save_best(tmp_path / "best.safetensors", at_step(1).weights, {"task": "classify"})
    path = tmp_path / "best.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes(data)
    damage = verify(path)[0]
    assert (damage.file, damage.tensor) in [(path, "a"), (path, "b")]
    assert verify(tmp_path) == [damage]
    with pytest.raises(
        DataError, match=rf"(?s)damaged.*best\.safetensors: tensor '{damage.tensor}'"
    ):
        load_weights(path)


@pytest.mark.parametrize("name", ["last.safetensors", "last.state.safetensors", "last.json"])
@pytest.mark.parametrize("how", ["empty", "short", "half", "zeros", "gone", "junk", "longer"])
def test_cut_or_zeroed_files_are_refused_by_name(tmp_path, name, how):
    save(tmp_path, at_step(1))
    save(tmp_path, at_step(2))
    path = tmp_path / name
    whole = path.read_bytes()
    spoilt = {
        "empty": b"",
        "short": whole[:5],
        "half": whole[: len(whole) // 2],
        "zeros": bytes(len(whole)),
        "junk": b"\xff\x8f" * 99,
        "longer": whole + b"\0",
    }
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(spoilt[how])
    checkpoint, notes = load(tmp_path)
    assert step_of(checkpoint) == 1
    assert str(path) in notes[0]
    assert path in [damage.file for damage in verify(tmp_path)]


def test_no_whole_one_lists_all_and_none_at_all_says_so(tmp_path):
    with pytest.raises(DataError, match="no checkpoint in"):
        load(tmp_path)
    save(tmp_path, at_step(1))
    save(tmp_path, at_step(2))
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    lines = str(caught.value).splitlines()
    assert 2 < len(lines) <= 8
    assert "last.safetensors: is empty" in lines[1]


def test_files_of_two_saves_are_not_mixed(tmp_path):
    save(tmp_path / "a", at_step(1))
    save(tmp_path / "b", at_step(2))
    os.replace(tmp_path / "b" / "last.safetensors", tmp_path / "a" / "last.safetensors")
    with pytest.raises(DataError, match=r"last\.safetensors: belongs to another save"):
        load(tmp_path / "a")
    assert verify(tmp_path / "a")


def test_a_damaged_last_never_replaces_a_good_previous(tmp_path):
    save(tmp_path, at_step(1))
    save(tmp_path, at_step(2))
    last = tmp_path / "last.safetensors"
    data = bytearray(last.read_bytes())
    data[-1] ^= 1
    last.write_bytes(data)
    script = (
        "import sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path;"
        "from test_checkpoint import at_step, save; save(Path(sys.argv[1]), at_step(3))"
    )
    here = str(Path(__file__).parent)
    subprocess.run([sys.executable, "-c", script, str(tmp_path), here], check=True)
    assert step_of(load(tmp_path)[0]) == 3
    (tmp_path / "last.json").unlink()
    assert step_of(load(tmp_path)[0]) == 1


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.name != "posix" or os.getuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_full_disk_keeps_the_previous_one(small_disk):
    save(small_disk, at_step(1))
    before = {p.name: p.read_bytes() for p in small_disk.iterdir()}
    big = Checkpoint({"w": torch.zeros(100_000)})
    best = small_disk / "best.safetensors"
    for attempt in (lambda: save(small_disk, big), lambda: save_best(best, big.weights, {})):
        with pytest.raises(DataError, match=r"is full: 39\d\.\d KiB are needed and 2\d\d\.. KiB"):
            attempt()
        assert {p.name: p.read_bytes() for p in small_disk.iterdir()} == before


def test_disk_that_fills_while_writing(small_disk, monkeypatch):
    """The room is there when asked, and gone when written: the kernel's own error."""
    save(small_disk, at_step(1))
    before = {p.name: p.read_bytes() for p in small_disk.iterdir()}
    monkeypatch.setattr(files, "_need_space", lambda *args: None)
    with pytest.raises(DataError, match="is full"):
        save(small_disk, Checkpoint({"w": torch.zeros(100_000)}))
    with pytest.raises(DataError, match="is full"):
        files.write_text(small_disk / "long.txt", "x" * 400_000)
    assert {p.name: p.read_bytes() for p in small_disk.iterdir()} == before


def test_best_carries_its_meta(tmp_path):
    path = tmp_path / "weights" / "best.safetensors"
    meta = {"task": "classify", "spec": {"classes": ["nan", "猫"], "mean": [0.5]}, "epoch": 3}
    save_best(path, at_step(1).weights, meta)
    assert load_weights(path)[1] == meta
    assert same(load_weights(tmp_path)[0], at_step(1).weights)


def test_weights_of_other_makers(tmp_path):
    tensors = {"w": torch.randn(3, 2)}
    save_file(tensors, tmp_path / "foreign.safetensors", {"format": "pt"})
    assert same(load_weights(tmp_path / "foreign.safetensors"), (tensors, {}))
    assert verify(tmp_path / "foreign.safetensors") == []
    torch.save({"epoch": 3, "state_dict": {"module.w": tensors["w"]}}, tmp_path / "wrapped.pth")
    assert same(load_weights(tmp_path / "wrapped.pth"), (tensors, {}))


def test_pickles_are_not_run(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    (tmp_path / "broken.pt").write_bytes(b"PK\x03\x04 not a zip")
    for name, what in (("module.pt", "without running code"), ("list.pt", "no weights by name"),
                       ("broken.pt", "cannot be read"), ("absent.pt", "no such file")):  # fmt: skip
        with pytest.raises(DataError, match=what) as caught:
            load_weights(tmp_path / name)
        assert name in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
    save(tmp_path, at_step(1))
    with pytest.raises(DataError, match=r"its weights are in last\.safetensors"):
        load_weights(tmp_path / "last.state.safetensors")


def test_verify_of_a_run_folder(tmp_path):
    save(tmp_path / "weights", at_step(1))
    (tmp_path / "config.yaml").write_text("lr: 0.1\n")
    (tmp_path / "events.jsonl").write_text('{"kind": "note"}\n{"kind": "step"}\n{"kind": "ep')
    (tmp_path / "findings.json").write_text('{"version": 1, "findings": []}')
    assert verify(tmp_path) == []
    broken = {
        "config.yaml": "lr: [0.1\n",
        "events.jsonl": '{"ki\n{"kind": "a"}\n',
        "findings.json": '{"version": 1, "fin',
        "metrics.csv": "a,b\n\0\0",
    }
    for name, text in broken.items():
        path = tmp_path / name
        before = path.read_text() if path.exists() else ""
        path.write_text(text)
        assert [damage.file.name for damage in verify(tmp_path)] == [name]
        path.write_text(before)
    (tmp_path / "config.yaml").unlink()
    assert [str(damage) for damage in verify(tmp_path)] == [f"{tmp_path}/config.yaml: is missing"]
    with pytest.raises(DataError, match="no such file or folder"):
        verify(tmp_path / "absent")


def test_whoever_may_read_the_run_may_read_the_weights(tmp_path):
    before = os.umask(0o022)
    try:
        save(tmp_path, at_step(1))
    finally:
        os.umask(before)
    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {"0o644"}


def test_moved_folder_loads(tmp_path):
    save(tmp_path / "old", at_step(1))
    os.rename(tmp_path / "old", tmp_path / "new")
    assert step_of(load(tmp_path / "new")[0]) == 1


def lenet(classes: int = 10, width: int = 6) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, width, 5), nn.BatchNorm2d(width), nn.Flatten(),
                         nn.Linear(width * 16, classes))  # fmt: skip


def test_fitting_weights_load_and_others_are_explained():
    net, other = lenet(), lenet()
    assert fit_into(net, other.state_dict()) == []
    assert same(dict(net.state_dict()), dict(other.state_dict()))
    weights = {k: v for k, v in other.state_dict().items() if not k.endswith("batches_tracked")}
    assert fit_into(net, weights) == []
    before = {k: v.clone() for k, v in net.state_dict().items()}
    renamed = {k.replace("0.weight", "0.weigth"): v for k, v in lenet(12).state_dict().items()}
    with pytest.raises(DataError, match="checkpoint of another network") as caught:
        fit_into(net, renamed)
    text = str(caught.value)
    assert len(text.splitlines()) <= 8
    assert "0.weight (like 0.weigth?)" in text
    assert "3.weight (12, 96) for (10, 96)" in text
    assert same(dict(net.state_dict()), before)


def test_a_head_for_other_classes_may_differ():
    net, other = lenet(10), lenet(1000)
    head = net[3].weight.clone()
    notes = fit_into(net, other.state_dict(), allow_head=True)
    assert [note.split()[0] for note in notes] == ["3.weight", "3.bias"]
    assert torch.equal(net[0].weight, other[0].weight)
    assert torch.equal(net[3].weight, head)
    backbone = {k: v for k, v in other.state_dict().items() if not k.startswith("3.")}
    assert len(fit_into(net, backbone, allow_head=True)) == 2
    with pytest.raises(DataError):
        fit_into(net, backbone)
    with pytest.raises(DataError, match="another shape"):
        fit_into(net, lenet(10, width=8).state_dict(), allow_head=True)
