"""Every task, shipped or dropped in, keeps the promises of a task; the oracle finds its ceiling."""

import json
from functools import cache

import pytest
import torch
from PIL import Image
from torch import Tensor

import snellen as sn
from snellen.core import registry
from snellen.core.errors import UsageError
from snellen.data.open import open_data
from snellen.data.source import Source
from snellen.tasks.task import Task
from snellen.train.prepare import refuse_foreign
from snellen.train.recipe import Recipe

TASKS: dict[str, type[Task]] = registry.collect("snellen.tasks", "TASKS")
LOSSY = {"pose": 0.95}  # joints of a kind in one cell of its maps are told as one


@cache
def drawn(name: str) -> tuple[Source, Recipe]:
    """A task's own tiny recipe, and its data."""
    recipe = Recipe().change(**TASKS[name].tiny())
    return TASKS[name].adapt(open_data(recipe.data, task=name)), recipe


@cache
def tiny(name: str) -> tuple[Task, list[sn.Sample], Recipe]:
    """A task on the data of its own tiny recipe, and a few samples of them."""
    source, recipe = drawn(name)
    task = TASKS[name].from_source(source, recipe.imgsz)
    part = source.val or source.train
    return task, [part[i] for i in range(0, len(part), max(1, len(part) // 40))], recipe


@pytest.mark.parametrize("name", TASKS)
def test_facts_are_there(name):
    task = TASKS[name]
    assert task.name == name
    assert task.about
    assert task.score
    assert task.default_model in sn.models()


@pytest.mark.parametrize("model", ["resnet8_w32", "unet-small", "yolov3-small", "ssd-small",
                                   "faster_rcnn-small", "mask_rcnn-small", "openpose-small",
                                   "keypoint_rcnn-small"])  # fmt: skip
@pytest.mark.parametrize("name", TASKS)
def test_networks_of_other_tasks_are_refused(name, model):
    """They fail in the first step else, as if Snellen had a bug."""
    task, of = tiny(name)[0], sn.models.row(model).task
    own = sn.models.row(task.default_model).task
    if of == own or (name, of) == ("detect", "instances"):
        refuse_foreign(model, task)
        return
    with pytest.raises(UsageError, match=rf"^{model} is a network for task={of}; .*task={name}"):
        refuse_foreign(model, task)


def test_of_a_network_of_another_task_nothing_is_written(tmp_path):
    with pytest.raises(UsageError, match="unet-small is a network for task=segment"):
        sn.train("digits", model="unet-small", epochs=1, project=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", TASKS)
def test_perfect_answers_reach_the_ceiling(name):
    """What catches 'the loss falls and the score is 0' before an epoch is spent."""
    task, samples, _ = tiny(name)
    batch, metric = task.encode(samples), task.metric()
    metric.update(task.decode(task.oracle(batch), batch), [s.target for s in samples])
    scores = metric.compute()
    least = LOSSY.get(name, 1.0)
    assert least - 1e-6 <= scores[task.score] <= 1.0 + 1e-6
    assert task.ceiling <= least  # of any data; what is drawn survives whole
    assert all(0 <= value <= 1 for key, value in scores.items() if key != "loss")


@pytest.mark.parametrize("name", TASKS)
def test_wrong_answers_do_not(name):
    task, samples, _ = tiny(name)
    batch, metric = task.encode(samples), task.metric()
    answers = task.decode(task.oracle(batch), batch)
    metric.update([*answers[1:], answers[0]], [s.target for s in samples])
    assert metric.compute()[task.score] < 0.9


@pytest.mark.parametrize("name", TASKS)
def test_spec_is_plain_and_makes_the_same_task(name):
    task, samples, _ = tiny(name)
    again = type(task)(json.loads(json.dumps(task.spec)))
    assert again.spec == task.spec
    one, other = task.encode(samples), again.encode(samples)
    assert torch.equal(one.x, other.x)
    assert all(torch.equal(v, other.y[k]) for k, v in one.y.items() if isinstance(v, Tensor))


@pytest.mark.parametrize("name", TASKS)
def test_loss_teaches_every_phase(name):
    task, samples, recipe = tiny(name)
    batch = task.encode(samples[:8])
    shape = batch.x.shape
    torch.manual_seed(0)
    outputs, model = task.num_outputs(), recipe.model or task.usual_model()
    net = task.build(sn.model(model, outputs, shape[1], imgsz=shape[-1]) if outputs else None)
    batch = type(batch)(batch.x.float() / 255, batch.y, batch.index_B, batch.sizes_B2)
    for phase in task.phases(net):
        parts = phase.loss(net, batch)
        sum(parts.values()).backward()
        assert all(torch.isfinite(part).all() and part.dim() == 0 for part in parts.values())
        assert all(p.grad is not None for p in phase.params)
    with torch.no_grad():
        assert len(task.decode(task.infer(net.eval(), batch), batch)) == len(batch)


@pytest.mark.parametrize("name", TASKS)
def test_good_samples_pass_and_can_be_drawn(name):
    task, samples, _ = tiny(name)
    assert [problem for sample in samples for problem in task.check(sample)] == []
    assert isinstance(task.draw(samples[0]), Image.Image)
    baseline = task.baseline(drawn(name)[0].train)
    assert 0 <= baseline[task.score] < 0.9
