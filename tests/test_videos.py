"""Drawn videos: what moves keeps its identity, and what is said of a frame is what it shows."""

import numpy as np
import pytest
import torch
from PIL import Image

from snellen.core.errors import UsageError
from snellen.data.mot import write_mot
from snellen.data.open import open_data
from snellen.data.scenes import SHAPES
from snellen.data.videos import Motion, draw_frame, draw_video, place_of, plan_video
from snellen.data.world_set import VideoSet
from snellen.data.worlds import COLOURS, World, name_of

CROWD = World(height=60, width=90, fewest=4, most=6, empty=0.0)
LIVELY = Motion(frames=20, fastest=0.1, leaves=0.5)


def videos(world=CROWD, motion=LIVELY, count=12):
    return [draw_video(3, i, world, motion) for i in range(count)]


def test_a_frame_is_a_function_of_seed_index_world_motion_and_time():
    whole = draw_video(5, 2, CROWD, LIVELY)
    alone = draw_frame(plan_video(5, 2, CROWD, LIVELY), 7)
    assert np.array_equal(whole[7].pixels_HWC, alone.pixels_HWC)
    assert [t.box for t in whole[7].things] == [t.box for t in alone.things]
    longer = draw_video(5, 2, CROWD, Motion(frames=20, fastest=0.1, leaves=0.0))
    others = (draw_video(5, 3, CROWD, LIVELY)[7], draw_video(6, 2, CROWD, LIVELY)[7], longer[7])
    assert not any(np.array_equal(alone.pixels_HWC, other.pixels_HWC) for other in others)


def test_an_identity_is_one_thing_in_all_frames():
    for frames in videos():
        kinds = {}
        for thing in (t for frame in frames for t in frame.things):
            kind = (thing.label, thing.colour, thing.striped)
            assert kinds.setdefault(thing.identity, kind) == kind
        assert all(len({t.identity for t in f.things}) == len(f.things) for f in frames)


def test_what_is_said_of_a_frame_is_what_it_shows():
    plain = World(60, 90, 4, 6, noise=0.0, striped=0.0, empty=0.0, clutter=0)
    right = seen = 0
    for frames in videos(plain, count=4):
        for frame in frames:
            masks = np.stack([t.seen_HW for t in frame.things])
            assert masks.sum(0).max() <= 1  # a pixel belongs to one thing
            for thing in frame.things:
                x1, y1, x2, y2 = thing.box
                assert thing.seen_HW[y1:y2, x1:x2].sum() == thing.seen_HW.sum() > 0
                assert 0 < thing.shown <= 1
                mean = frame.pixels_HWC[thing.seen_HW].mean(0)
                near = min(COLOURS, key=lambda c, m=mean: np.abs(np.array(COLOURS[c]) - m).sum())
                if thing.seen_HW.sum() > 60:
                    seen += 1
                    right += near == thing.colour
    assert seen > 150
    assert right > 0.97 * seen


def test_things_hide_leave_come_in_and_bounce():
    hidden = left = came = 0
    for frames in videos(count=30):
        first, last = ({t.identity for t in frames[k].things} for k in (0, -1))
        left, came = left + len(first - last), came + len(last - first)
        hidden += sum(t.shown < 0.5 for frame in frames for t in frame.things)
    assert min(left, came, hidden) > 9
    for i in range(20):
        video = plan_video(0, i, CROWD, Motion(frames=200, fastest=0.3, leaves=0.0))
        for actor in video.actors:
            way = np.array([place_of(actor, t, CROWD) for t in range(200)])
            room = np.array([90, 60]) - actor.radius + 1e-9
            assert (way >= actor.radius - 1e-9).all()
            assert (way <= room).all()
            steps = np.linalg.norm(np.diff(way, axis=0), axis=1)
            assert steps.max() <= np.linalg.norm(actor.speed) + 1e-9  # nothing jumps


def test_a_thing_that_is_not_hidden_is_whole():
    """Of a circle the whole area is known: pi r^2."""
    alone = World(fewest=1, most=1, empty=0.0)
    count = 0
    for i in range(40):
        video = plan_video(1, i, alone, Motion(frames=9, leaves=0.0))
        for frame in (draw_frame(video, t) for t in (0, 8)):
            (thing,), (actor,) = frame.things, video.actors
            assert thing.shown == 1.0
            if name_of(thing) == "circle":
                count += 1
                area = np.pi * actor.radius**2
                assert thing.seen_HW.sum() == pytest.approx(area, rel=0.06)
    assert count > 4


def test_people_walk_with_their_joints():
    crowd = World(people=True, most=2, fewest=1, smallest=0.25, largest=0.4, empty=0.0)
    for i in range(5):
        first, last = draw_video(2, i, crowd, Motion(frames=7, leaves=0.0))[::6]
        for a in first.things:
            b = next((t for t in last.things if t.identity == a.identity), None)
            if b is not None:
                joints = [t.person.joints_K2 - t.person.joints_K2[8] for t in (a, b)]
                assert np.abs(joints[0] - joints[1]).max() > 1  # limbs move against the hip


def test_samples_are_frames_whose_identities_are_of_the_whole_set():
    some = VideoSet(1, 6, CROWD, Motion(frames=4))
    assert len(some) == 24
    home = {}
    for i in range(24):
        target = some[i].target
        assert len(target.identities_N) == len(target.boxes_N4) == len(target.masks_NHW)
        for identity, label in zip(target.identities_N.tolist(), target.labels, strict=True):
            assert home.setdefault(identity, (i // 4, int(label))) == (i // 4, int(label))
    assert len(home) > 20
    empty = VideoSet(0, 1, World(fewest=0, most=0), Motion(frames=2))[1].target
    assert empty.identities_N.shape == (0,)
    assert empty.identities_N.dtype == torch.int64


def test_the_word_shapes_has_videos():
    source = open_data("shapes", task="track")
    assert len(source.train) == 2000
    assert source.train[21].target.identities_N is not None
    assert not torch.equal(source.train[0].image_CHW, source.val[0].image_CHW)


@pytest.mark.parametrize("knob", [{"frames": 0}, {"slowest": 0.2}, {"leaves": 2.0}, {"stride": 0}])
def test_a_motion_that_nothing_can_have_is_refused(knob):
    with pytest.raises(UsageError, match=r"frames|speeds|leaves"):
        Motion(**knob)


def test_mot_says_frames_identities_and_boxes(tmp_path):
    frames = draw_video(0, 7, CROWD, Motion(frames=5, leaves=1.0, fastest=0.1))
    folder = write_mot(frames, tmp_path / "seq", SHAPES)
    lines = [line.split(",") for line in (folder / "gt" / "gt.txt").read_text().splitlines()]
    assert len(lines) == sum(len(frame.things) for frame in frames)
    names = (folder / "gt" / "labels.txt").read_text().split()
    for words in lines:
        t, identity, x, y, w, h, _, kind = map(int, words[:8])
        thing = next(a for a in frames[t - 1].things if a.identity == identity - 1)
        assert thing.box == (x - 1, y - 1, x - 1 + w, y - 1 + h)
        assert names[kind - 1] == name_of(thing)
        assert float(words[8]) == pytest.approx(thing.shown, abs=6e-4)
    for t, frame in enumerate(frames, 1):
        pixels = np.asarray(Image.open(folder / "img1" / f"{t:06}.png"))
        assert np.array_equal(pixels, frame.pixels_HWC)
    assert "seqLength=5" in (folder / "seqinfo.ini").read_text()
    with pytest.raises(FileExistsError):
        write_mot(frames, folder, SHAPES)
