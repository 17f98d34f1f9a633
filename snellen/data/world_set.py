"""Drawn worlds as samples: everything that is true of a scene, for whichever task asks.

`WORLDS` says which world stands for which task where the user has no data: the word `shapes`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch

from .people import JOINTS, LIMBS, MIRROR
from .sample import Sample, Skeleton, Target
from .scenes import SHAPES
from .source import SampleSet, Source
from .videos import Motion, draw_frame, plan_video
from .worlds import ATTRIBUTES, Scene, Thing, World, draw_world, name_of

GROUND = "ground"  # in a semantic map: class 0
NUMBERS = ("things", "covered share")  # what is counted in a scene
KEPT = 2400  # scenes that are kept once drawn: all of `shapes`, 130 MB; of a person 10 ms each
SMALL = 96 * 96 * 6  # pixels of a scene that is kept, in its picture and the mask of each thing


@dataclass(frozen=True)
class WorldSet(SampleSet):
    """`count` scenes of a seed; sample i is drawn when first asked for, the same each time.

    >>> sample = WorldSet(0, 10, World())[3]
    >>> len(sample.target.labels) == len(sample.target.boxes_N4) == len(sample.target.masks_NHW)
    True
    """

    seed: int
    count: int
    world: World

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> Sample:
        is_small = self.world.height * self.world.width * (1 + self.world.most) <= SMALL
        scene = (_kept_world if is_small else draw_world)(self.seed, i, self.world)
        return Sample(_image(scene), truth(scene), i)


@dataclass(frozen=True)
class VideoSet(SampleSet):
    """`count` videos of a seed, a sample a frame: frame i % frames of video i // frames.

    `identities_N` are those of the whole set: no two videos share one.

    >>> videos = VideoSet(0, 10, World(fewest=2, most=2, empty=0.0), Motion(frames=4))
    >>> len(videos), videos[5].target.identities_N, videos[6].target.identities_N
    (40, tensor([2, 3]), tensor([2, 3]))
    """

    seed: int
    count: int
    world: World
    motion: Motion

    def __len__(self) -> int:
        return self.count * self.motion.frames

    def __getitem__(self, i: int) -> Sample:
        index, t = divmod(i, self.motion.frames)
        scene = draw_frame(plan_video(self.seed, index, self.world, self.motion), t)
        own = torch.tensor([thing.identity for thing in scene.things], dtype=torch.int64)
        target = replace(truth(scene), identities_N=own + index * self.world.most)
        return Sample(_image(scene), target, i)


@lru_cache(KEPT)
def _kept_world(seed: int, index: int, world: World) -> Scene:
    return draw_world(seed, index, world)


def _image(scene: Scene) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(scene.pixels_HWC.transpose(2, 0, 1)))


def truth(scene: Scene) -> Target:
    """All that is true of a scene. Boxes and masks hold what can be seen of a thing.

    A joint is hidden (visibility 1) where something is in front of it, and not labelled (0)
    outside of the picture.
    """
    things, (height, width) = scene.things, scene.pixels_HWC.shape[:2]
    masks_NHW = torch.from_numpy(np.array([t.seen_HW for t in things])).reshape(-1, height, width)
    semantic_HW = torch.zeros(height, width, dtype=torch.int64)
    for thing, mask_HW in zip(things, masks_NHW, strict=True):
        semantic_HW[mask_HW] = thing.label + 1
    people = [t for t in things if t.person is not None]
    joints_NK2 = torch.from_numpy(np.array([t.person.joints_K2 for t in people if t.person]))
    has_people = len(people) == len(things) > 0
    return Target(
        label=things[0].label if len(things) == 1 else None,
        labels=torch.tensor([t.label for t in things], dtype=torch.int64),
        boxes_N4=torch.tensor([t.box for t in things]).float().reshape(-1, 4),
        masks_NHW=masks_NHW,
        semantic_HW=semantic_HW,
        keypoints_NK2=joints_NK2.float() if has_people else None,
        visibility_NK=_visibility(people) if has_people else None,
        attributes_A=_attributes(things),
        values_V=torch.tensor([float(len(things)), float(masks_NHW.any(0).float().mean())])
        if things else torch.zeros(len(NUMBERS)),
        text=scene.sentence(),
    )  # fmt: skip


def _visibility(people: list[Thing]) -> torch.Tensor:
    """2 where the pixel under a joint is the person's own, 0 outside of the picture, else 1."""
    rows = []
    for thing in people:
        assert thing.person is not None
        height, width = thing.seen_HW.shape
        x, y = np.floor(thing.person.joints_K2.T).astype(int)
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        seen = inside & thing.seen_HW[y.clip(0, height - 1), x.clip(0, width - 1)]
        rows.append(np.where(seen, 2, np.where(inside, 1, 0)))
    return torch.from_numpy(np.array(rows))


def _attributes(things: tuple[Thing, ...]) -> torch.Tensor:
    """attributes_A: which of ATTRIBUTES some thing of the scene has."""
    words = {w for t in things for w in (name_of(t), t.colour, "striped" * t.striped)}
    return torch.tensor([float(word in words) for word in ATTRIBUTES])


def world_source(world: World, classes: tuple[str, ...]) -> Source:
    """2,000 scenes to train on and 400 of another seed, under the name `shapes`."""
    skeleton = Skeleton(JOINTS, LIMBS, MIRROR) if world.people else None
    parts = WorldSet(0, 2000, world), WorldSet(1, 400, world)
    return Source(
        "shapes", "shapes", parts[0], classes, parts[1],
        attributes=ATTRIBUTES, values=NUMBERS, skeleton=skeleton,
    )  # fmt: skip


def _people() -> Source:
    crowd = World(people=True, most=3, smallest=0.22, largest=0.4, hidden=0.2)
    return world_source(crowd, ("person",))


def _videos() -> Source:
    """100 videos to train on and 20 of another seed, of 20 frames each."""
    parts = [
        VideoSet(seed, count, World(), Motion(frames=20)) for seed, count in ((0, 100), (1, 20))
    ]
    return Source("shapes", "shapes", parts[0], SHAPES, parts[1])


WORLDS: dict[str, Callable[[], Source]] = {  # task -> its data where `shapes` is asked for
    "detect": lambda: world_source(World(), SHAPES),
    "instances": lambda: world_source(World(), SHAPES),
    "segment": lambda: world_source(World(), (GROUND, *SHAPES)),
    "localise": lambda: world_source(
        World(most=1, smallest=0.12, largest=0.3, empty=0.0), SHAPES
    ),
    "tag": lambda: world_source(World(most=3), ATTRIBUTES),
    "regress": lambda: world_source(World(), ()),
    "caption": lambda: world_source(
        World(48, 48, most=2, smallest=0.15, largest=0.24, hidden=0.0, clutter=3, noise=6.0,
              empty=0.0), ()
    ),
    "pose": _people,
    "restore": lambda: world_source(World(height=48, width=48, noise=0.0), ()),
    "track": _videos,
}  # fmt: skip
