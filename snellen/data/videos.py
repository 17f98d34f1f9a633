"""Drawn videos: worlds in which things move, cross one another, bounce, leave and come in.

A pure function of (seed, index, world, motion). Where a thing is at frame t is written in closed
form, so each frame can be drawn alone, and things keep their identity over all frames. NumPy only.
"""

from dataclasses import dataclass

import numpy as np

from ..core.errors import UsageError
from .people import Person, figure, pose_of
from .scenes import SHAPES
from .worlds import (
    COLOURS,
    Scene,
    Thing,
    World,
    bare_ground,
    cover_of,
    grained,
    ink_of,
    paint,
    seen_of,
)

STRIPE = 4.2  # pixels from a stripe to the next; they turn with the thing
REACH = 1.3  # of a radius: no joint of a person is further from the centre


@dataclass(frozen=True)
class Motion:
    """How things move. Speeds are shares of the picture's shorter side a frame.

    Raises UsageError where nothing could move so.
    """

    frames: int = 16
    slowest: float = 0.005
    fastest: float = 0.04
    leaves: float = 0.3  # share of things that go straight on, in and out; others bounce
    spin: float = 0.1  # radians a frame at most
    stride: float = 12.0  # frames from a step of a person to the next

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise UsageError(f"a video of {self.frames} frames; 1 is the least")
        if not 0 <= self.slowest <= self.fastest:
            raise UsageError(f"speeds from {self.slowest} to {self.fastest} of the shorter side; "
                             "0 <= slowest <= fastest is wanted")  # fmt: skip
        if not (0 <= self.leaves <= 1 and self.stride > 0):
            raise UsageError(f"leaves={self.leaves}, stride={self.stride}; a share in 0..1 and "
                             "frames above 0 are wanted")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Actor:
    """A thing and its way: at `start` in frame 0 (as if never bounced), by `speed` a frame."""

    label: int
    colour: str
    striped: bool
    ink: np.ndarray
    radius: float
    start: np.ndarray  # x, y
    speed: np.ndarray
    bounces: bool
    turn: float
    spin: float
    poses: np.ndarray | None = None  # two, a person's joints swing between them: (2, K, 2)


@dataclass(frozen=True, eq=False)
class Video:
    """A ground and who moves on it; `draw_frame` draws it at a time."""

    seed: int
    index: int
    world: World
    motion: Motion
    ground_HWC: np.ndarray
    actors: tuple[Actor, ...]  # the ones in front last


def plan_video(
    seed: int, index: int, world: World | None = None, motion: Motion | None = None
) -> Video:
    """Seed, index, world, motion -> a video that is not drawn yet, the same each time.

    >>> len(plan_video(0, 1, World(fewest=3, most=3, empty=0.0)).actors)
    3
    """
    world, motion = world or World(), motion or Motion()
    random = np.random.Generator(np.random.PCG64([seed, index, 2]))
    ground = bare_ground(random, world)
    count = 0 if random.random() < world.empty else random.integers(world.fewest, world.most + 1)
    actors = [_actor(random, world, motion) for _ in range(count)]
    return Video(seed, index, world, motion, ground, tuple(actors))


def draw_video(
    seed: int, index: int, world: World | None = None, motion: Motion | None = None
) -> tuple[Scene, ...]:
    """Seed, index, world, motion -> the frames. A thing is left out where nothing of it is seen.

    >>> frames = draw_video(0, 4, World(fewest=2, most=2, empty=0.0), Motion(frames=3))
    >>> for frame in frames:
    ...     print({thing.identity: thing.box for thing in frame.things})
    {0: (56, 9, 79, 31), 1: (15, 12, 31, 28)}
    {0: (58, 10, 80, 32), 1: (17, 15, 31, 31)}
    {0: (59, 11, 82, 33), 1: (18, 17, 33, 33)}
    """
    video = plan_video(seed, index, world, motion)
    return tuple(draw_frame(video, t) for t in range(video.motion.frames))


def draw_frame(video: Video, t: int) -> Scene:
    """The picture at frame t and the things that can be seen in it.

    >>> video = plan_video(2, 0)
    >>> bool((draw_frame(video, 3).pixels_HWC == draw_frame(video, 3).pixels_HWC).all())
    True
    """
    canvas = video.ground_HWC.copy()
    owner = np.full(canvas.shape[:2], -1)
    drawn, areas = [], []
    for k, actor in enumerate(video.actors):
        centre = place_of(actor, t, video.world)
        area, person = _draw(actor, t, centre, (canvas, owner, k), video.motion)
        drawn.append(Thing(actor.label, actor.colour, actor.striped, owner, person, identity=k))
        areas.append(area)
    random = np.random.Generator(np.random.PCG64([video.seed, video.index, 3, t]))
    seen = seen_of(drawn, areas, owner)
    things = tuple(thing for thing in seen if thing.shown > 0)
    return Scene(grained(random, canvas, video.world.noise), things)


def place_of(actor: Actor, t: float, world: World) -> np.ndarray:
    """x, y of an actor's centre at frame t: straight on, or folded at the edges.

    >>> still = World(height=20, width=20)
    >>> right = Actor(0, "red", False, np.zeros(3), 4.0, np.array([6.0, 9]), np.array([3.0, 0]),
    ...               True, 0.0, 0.0)
    >>> [place_of(right, t, still).tolist()[0] for t in range(6)]
    [6.0, 9.0, 12.0, 15.0, 14.0, 11.0]
    """
    straight = actor.start + actor.speed * t
    if not actor.bounces:
        return straight
    room = np.array([world.width, world.height]) - 2 * actor.radius
    folded = (straight - actor.radius) % (2 * room)
    return actor.radius + np.minimum(folded, 2 * room - folded)


def _actor(random: np.random.Generator, world: World, motion: Motion) -> Actor:
    side = min(world.height, world.width)
    radius = side * random.uniform(world.smallest, world.largest)
    extent = np.array([world.width, world.height])
    there = radius + (extent - 2 * radius) * random.random(2)
    course, pace = random.uniform(0, 2 * np.pi), random.uniform(motion.slowest, motion.fastest)
    speed = pace * side * np.array([np.cos(course), np.sin(course)])
    colour = str(random.choice(list(COLOURS)))
    bounces = bool(random.random() >= motion.leaves)
    when = 0 if bounces else random.integers(motion.frames)  # it is wholly inside then
    return Actor(
        label=0 if world.people else int(random.integers(len(SHAPES))),
        colour=colour,
        striped=not world.people and bool(random.random() < world.striped),
        ink=ink_of(random, colour),
        radius=radius,
        start=there - speed * when,
        speed=speed,
        bounces=bounces,
        turn=random.uniform(0, 2 * np.pi),
        spin=random.uniform(-motion.spin, motion.spin),
        poses=np.stack([pose_of(random), pose_of(random)]) if world.people else None,
    )


def _draw(
    actor: Actor, t: int, centre: np.ndarray, layers: tuple[np.ndarray, np.ndarray, int],
    motion: Motion,
) -> tuple[int, Person | None]:  # fmt: skip
    """Draw on the pixels around the centre alone; how many pixels the whole thing has."""
    canvas, owner, k = layers
    reach = REACH * actor.radius + 2
    low, side = np.floor(centre - reach).astype(int), 2 * int(np.ceil(reach)) + 2
    cover, across, person = _shape(actor, t, (centre, low, side), motion)
    extent = owner.shape[::-1]
    first, last = np.clip(low, 0, extent), np.clip(low + side, 0, extent)
    view = np.s_[first[1] : last[1], first[0] : last[0]]
    here = np.s_[first[1] - low[1] : last[1] - low[1], first[0] - low[0] : last[0] - low[0]]
    paint(canvas[view], cover[here], actor.ink, None if across is None else across[here])
    owner[view][cover[here] > 0.5] = k
    return max(1, int((cover > 0.5).sum())), person


def _shape(
    actor: Actor, t: int, place: tuple[np.ndarray, np.ndarray, int], motion: Motion
) -> tuple[np.ndarray, np.ndarray | None, Person | None]:
    """A square of pixels around the centre -> how much of each is covered, where no stripe is."""
    centre, low, side = place
    if actor.poses is not None:
        swing = 0.5 - 0.5 * np.cos(2 * np.pi * t / motion.stride)
        joints = actor.poses[0] + (actor.poses[1] - actor.poses[0]) * swing
        person = Person(centre + actor.radius * joints)
        return figure(person.joints_K2 - low, (side, side), actor.radius), None, person
    x, y = (low[axis] + np.arange(side) + 0.5 - centre[axis] for axis in (0, 1))
    x, y, turn = x[None], y[:, None], actor.turn + actor.spin * t
    across = (x * np.cos(turn) + y * np.sin(turn)) % STRIPE < STRIPE / 2 if actor.striped else None
    return cover_of(actor.label, x, y, actor.radius, turn), across, None
