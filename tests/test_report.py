"""The page of a run: whole, safe to open, and still there when a part of it is not."""

import html.parser
import re

import numpy as np
import pytest
import torch

from snellen import report
from snellen.core import runfolder
from snellen.doctor.chart import Chart
from snellen.doctor.finding import Finding
from snellen.report.page import build
from snellen.report.section import Section, all_sections
from snellen.report.sections import confusion, curves, filters, layers

EVIL = "<script>alert(1)</script>\"&'$x^2$"


def chart_of(num_layers=4):
    chart = Chart()
    for i in range(num_layers):
        facts = {"kind": "Conv2d", "module": f"conv{i}", "out_shape": [64, 8, 8, 8], "depth": i}
        chart.record({"kind": "layer", "step": 0, "name": f"conv{i}", "values": {"facts": facts}})
        values = {"mean": 0.1, "std": 1.2, "dead_share": 0.1 * i, "grad_norm": 10.0**-i}
        chart.record({"kind": "layer", "step": 90, "name": f"conv{i}", "values": values})
        values = {"facts": {"module": f"conv{i}", "is_bias": False}, "update_ratio": 1e-3}
        chart.record({"kind": "param", "step": 90, "name": f"conv{i}.weight", "values": values})
    return chart


def facts_of(classes=10, images=24, channels=1, names=None, epochs=12, **more):
    draw = torch.Generator().manual_seed(0)
    names = names or tuple(str(i) for i in range(classes))

    def image():
        shape = (channels, 8, 8) if channels == 1 else (channels, 300, 200)
        return torch.randint(0, 255, shape, dtype=torch.uint8, generator=draw)

    counts = torch.randint(0, 3, (classes, classes), generator=draw) + 40 * torch.eye(classes)
    history = [
        {"epoch": i, "loss": 2 / i, "val_loss": 2.2 / i, "accuracy": 1 - 0.5 / i, "lr": 0.01 / i}
        for i in range(1, epochs + 1)
    ]
    values = {
        "recipe": {"data": "digits", "model": "lenet", "epochs": epochs, "seed": 0, "lr": 0.01},
        "set_by": {"data": "you", "model": "default", "lr": "recipe"},
        "classes": names,
        "history": history,
        "best": {"accuracy": 0.9861, "loss": 0.0512},
        "confusion_KK": counts.long(),
        "mistakes": [
            (image(), names[0], names[-1], 0.91, f"a/{i}.png", 2.5) for i in range(images)
        ],
        "filters_OIHW": torch.randn(16, channels, 5, 5, generator=draw),
        "chart": chart_of(),
        "findings": (Finding("lr-too-low", "warning", "the loss fell by 1 %", do="lr=0.01"),),
        "choices": [("amp", "bf16", "this processor multiplies bf16")],
        "seconds": 9.3,
        "environment": {"torch": "2.13.0", "cpu": "two cores"},
        "class_counts": {name: 100 + i for i, name in enumerate(names)},
        "examples": {name: image() for name in names[:40]},
        "command": "snellen train digits",
    }
    return report.ReportFacts(**{**values, **more})


@pytest.fixture
def folder(tmp_path):
    return runfolder.create(tmp_path, "digits")


class Page(html.parser.HTMLParser):
    """Every tag and attribute of a page; complains where tags do not close."""

    VOID = ("meta", "img", "br", "link", "input", "hr")

    def __init__(self, source):
        super().__init__()
        self.open, self.tags, self.ids, self.links = [], [], [], []
        self.feed(source)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs[k] for k in ("src", "href", "xlink:href") if k in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def written(folder, facts):
    return Page(report.write(folder, facts).read_text(encoding="utf-8"))


def test_every_section_is_on_the_page_and_the_plots_are_pictures(folder):
    from PIL import Image

    page = written(folder, facts_of())
    assert set(all_sections()) <= set(page.ids)
    assert {p.name for p in folder.plots.iterdir()} >= {"curves.png", "confusion.png"}
    for path in folder.plots.iterdir():
        with Image.open(path) as picture:
            picture.load()
            assert min(picture.size) >= 80


def test_nothing_on_the_page_leads_out_of_it(folder):
    page = written(folder, facts_of(channels=3))
    assert all(link.startswith(("data:image/", "#")) for link in page.links)
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in page.tags}
    assert not any(k.startswith("on") for _, attrs in page.tags for k in attrs)
    source = folder.report.read_text(encoding="utf-8")
    urls = set(re.findall(r"https?://[^\s\"'<)]+", source))
    assert urls <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.findall(r"@import|url\((?!#)", source)


def test_links_inside_the_page_find_what_they_name_and_names_are_used_once(folder):
    page = written(folder, facts_of())
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    drawn = re.findall(r"url\(#([^)]+)\)", folder.report.read_text(encoding="utf-8"))
    assert set(drawn) <= set(page.ids)


def test_words_from_data_are_shown_and_not_obeyed(folder):
    names = (EVIL, "$\\frac{", "猫 🐈", *"3456789")
    facts = facts_of(
        names=names,
        recipe={"data": EVIL, "model": EVIL},
        environment={EVIL: EVIL},
        choices=[(EVIL, EVIL, EVIL)],
        findings=(Finding("x", "error", EVIL, paths=(EVIL,)),),
        mistakes=[(torch.zeros(1, 8, 8), EVIL, EVIL, 0.5, EVIL, 1.0)],
        best={EVIL: 0.5},
        data_notes=[EVIL],
        command=EVIL,
        history=[{"epoch": 1, EVIL: 0.5, "other": 0.4, "loss": 1.0}],
    )
    page = written(folder, facts)
    assert "script" not in [tag for tag, _ in page.tags]
    assert not any("failed" in (attrs.get("class") or "") for _, attrs in page.tags)


def test_every_picture_says_what_it_is(folder):
    page = written(folder, facts_of())
    pictures = [attrs for tag, attrs in page.tags if tag == "img"]
    drawings = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert len(pictures) >= 24
    assert len(drawings) == 4
    assert all(attrs.get("alt") for attrs in pictures)
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in drawings)


def test_a_section_with_nothing_to_show_is_left_out(folder):
    page = written(folder, report.ReportFacts(best={"accuracy": 0.5}))
    assert page.ids == ["summary"]
    assert list(folder.plots.iterdir()) == []
    line = "left out of train: a.jpg: broken <file>"
    page = written(folder, report.ReportFacts(data_notes=[line]))
    assert "data" in page.ids
    assert "a.jpg: broken &lt;file&gt;" in folder.report.read_text(encoding="utf-8")


def test_a_section_that_fails_says_so_and_the_others_stand(folder):
    page = written(folder, facts_of(filters_OIHW="not a tensor"))
    failed = [a for _, a in page.tags if a.get("class") == "failed"]
    assert len(failed) == 1
    assert set(all_sections()) <= set(page.ids)
    broken = Section("x", 1, lambda facts: 1 / 0)
    assert "ZeroDivisionError: division by zero" in build(broken, facts_of()).html


def test_a_section_of_a_users_own_is_one_file(folder, tmp_path, monkeypatch):
    from snellen.core import registry

    home = tmp_path / "mine" / "report" / "sections"
    home.mkdir(parents=True)
    home.joinpath("cost.py").write_text(
        "from snellen.report.section import Piece, Section\n"
        "SECTIONS = {'cost': Section('Cost', 15, lambda facts: Piece('<p>4 cents</p>'))}\n"
    )
    monkeypatch.setenv("SNELLEN_PATH", str(tmp_path / "mine"))
    registry.collect.cache_clear()
    try:
        page = written(folder, facts_of())
    finally:
        registry.collect.cache_clear()
    at = [i for i in page.ids if i in ("summary", "cost", "findings")]
    assert at == ["summary", "cost", "findings"]


@pytest.mark.parametrize("classes", [1, 2, 31, 1000])
def test_any_number_of_classes_is_drawn(folder, classes):
    page = written(
        folder, facts_of(classes=classes, names=tuple(f"class {i}" for i in range(classes)))
    )
    assert "confusion" in page.ids
    assert not any(a.get("class") == "failed" for _, a in page.tags)
    assert folder.report.stat().st_size < 3e6


def test_of_many_classes_the_worst_are_shown():
    counts = torch.eye(500, dtype=torch.long) * 50
    counts[400, 17] = 9
    assert {17, 400} <= set(confusion.chosen(counts))
    assert len(confusion.chosen(counts)) == confusion.MOST


def test_curves_hold_every_finite_value_and_say_what_they_leave_out(folder):
    rows = [{"epoch": 1, "loss": 2.0, "accuracy": 0.1}, {"epoch": 2, "loss": float("nan")}]
    panels = curves.gather(rows)
    assert panels["loss"] == {"training": [(1, 2.0)]}
    assert panels["learning rate"] == {}
    whole = curves.gather([{"epoch": 1, "loss": 2.5, "train_loss": 2.0}])["loss"]
    assert whole == {"training": [(1, 2.5)], "its data alone": [(1, 2.0)]}
    assert curves.gather([{"epoch": 1, "train_loss": 2.0}])["loss"] == {"training": [(1, 2.0)]}
    rows[0] |= {"train_accuracy": 0.2, "recall": 0.3}
    assert list(curves.gather(rows)["score"]) == ["accuracy", "train_accuracy"]
    assert "values from epoch 2" in curves.build(report.ReportFacts(history=rows)).html


def test_filters_keep_sign_and_scale():
    weights = torch.zeros(2, 1, 2, 2)
    weights[0, 0, 0, 0], weights[1, 0, 1, 1] = 0.5, -3.0
    pixels = np.asarray(filters.grid(weights)).astype(int)
    second = 2 * filters.ZOOM + filters.GAP  # where filter 1 begins
    assert pixels.shape == (2 * filters.ZOOM, second + 2 * filters.ZOOM, 3)
    assert pixels[0, 0].tolist() == [255] * 3  # the largest weight of filter 0
    assert pixels[-1, -1].tolist() == [0] * 3  # and the most negative of filter 1
    assert abs(pixels[0, second, 0] - 128) <= 1
    assert pixels[0, second - 1].tolist() == list(filters.BETWEEN)


def test_the_worst_layer_is_marked():
    chart = chart_of(6)
    chart.record({"kind": "layer", "step": 99, "name": "conv5", "values": {"dead_share": 0.97}})
    made = layers.build(report.ReportFacts(chart=chart)).html
    row = next(r for r in made.split("<tr>") if ">conv5<" in r)
    assert "97 %" in row
    assert 'class="bad" style="width:97%"' in row
    assert 'class="bad"' not in next(r for r in made.split("<tr>") if ">conv1<" in r)


def test_the_last_step_of_a_schedule_does_not_make_a_layer_look_dead():
    chart = chart_of(1)
    for step, ratio in ((91, 2e-3), (92, 3e-3), (93, 1e-9)):
        values = {"update_ratio": ratio}
        chart.record({"kind": "param", "step": step, "name": "conv0.weight", "values": values})
    assert layers.update_ratios(chart) == {"conv0": pytest.approx(1.5e-3)}
    assert 'class="bad"' not in layers.build(report.ReportFacts(chart=chart)).html


def test_images_with_nan_or_of_any_range_are_shown():
    from snellen.report.picture import to_picture

    image = torch.tensor([[[0.0, float("nan")], [8.0, 16.0]]])
    assert np.asarray(to_picture(image)).tolist() == [[0, 0], [128, 255]]
    assert to_picture(torch.full((1, 2, 2), float("nan"))).size == (2, 2)
    assert to_picture(torch.rand(3, 5, 4)).size == (4, 5)


def test_the_command_comes_from_the_run_folder_when_the_facts_have_none(folder):
    folder.command.write_text("snellen train digits epochs=3\n")
    report.write(folder, facts_of(command=""))
    assert "<pre>snellen train digits epochs=3</pre>" in folder.report.read_text(encoding="utf-8")
