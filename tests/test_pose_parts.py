"""The pieces of pose: maps, fields, peaks, matching, people; against loops and closed forms."""

import itertools
import math

import numpy as np
import pytest
import torch

import snellen as sn
from snellen.data.people import JOINTS, LIMBS
from snellen.nn.pose_maps import Crowd, PoseMaps

BODY = PoseMaps(len(JOINTS), LIMBS)
SIZE, CELLS = (96, 128), (24, 32)


def random(seed=0):
    return torch.Generator().manual_seed(seed)


def crowd(count, seed=0, size=SIZE):
    """People of random joints: nothing like a body, but every joint and limb is there."""
    limit = torch.tensor([size[1], size[0]], dtype=torch.float32)
    points = torch.rand(count, len(JOINTS), 2, generator=random(seed)) * limit
    return Crowd(points, torch.full((count, len(JOINTS)), 2))


def standing(x, y, size=40.0):
    """A person with joints far from one another, around x, y."""
    places = torch.tensor([
        [0, -9], [0, -6], [-3, -5], [-6, -3], [-8, 0], [3, -5], [6, -3], [8, 0],
        [-2, 0], [-3, 4], [-4, 8], [2, 0], [3, 4], [4, 8],
    ])  # fmt: skip
    return places * size / 20 + torch.tensor([x, y])


# Confidence maps and their peaks -------------------------------------------------------------


def test_a_map_is_the_formula_and_of_people_the_larger():
    points = torch.rand(2, 3, 2, 2, generator=random()) * 10
    seen = torch.tensor([[[2, 1], [0, 2], [2, 2]], [[0, 0], [1, 0], [2, 0]]])
    maps = sn.nn.confidence_maps(points, seen, (9, 12), sigma=1.3)
    for b, k, i, j in itertools.product(range(2), range(2), range(9), range(12)):
        away = [(j - x) ** 2 + (i - y) ** 2 for (x, y), s in
                zip(points[b, :, k].tolist(), seen[b, :, k], strict=True) if s]  # fmt: skip
        want = max((math.exp(-d / (2 * 1.3**2)) for d in away), default=0.0)
        assert float(maps[b, k, i, j]) == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize("sigma", [0.8, 1.0, 1.7])
def test_a_peak_is_found_between_the_cells(sigma):
    points = 2 + torch.rand(40, 1, 1, 2, generator=random()) * 11
    maps = sn.nn.confidence_maps(points, torch.ones(40, 1, 1), (16, 17), sigma=sigma)
    place, found, scores = sn.nn.peaks(maps)
    assert place.tolist() == [[b, 0] for b in range(40)]
    torch.testing.assert_close(found, points[:, 0, 0], atol=5e-3, rtol=0)
    assert scores.max() <= 1


def test_peaks_are_those_of_a_loop_and_of_a_plateau_the_first():
    maps = torch.randint(0, 5, (2, 3, 7, 8), generator=random()) / 4
    wanted = set()
    for b, k, i, j in itertools.product(range(2), range(3), range(7), range(8)):
        around = [(maps[b, k, y, x], (y, x)) for y in range(i - 1, i + 2)
                  for x in range(j - 1, j + 2) if 0 <= y < 7 and 0 <= x < 8]  # fmt: skip
        here = maps[b, k, i, j]
        first = all(v < here or (v == here and (i, j) <= at) for v, at in around)
        if here > 0.1 and first:
            wanted.add((b, k, i, j))
    place, points, _ = sn.nn.peaks(maps)
    cells = points.round().long()
    near = {(b, k) for b, k, _, _ in wanted}
    assert len(place) == len(wanted)
    assert {(b, k) for b, k in place.tolist()} == near
    assert (cells >= 0).all()


@pytest.mark.parametrize("corner", [(0.0, 0.0), (-0.4, 3.0), (11.3, 8.2)])
def test_a_joint_at_the_border_is_found_within_half_a_cell(corner):
    maps = sn.nn.confidence_maps(torch.tensor([[[corner]]]), torch.ones(1, 1, 1), (9, 12))
    _, found, _ = sn.nn.peaks(maps)
    assert (found[0] - torch.tensor(corner)).abs().max() <= 0.5


# Affinity fields and the integral along them ---------------------------------------------------


def test_a_field_is_the_mean_of_the_vectors_that_lie_on_a_cell():
    bones = [(0, 1), (1, 2)]
    points = torch.rand(1, 4, 3, 2, generator=random()) * 10
    seen = torch.ones(1, 4, 3)
    seen[0, 0, 2] = 0
    fields = sn.nn.affinity_fields(points, seen, bones, size=(9, 11), width=1.2)
    for (limb, (a, b)), i, j in itertools.product(enumerate(bones), range(9), range(11)):
        vectors = []
        for person in range(4):
            if not (seen[0, person, a] and seen[0, person, b]):
                continue
            start, end = points[0, person, a].numpy(), points[0, person, b].numpy()
            unit, cell = (end - start) / np.hypot(*(end - start)), np.array([j, i])
            share = np.clip((cell - start) @ unit, 0, np.hypot(*(end - start)))
            if np.hypot(*(cell - start - share * unit)) <= 1.2:
                vectors.append(unit)
        want = np.mean(vectors, 0) if vectors else np.zeros(2)
        np.testing.assert_allclose(fields[0, limb, :, i, j], want, atol=1e-5)


@pytest.mark.parametrize("turn", np.linspace(0, 2 * np.pi, 9)[:-1])
@pytest.mark.parametrize("off", [0.0, 0.3, 1.0, 2.5])
def test_the_integral_is_the_closed_form_on_a_limb(turn, off):
    """Along a line that is turned off a limb of half width w, from one of its points: the cosine,
    for as long as the line is inside.
    """
    middle, width, length = torch.tensor([40.0, 40.0]), 6.0, 30.0
    towards = torch.tensor([math.cos(turn), math.sin(turn)]).float()
    limb = torch.stack([middle - 35 * towards, middle + 35 * towards])
    field = sn.nn.affinity_fields(
        limb[None, None], torch.ones(1, 1, 2), [(0, 1)], size=(81, 81), width=width
    )[0, 0]
    other = torch.tensor([math.cos(turn + off), math.sin(turn + off)]).float()
    (found,) = sn.nn.line_integral(field, middle[None], (middle + length * other)[None])
    inside = min(1.0, width / (length * abs(math.sin(off)))) if off else 1.0
    assert float(found) == pytest.approx(math.cos(off) * inside, abs=0.12 if off else 1e-5)
    (back,) = sn.nn.line_integral(field, (middle + length * other)[None], middle[None])
    assert float(back) == pytest.approx(-float(found), abs=1e-5)


def test_the_right_partner_has_the_larger_integral():
    """Two parallel limbs: the pairs that are limbs score 1, the crossed ones less."""
    points = torch.tensor([[[[2.0, 3.0], [12.0, 3.0]], [[2.0, 8.0], [12.0, 8.0]]]])
    field = sn.nn.affinity_fields(points, torch.ones(1, 2, 2), [(0, 1)], size=(12, 16))[0, 0]
    starts, ends = points[0, :, 0], points[0, :, 1]
    own, crossed = (sn.nn.line_integral(field, starts, e) for e in (ends, ends.flip(0)))
    torch.testing.assert_close(own, torch.ones(2))
    assert (crossed < 0.7).all()
    assert sn.nn.line_integral(field, starts[:1], starts[:1]).tolist() == [0.0]


# Matching and people ---------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (4, 4), (5, 3), (0, 3)])
@pytest.mark.parametrize("least", [0.0, 0.4])
def test_pairs_are_the_best_of_all_pairings(shape, least):
    for seed in range(10):
        scores = torch.rand(shape, generator=random(seed))
        rows, columns = sn.nn.best_pairs(scores, least)
        gain = (scores - least).clamp(min=0).double().numpy()
        wide = gain if shape[0] <= shape[1] else gain.T
        orders = itertools.permutations(range(wide.shape[1]), wide.shape[0])
        best = max(sum(wide[i, j] for i, j in enumerate(order)) for order in orders)
        assert len(set(rows.tolist())) == len(set(columns.tolist())) == len(rows)
        assert (scores[rows, columns] > least).all()
        assert gain[rows, columns].sum() == pytest.approx(best)


def test_what_is_no_number_is_no_pair():
    scores = torch.tensor([[math.nan, 0.5], [0.4, math.inf]])
    rows, columns = sn.nn.best_pairs(scores)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_people_hold_every_candidate_once_and_no_joint_twice():
    generator = np.random.RandomState(0)
    for _ in range(50):
        kinds = generator.randint(0, 4, 12).tolist()
        limbs = [(float(generator.rand()), *map(int, generator.choice(12, 2, replace=False)))
                 for _ in range(14)]  # fmt: skip
        people = sn.nn.joined(kinds, limbs)
        held = [i for person, _ in people for i in person.values()]
        assert sorted(held) == list(range(12))
        assert all(kinds[i] == kind for person, _ in people for kind, i in person.items())


def test_the_surer_limb_wins_a_joint():
    people = sn.nn.joined([0, 0, 1], [(0.4, 0, 2), (0.6, 1, 2)])
    assert people == [({0: 0}, 0.0), ({0: 1, 1: 2}, 0.6)]


def test_similarity_is_cocos():
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    said, true = crowd(3, 1).points_NK2, crowd(2, 2).points_NK2
    seen = torch.randint(0, 3, true.shape[:2], generator=random())
    areas, sigmas = torch.tensor([900.0, 4000.0]), sn.nn.joint_sigmas(JOINTS)
    near = true[[0, 1, 1]] + 0.05 * (said - true[[0, 1, 1]])
    evaluation = COCOeval(iouType="keypoints")
    evaluation.params.kpt_oks_sigmas = np.array(sigmas)
    flat = [torch.cat([p, torch.full((len(JOINTS), 1), 2)], 1).flatten().tolist() for p in near]
    evaluation._dts = {(1, 1): [{"keypoints": row, "score": -i} for i, row in enumerate(flat)]}
    evaluation._gts = {(1, 1): [
        {"keypoints": torch.cat([p, v[:, None]], 1).flatten().tolist(), "bbox": [0, 0, 9, 9],
         "area": float(area)} for p, v, area in zip(true, seen, areas, strict=True)
    ]}  # fmt: skip
    want = evaluation.computeOks(1, 1)
    found = sn.nn.keypoint_similarity(
        near, true, seen, areas_N=areas, sigmas_K=torch.tensor(sigmas)
    )
    np.testing.assert_allclose(found, want, atol=1e-5)
    assert 0 < found.max() < 1
    assert isinstance(COCO(), COCO)


# What the maps mean ------------------------------------------------------------------------------


def similarity(found, truth):
    area = torch.full((len(truth.points_NK2),), 40.0**2)
    return sn.nn.keypoint_similarity(
        found.points_NK2, truth.points_NK2, truth.seen_NK, areas_N=area,
        sigmas_K=torch.tensor(sn.nn.joint_sigmas(JOINTS)),
    )  # fmt: skip


@pytest.mark.parametrize("apart", [50.0, 25.0, 13.0])
def test_people_that_overlap_come_back_each(apart):
    points = torch.stack([standing(40.0, 48.0), standing(40.0 + apart, 52.0)])
    truth = Crowd(points, torch.full(points.shape[:2], 2))
    (found,) = BODY.decode(BODY.oracle([truth], SIZE), SIZE)
    near = similarity(found, truth)
    assert len(found.points_NK2) == 2
    assert (near.amax(0) > 0.95).all()
    assert found.seen_NK.all()


def test_a_joint_that_was_not_found_lies_at_its_neighbour():
    seen = torch.full((1, len(JOINTS)), 2)
    wrist, elbow = JOINTS.index("left wrist"), JOINTS.index("left elbow")
    seen[0, wrist] = 0
    truth = Crowd(standing(60.0, 48.0)[None], seen)
    (found,) = BODY.decode(BODY.oracle([truth], SIZE), SIZE)
    assert found.seen_NK[0].tolist() == (seen[0] > 0).tolist()
    assert torch.equal(found.points_NK2[0, wrist], found.points_NK2[0, elbow])


def odd_people():
    nothing = torch.zeros(0, len(JOINTS), 2)
    one = torch.zeros(1, len(JOINTS), dtype=torch.int64)
    one[0, 4] = 2
    same = torch.full((1, len(JOINTS), 2), 33.0)
    return {
        "none": Crowd(nothing, nothing[..., 0]),
        "no joint": Crowd(torch.rand(2, len(JOINTS), 2), torch.zeros(2, len(JOINTS))),
        "one joint": Crowd(standing(50.0, 50.0)[None], one),
        "all in one place": Crowd(same, torch.full((1, len(JOINTS)), 2)),
        "outside": Crowd(standing(900.0, -300.0)[None], torch.full((1, len(JOINTS)), 2)),
        "not finite": Crowd(torch.full((1, len(JOINTS), 2), math.nan), torch.ones(1, len(JOINTS))),
        "unknown": Crowd(nothing, nothing[..., 0], unknown_U4=torch.tensor([[0.0, 0, 128, 96]])),
    }


@pytest.mark.parametrize("name", odd_people())
def test_odd_people_never_give_nan(name):
    truth = odd_people()[name]
    raw = [torch.randn(2, BODY.channels, *CELLS, requires_grad=True) for _ in range(2)]
    parts = BODY.loss(raw, [truth, crowd(3)], SIZE)
    sum(parts.values()).backward()
    assert all(part.isfinite() for part in parts.values())
    assert all(r.grad.isfinite().all() for r in raw)
    (found, _) = BODY.decode(BODY.oracle([truth, crowd(3)], SIZE), SIZE)
    assert found.points_NK2.isfinite().all()
    assert found.scores_N.isfinite().all()
    if name == "one joint":
        assert len(found.points_NK2) == 1
        torch.testing.assert_close(found.points_NK2[0, 4], truth.points_NK2[0, 4], atol=2.0, rtol=0)
    if name == "all in one place":  # without a length no limb has a direction
        assert len(found.points_NK2) == len(JOINTS)
    if name in ("none", "no joint", "outside", "unknown", "not finite"):
        assert len(found.points_NK2) == 0


def test_every_stage_is_taught_and_a_perfect_one_has_no_loss():
    truth = [crowd(2), crowd(0)]
    perfect = BODY.targets(truth, SIZE, CELLS)
    raw = [perfect.clone().requires_grad_(), (perfect + 0.5).requires_grad_()]
    parts = BODY.loss(raw, truth, SIZE)
    sum(parts.values()).backward()
    parts = {name: part.detach() for name, part in parts.items()}
    assert float(parts["fields"]) == pytest.approx(0.25 * 2 * len(LIMBS), rel=1e-4)
    assert float(parts["maps"]) == pytest.approx(0.25 * (len(JOINTS) + 1), rel=1e-4)
    assert not raw[0].grad.any()
    assert raw[1].grad.all()


def test_people_whom_nobody_labelled_teach_nothing():
    truth = Crowd(
        crowd(1).points_NK2, crowd(1).seen_NK, unknown_U4=torch.tensor([[8.0, 4, 40, 60]])
    )
    raw = torch.randn(1, BODY.channels, *CELLS, requires_grad=True)
    sum(BODY.loss([raw], [truth], SIZE).values()).backward()
    rows, columns = torch.arange(24)[:, None] * 4 + 2, torch.arange(32) * 4 + 2
    inside = (columns >= 8) & (columns < 40) & (rows >= 4) & (rows < 60)
    assert torch.equal(raw.grad[0].abs().amax(0) == 0, inside)


def test_fields_of_noise_tear_people_apart():
    points = torch.stack([standing(40.0, 48.0), standing(70.0, 52.0)])
    truth = Crowd(points, torch.full(points.shape[:2], 2))
    (raw,) = BODY.oracle([truth], SIZE)
    raw[:, : 2 * len(LIMBS)] = torch.randn(raw[:, : 2 * len(LIMBS)].shape, generator=random()) / 3
    (found,) = BODY.decode([raw], SIZE)
    assert similarity(found, truth).amax(0).max() < 0.7
