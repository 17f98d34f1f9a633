"""Captions: scores against torchmetrics, sentences there and back, learning, attention."""

import csv
import json
import math
import random
from dataclasses import replace

import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

import snellen as sn
from snellen.core.errors import DataError
from snellen.data.open import open_data
from snellen.data.sample import Prediction, Sample, Target
from snellen.data.vocabulary import END, UNKNOWN, Vocabulary, words_of
from snellen.data.world_set import WorldSet, world_source
from snellen.data.worlds import World
from snellen.tasks._told import SentenceScores
from snellen.tasks.caption import NONE, Caption

INPUTS = {"channels": 3, "height": 16, "width": 16, "mean": [0.5] * 3, "std": [0.25] * 3}
SMALL = {"widths": (4, 8), "hidden": 8}
ONE = World(32, 32, most=1, smallest=0.2, largest=0.3, clutter=0, noise=4.0, empty=0.0, striped=0.0)


def scores(pairs):
    metric = SentenceScores()
    metric.update([Prediction(text=said) for said, _ in pairs],
                  [Target(text="\n".join(true)) for _, true in pairs])  # fmt: skip
    return metric.compute()


def task_of(*texts, **more):
    known = Vocabulary.of(texts, 100)
    steps = 1 + max(len(words_of(text)) for text in texts)
    return Caption({"words": list(known.words), "steps": steps, "captions": 2, "cuts": False,
                    "inputs": INPUTS, **more})  # fmt: skip


def sample(text, index=0):
    return Sample(torch.zeros(3, 16, 16, dtype=torch.uint8), Target(text=text), index)


# Scores -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_bleu_is_that_of_torchmetrics(seed):
    text = pytest.importorskip("torchmetrics.functional.text")
    pick = random.Random(seed)

    def near(words):
        return [pick.choice("abcde") if pick.random() < 0.2 else word for word in words]

    pairs = []
    for _ in range(20):
        true = [pick.choice("abcde") for _ in range(pick.randint(3, 12))]
        said = near(true)[: pick.randint(2, 12)]
        pairs.append((" ".join(said), [" ".join(near(true)) for _ in range(pick.randint(1, 3))]))
    wanted = text.bleu_score([said for said, _ in pairs], [true for _, true in pairs])
    assert 0 < scores(pairs)["BLEU-4"] == pytest.approx(float(wanted), rel=1e-5)


def test_a_sentence_is_exact_where_it_is_one_of_those_that_people_said():
    pairs = [("A cat, a dog.", ["two pets", "a cat , a dog ."]), ("a cat", ["a cat there"])]
    assert scores(pairs)["exact"] == 0.5
    assert scores([("a cat", ["a cat"]), ("a dog", ["a dog"])]) == {"BLEU-4": 1.0, "exact": 1.0}
    assert scores([("", ["a cat sat here"])]) == {"BLEU-4": 0.0, "exact": 0.0}
    assert scores([("x", [])]) == {"BLEU-4": 0.0, "exact": 0.0}
    short = scores([("a cat sat here", ["a cat sat here on a mat"])])
    assert short["BLEU-4"] == pytest.approx(math.exp(1 - 7 / 4))


# Sentences and numbers ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["a dog", "A man's half-eaten pie, isn't it?", "3 (three) - cats; 'so'!", "été 猫 ..."]
)
def test_words_come_back_from_their_numbers(text):
    known = Vocabulary.of([text], 100)
    numbers = known.numbers(text)
    assert UNKNOWN not in numbers
    assert words_of(known.text([*numbers, END, 3])) == words_of(text)


def test_rare_words_and_long_sentences_are_not_learned_as_if_they_were_known():
    task = task_of("a red cat", captions=2)
    words = task.encode([sample("a blue cat\na cat and a red dog")]).y["words"]
    place = {word: i for i, word in enumerate(task.names())}
    a, cat, red = (place[word] for word in ("a", "cat", "red"))
    assert words.tolist() == [[[a, UNKNOWN, cat, END], [a, cat, UNKNOWN, a]]]
    assert task.encode([sample("a")]).y["words"][0].tolist() == [[a, END, NONE, NONE], [NONE] * 4]
    assert red not in words


def test_the_loss_is_the_mean_over_the_words_that_are_known():
    task = task_of("a red cat")
    batch = task.encode([sample("a blue cat\na red cat"), sample("a")])
    logits = torch.randn(2, 2, 4, 5, generator=torch.Generator().manual_seed(0))

    class Fixed(nn.Module):
        def forward(self, x, before):
            self.before = before
            return logits

    net = Fixed()
    found = task.loss(net, batch)["loss"]
    words = batch.y["words"]
    places = [(b, n, t) for b in range(2) for n in range(2) for t in range(4)
              if words[b, n, t] not in (NONE, UNKNOWN)]  # fmt: skip
    each = [-logits[at].log_softmax(0)[words[at]] for at in places]
    assert len(each) == 3 + 4 + 2
    torch.testing.assert_close(found, torch.stack(each).mean())
    assert net.before[0, 1].tolist() == [END, *words[0, 1, :3].tolist()]
    assert net.before.min() >= 0


def test_told_its_own_words_the_network_says_them_again():
    """Teacher forcing and free running are one decoder; several sentences share one picture."""
    task = task_of("a red cat sat there")
    torch.manual_seed(0)
    net = task.build(sn.model("show_attend_tell-small", classes=task.num_outputs(), **SMALL)).eval()
    for parameter in net.head.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(4, 3, 16, 16)
    logits = net(x)
    assert logits.shape == (4, 6, 7)
    before = F.pad(logits.argmax(2)[:, :-1], (1, 0))
    torch.testing.assert_close(net(x, before), logits)
    twice = net(x, torch.stack([before, before.roll(1, 0)], 1))
    torch.testing.assert_close(twice[:, 0], logits)
    torch.testing.assert_close(twice[:, 1], net(x, before.roll(1, 0)))
    weights = net.head.weights(net.features(x)["stage2"], before)
    torch.testing.assert_close(weights.sum((2, 3)), torch.ones(4, 6))


# Learning -----------------------------------------------------------------------------------


def test_attention_falls_on_the_shape_when_its_colour_is_told():
    """One thing covers less than 0.3 of the cells; of three seeds each put 0.96 of the weight on it
    after 50 steps, where an even look would put its share.
    """
    source = replace(world_source(ONE, ()), train=WorldSet(0, 300, ONE))
    task = Caption.from_source(source)
    torch.manual_seed(0)
    net = task.build(sn.model("show_attend_tell-small", classes=task.num_outputs(),
                              widths=(16, 32, 48), hidden=64))  # fmt: skip
    learned, unseen = (task.encode([WorldSet(seed, count, ONE)[i] for i in range(count)])
                       for seed, count in ((0, 300), (1, 60)))  # fmt: skip
    x = task.inputs().prepare(learned.x)
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3)
    for step in range(50):
        rows = torch.arange(step * 32, step * 32 + 32) % 300
        loss = task.loss(net, replace(learned.select(rows), x=x[rows]))["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    net.eval()
    masks = torch.stack([WorldSet(1, 60, ONE)[i].target.masks_NHW[0] for i in range(60)])
    covered = F.max_pool2d(masks[:, None].float(), 4)
    assert covered.mean() < 0.3
    before = F.pad(unseen.y["words"][:, 0, :-1], (1, 0)).clamp(min=END)
    with torch.no_grad():
        seen = net.features(task.inputs().prepare(unseen.x))["stage3"]
        weights = net.head.weights(seen, before)
    is_colour = 1  # "a red circle"
    assert (weights[:, is_colour] * covered[:, 0]).sum((1, 2)).mean() > 0.75


def coco(folder, count=12):
    """Pictures of one colour, each with two captions that say it."""
    (folder / "images").mkdir(parents=True)
    rows, colours = [], ["red", "blue"]
    for i in range(count):
        said = colours[i % 2]
        Image.new("RGB", (20, 16), said).save(folder / "images" / f"{i}.png")
        rows += [{"id": 2 * i, "image_id": i, "caption": f"A {said} field of nothing."},
                 {"id": 2 * i + 1, "image_id": i, "caption": f"nothing but {said}"}]  # fmt: skip
    images = [{"id": i, "file_name": f"{i}.png"} for i in range(count)]
    document = {"images": images, "annotations": rows}
    (folder / "captions_train.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def test_coco_captions_train_predict_and_eval(tmp_path):
    data = coco(tmp_path / "data")
    settings = {"task": "caption", "imgsz": 16, "batch": 4, "epochs": 1, "threads": 1, "lr": 0.02,
                "project": tmp_path / "runs", "quiet": True}  # fmt: skip
    run = sn.train(data, **settings)
    assert run.status == "finished"
    assert not [f for f in run.findings if f.level == "error"]
    assert set(run.metrics) == {"BLEU-4", "exact", "loss"}
    with open(run.path / "predictions.csv", newline="") as file:
        head, *rows = list(csv.reader(file))
    assert head == ["file", "text", "score"]
    assert len(rows) == 2  # a fifth of 12 held out
    assert run.evaluate() == pytest.approx(run.metrics, abs=1e-6)
    told = list(run.predict_files([str(data / "images" / "0.png")]))
    assert [set(one) for one in told] == [{"file", "text", "score"}]
    assert 0 <= told[0]["score"] <= 1
    spec = sn.load(run.path).predictor.task.spec
    assert (spec["steps"], spec["captions"], spec["cuts"]) == (7, 2, False)


def test_data_without_sentences_are_refused_with_what_would_do(tmp_path):
    with pytest.raises(DataError, match="task=caption wants COCO's"):
        sn.train("digits", task="caption", project=tmp_path, epochs=1)
    with pytest.raises(DataError, match="no sentences"):
        Caption.adapt(open_data("shapes", task="classify"))


def test_samples_of_ones_own_with_a_text_are_learned_from():
    items = [sample("a field", i) for i in range(4)]
    task = task_of("a field")
    assert [task.check(one) for one in items] == [[]] * 4
    assert [p.id for p in task.check(sample(" \n"))] == ["label-missing"]
    assert task.draw(items[0]).size[0] >= 256


def test_it_is_written_as_a_graph_of_any_number_of_pictures():
    net = sn.model("show_attend_tell-small", classes=6, steps=2, **SMALL).eval()
    two, three = torch.randn(2, 3, 16, 16), torch.randn(3, 3, 16, 16)
    graph = torch.export.export(net, (two,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.testing.assert_close(graph.module()(three), net(three))
