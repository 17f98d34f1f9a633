"""Drawn worlds: several coloured things on textured ground, with everything true of them known.

A pure function of (seed, index, world): boxes, masks, classes for each pixel, attributes, numbers
and a sentence come out of the same drawing, so they agree. NumPy only, a few milliseconds each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..core.errors import UsageError
from .people import Person, draw_person
from .scenes import OUTLINES, SHAPES

COLOURS = {  # far apart, on a ground of no strong hue
    "red": (214, 48, 38),
    "green": (46, 160, 67),
    "blue": (42, 84, 208),
    "yellow": (236, 200, 40),
    "purple": (146, 60, 176),
    "white": (244, 244, 244),
}
ATTRIBUTES = (*SHAPES, *COLOURS, "striped")
TRIES = 24  # places tried for a thing before it is given up


@dataclass(frozen=True)
class World:
    """What scenes hold and how hard they are to see. Sizes are shares of the shorter side.

    Raises UsageError where a value cannot be drawn.
    """

    height: int = 96
    width: int = 96
    fewest: int = 1  # things in a scene
    most: int = 5
    smallest: float = 0.08  # a thing's radius
    largest: float = 0.2
    hidden: float = 0.25  # the share of a thing that others may cover
    clutter: int = 5  # strokes in the ground that are nothing
    noise: float = 10.0  # standard deviation of the grain, of 255
    striped: float = 0.25  # share of things with stripes
    empty: float = 0.04  # share of scenes without a thing
    people: bool = False  # stick people in place of shapes

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 16:
            raise UsageError(
                f"a world of {self.height} x {self.width} pixels; 16 x 16 is the least"
            )
        if not 0 <= self.fewest <= self.most:
            raise UsageError(f"from {self.fewest} to {self.most} things; 0 <= fewest <= most")
        if not 0 < self.smallest <= self.largest < 0.5:
            raise UsageError(f"radii from {self.smallest} to {self.largest} of the shorter side; "
                             "0 < smallest <= largest < 0.5 is wanted")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Thing:
    """One thing of a scene: what it is, and the pixels of it that can be seen."""

    label: int  # into SHAPES; 0 for a person
    colour: str
    striped: bool
    seen_HW: np.ndarray  # bool
    person: Person | None = None
    shown: float = 1.0  # the share of it that can be seen
    identity: int | None = None  # in a video: the same in all frames

    @property
    def box(self) -> tuple[int, int, int, int]:
        """x1, y1, x2, y2 around what can be seen, half-open."""
        rows, cols = np.nonzero(self.seen_HW.any(1))[0], np.nonzero(self.seen_HW.any(0))[0]
        return int(cols[0]), int(rows[0]), int(cols[-1]) + 1, int(rows[-1]) + 1


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and its things, the ones in front last."""

    pixels_HWC: np.ndarray  # uint8
    things: tuple[Thing, ...]

    def sentence(self) -> str:
        """The things from left to right in words.

        >>> draw_world(0, 2, World(fewest=2, most=2)).sentence()
        'a striped red circle and a green circle'
        """
        in_order = sorted(self.things, key=lambda thing: thing.box[0] + thing.box[2])
        words = [f"a {'striped ' * t.striped}{t.colour} {name_of(t)}" for t in in_order]
        if len(words) < 2:
            return words[0] if words else "nothing"
        return f"{', '.join(words[:-1])} and {words[-1]}"


def name_of(thing: Thing) -> str:
    """The class of a thing in words."""
    return "person" if thing.person else SHAPES[thing.label]


def draw_world(seed: int, index: int, world: World) -> Scene:
    """Seed, index, world -> scene, the same each time.

    >>> scene = draw_world(0, 1, World())
    >>> scene.pixels_HWC.shape, all(thing.seen_HW.any() for thing in scene.things)
    ((96, 96, 3), True)
    """
    random = np.random.Generator(np.random.PCG64([seed, index, 1]))
    canvas = bare_ground(random, world)
    count = 0 if random.random() < world.empty else random.integers(world.fewest, world.most + 1)
    owner = np.full(canvas.shape[:2], -1)
    drawn: list[Thing] = []
    areas: list[int] = []
    for _ in range(count):
        for _ in range(TRIES):
            if _place(random, world, (canvas, owner), (drawn, areas)):
                break
    pixels = grained(random, canvas, world.noise)
    return Scene(pixels, tuple(seen_of(drawn, areas, owner)))


def seen_of(drawn: Sequence[Thing], areas: Sequence[int], owner_HW: np.ndarray) -> Iterator[Thing]:
    """Things, their pixels as a whole, and whose each pixel is -> the things with what is seen."""
    for k, (thing, area) in enumerate(zip(drawn, areas, strict=True)):
        seen_HW = owner_HW == k
        yield replace(thing, seen_HW=seen_HW, shown=float(seen_HW.sum()) / area)


def _place(
    random: np.random.Generator,
    world: World,
    layers: tuple[np.ndarray, np.ndarray],
    so_far: tuple[list[Thing], list[int]],
) -> bool:
    """Draw a thing somewhere, unless it would hide too much of another; say whether it was."""
    (canvas, owner), (drawn, areas) = layers, so_far
    thing, cover_HW = _imagine(random, world)
    inside = cover_HW > 0.5
    left = np.bincount(owner[~inside & (owner >= 0)], minlength=len(areas))
    if not inside.any() or (left < (1 - world.hidden) * np.array(areas)).any():
        return False
    ink = ink_of(random, thing.colour)
    across = None
    if thing.striped:
        rows, cols = np.ogrid[: world.height, : world.width]
        across = (rows + cols) % 6 < 3 if random.random() < 0.5 else (rows - cols) % 6 < 3
    paint(canvas, cover_HW, ink, across)
    owner[inside] = len(drawn)
    drawn.append(thing)
    areas.append(int(inside.sum()))
    return True


def _imagine(random: np.random.Generator, world: World) -> tuple[Thing, np.ndarray]:
    """A thing of no place yet taken, and how much of each pixel it covers."""
    side = min(world.height, world.width)
    radius = side * (world.smallest + (world.largest - world.smallest) * random.random())
    extent = np.array([world.width, world.height])
    centre = radius + (extent - 2 * radius) * random.random(2)
    colour = str(random.choice(list(COLOURS)))
    if world.people:
        person, cover = draw_person(random, (world.height, world.width), centre, radius)
        return Thing(0, colour, False, cover > 0.5, person), cover
    label, turn = int(random.integers(len(SHAPES))), random.random() * 2 * np.pi
    rows, cols = np.ogrid[: world.height, : world.width]
    cover = cover_of(label, cols + 0.5 - centre[0], rows + 0.5 - centre[1], radius, turn)
    return Thing(label, colour, bool(random.random() < world.striped), cover > 0.5), cover


def cover_of(label: int, x: np.ndarray, y: np.ndarray, radius: float, turn: float) -> np.ndarray:
    """Pixels by their way from the centre -> the share of each that the shape covers."""
    x, y, cos, sin = x / radius, y / radius, np.cos(turn), np.sin(turn)
    distance = OUTLINES[SHAPES[label]](x * cos + y * sin, y * cos - x * sin)
    return np.clip(0.5 - distance * radius, 0, 1)  # one pixel of soft edge


def ink_of(random: np.random.Generator, colour: str) -> np.ndarray:
    """A shade of a colour."""
    return np.array(COLOURS[colour], float) + random.normal(0, 12, 3)


def paint(
    canvas_HWC: np.ndarray, cover_HW: np.ndarray, ink: np.ndarray, across_HW: np.ndarray | None
) -> None:
    """Lay ink on a canvas where it is covered; dark stripes lie where `across_HW` is false."""
    ink_HWC = ink if across_HW is None else np.where(across_HW[..., None], ink, ink * 0.45)
    canvas_HWC += (ink_HWC - canvas_HWC) * cover_HW[..., None]


def bare_ground(random: np.random.Generator, world: World) -> np.ndarray:
    """A greyish ground with slow waves of light, and its clutter: canvas_HWC float."""
    canvas = _ground(random, world)
    for _ in range(world.clutter):
        _stroke(random, canvas)
    return canvas


def grained(random: np.random.Generator, canvas_HWC: np.ndarray, noise: float) -> np.ndarray:
    """A canvas -> pixels_HWC with grain, uint8."""
    grain_HW1 = random.standard_normal(canvas_HWC.shape[:2])[..., None] * noise
    return np.clip(np.rint(canvas_HWC + grain_HW1), 0, 255).astype(np.uint8)


def _ground(random: np.random.Generator, world: World) -> np.ndarray:
    """Grey with slow waves of light."""
    base = random.uniform(70, 180) + random.normal(0, 10, 3)
    knots = random.normal(0, 14, (5, 5))
    rows = np.linspace(0, 4, world.height)
    cols = np.linspace(0, 4, world.width)
    lines = np.stack([np.interp(cols, np.arange(5), knot) for knot in knots], 1)  # (W, 5)
    waves = np.stack([np.interp(rows, np.arange(5), line) for line in lines], 1)  # (H, W)
    return waves[..., None] + base


def _stroke(random: np.random.Generator, canvas: np.ndarray) -> None:
    """A short faint line of the ground's kind: nothing that has a name."""
    height, width = canvas.shape[:2]
    length = random.uniform(0.05, 0.3) * min(height, width)
    middle, turn = random.random(2) * (width, height), random.random() * np.pi
    rows, cols = np.ogrid[:height, :width]
    x, y = cols + 0.5 - middle[0], rows + 0.5 - middle[1]
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    inside = (np.abs(along) < length / 2) & (np.abs(across) < random.uniform(0.5, 1.6))
    canvas[inside] += random.uniform(-55, 55)
