"""Pose: the people of an image and where their joints are. Notes 001 (OpenPose), 003 (Mask R-CNN).

x_BCHW -> affinity fields and confidence maps, a stage each -> joints -> limbs -> people; or
       -> boxes of people -> a map for each joint in each box.
What the raw answer means is said by `sn.nn.PoseMaps` and `sn.nn.JointedTwoStage`; the skeleton
comes with the data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ..core.errors import DataError, UsageError, shortlist
from ..data.extent import extents
from ..data.inputs import Inputs
from ..data.letterbox import Letterbox
from ..data.sample import Batch, Prediction, Sample, Skeleton, Target
from ..data.source import Problem, SampleSet, Source
from ..nn.crowd import Crowd, PoseStyle
from ..nn.oks import joint_sigmas
from ..nn.pose_maps import PoseMaps
from ..nn.two_stage_joints import JointedTwoStage
from ._framed import box_anchors, common_size, described, framed, frames_of, input_hw, spread
from ._people import PeopleScores, around, box_sizes, faults, mean_pose, people_of, who_has_joints
from ._spread import targets_of
from ._things import make_room, most_told
from .detect import with_slips
from .stick_figures import draw_people
from .task import Metric, Task

LIMIT, MULTIPLE = 368, 16  # of the input's sides, in pixels
LEAST = 0.03  # the score of a person that is said
MOST = 20  # people that are said of an image, as COCO counts; more where the data has more
SHOWN = 0.3  # the least score that is drawn


class Pose(Task):
    """People with joints.

    spec: {"classes": [...], "person": the class that has joints, "inputs": Inputs.as_dict(),
    "skeleton": {"joints": [...], "bones": [[a, b], ...], "mirror": [...]}, "anchors": as of
    task=detect, "cell": pixels of a map's cell, "most": people that are said of an image and
    counted}, and "style" of a network of two stages. The cell is the usual network's until one is
    built.
    """

    name = "pose"
    about = "people, and where each of their joints is"
    score = "mAP50-95"
    default_model = "openpose-small"
    rivals = False
    usual = {"augment": "flip", "samples": 14_000, "batch": 32, "lr": 3e-3, "clip": 10.0}
    ceiling = 0.6  # joints of a kind within two cells are told as one: .98 of drawn people,
    # .77 where they may hide 60 % of one another; less is a sign of an input that is too small

    @property
    def skeleton(self) -> Skeleton:
        """The joints, the limbs between them, and what a joint is in a mirror."""
        told = self.spec["skeleton"]
        bones = tuple((a, b) for a, b in told["bones"])
        mirror = tuple(told["mirror"]) or tuple(range(len(told["joints"])))
        return Skeleton(tuple(told["joints"]), bones, mirror)

    @property
    def most(self) -> int:
        """How many people of an image are said at most, and counted."""
        return int(self.spec.get("most", MOST))

    @property
    def style(self) -> PoseStyle:
        """What the network's raw answer means."""
        if "style" in self.spec:
            return JointedTwoStage(**self.spec["style"])
        return PoseMaps(self.num_outputs(), self.skeleton.bones, cell=self.spec["cell"])

    def num_outputs(self) -> int:
        """How many joints a body has."""
        return len(self.spec["skeleton"]["joints"])

    def usual_settings(self) -> Mapping[str, Any]:
        """No flip where nobody knows left from right."""
        usual = dict(type(self).usual)
        told = self.spec["skeleton"]
        if is_unsided(Skeleton(tuple(told["joints"]), mirror=tuple(told["mirror"]))):
            usual["augment"] = "off"
        return usual

    @classmethod
    def adapt(cls, source: Source) -> Source:
        """As task=detect; that a mirror would exchange left and right unseen is added."""
        source = with_slips(source)
        if source.skeleton is None or not is_unsided(source.skeleton):
            return source
        said = Problem("skeleton-sides", _sides_words(source.skeleton), "suspect", source.name,
                       do="name them left_... and right_..., or give YOLO's flip_idx")  # fmt: skip
        return replace(source, problems=(*source.problems, said))

    @classmethod
    def from_source(cls, source: Source, imgsz: int | None = None) -> "Pose":
        """The skeleton and who has it from the data, the input from the pictures' size."""
        skeleton, looked = source.skeleton, described(source.train)
        if skeleton is None:
            raise DataError(
                f"{source.name} ({source.format}) has no key points; task=pose wants COCO "
                "annotations with keypoints, YOLO's with kpt_shape, or data=shapes"
            )
        sizes = [sample.size for sample in looked]
        size = common_size(sizes, imgsz, limit=LIMIT, multiple=MULTIPLE)
        inputs = replace(Inputs.of(source.train, max(size)), height=size[0], width=size[1])
        told = {
            "joints": list(skeleton.joints),
            "bones": [list(bone) for bone in skeleton.bones],
            "mirror": list(skeleton.mirror),
        }
        person = who_has_joints([sample.target for sample in looked])
        facts = {"classes": list(source.classes), "person": person, "skeleton": told}
        sizes_N2 = box_sizes(looked, person, size)
        people = (people_of(t, person, 0) for t in targets_of(source.train, looked))
        most = most_told(people, person + 1, MOST)
        facts |= {"inputs": inputs.as_dict(), "anchors": box_anchors(sizes_N2), "most": most}
        return cls({**facts, "cell": 4})

    def check(self, sample: Sample) -> list[Problem]:
        """Joints of another body, not finite, outside the picture; a visibility that is none."""
        target = sample.target
        place: dict[str, Any] = {"file": sample.path, "samples": (sample.index,)}
        if not _tells_people(target):
            text = "no people; an image without anybody has an empty list of them"
            return [Problem("keypoints-missing", text, do="give boxes and key points", **place)]
        points, seen = target.keypoints_NK2, target.visibility_NK
        if points is None:
            return []
        count = self.num_outputs()
        if seen is None or seen.shape != points.shape[:2] or points.shape[1:] != (count, 2):
            text = (
                f"key points of shape {tuple(points.shape)}; (people, {count}, 2) is wanted, "
                "and a visibility for each"
            )
            return [Problem("keypoints-misfit", text, do="left out of the loss", **place)]
        do = "a joint that is not there has visibility 0"
        return [
            Problem(id, f"person {n}: {self.skeleton.joints[k]} {words}", do=do, **place)
            for id, words, wrong_NK in faults(sample)
            for n, k in wrong_NK.nonzero().tolist()
        ]

    def answer(self, fed: tuple[int, ...]) -> None:
        """Any: what the raw maps are is the network's."""

    def build(self, backbone: nn.Module | None) -> nn.Module:
        """The network, with as many joints and limbs as the skeleton has; what its raw answer means
        is noted in the spec.
        """
        head: Any = getattr(backbone, "head", None)
        if backbone is None or not hasattr(head, "of"):
            have = getattr(backbone, "name", "") or type(backbone).__name__
            raise UsageError(f"{have} finds no people; task=pose wants {self.default_model} or "
                             "another of its family; `snellen models` lists them")  # fmt: skip
        make_room(backbone, self.most, MOST)
        head = head.of(self.num_outputs(), len(self.skeleton.bones))
        self.spec.pop("style", None)
        self.spec |= head.people(self.spec.get("anchors", {}))
        backbone.add_module("head", head)
        return backbone

    def encode(self, samples: Sequence[Sample]) -> Batch:
        """Samples -> x_BCHW padded to the input; people in its pixels, a list of tensors a batch.

        Whoever has no labelled joint is in `ignored`: the loss leaves his box out.
        """
        frames, x = framed(samples, self.inputs())
        people = [self._people(s, f) for s, f in zip(samples, frames, strict=True)]
        names = ("keypoints", "visibility", "boxes", "ignored")
        y: dict[str, Any] = {name: [p[name] for p in people] for name in names}
        y["mirror_K"] = torch.tensor(self.skeleton.mirror).expand(len(samples), -1)
        index = torch.tensor([s.index for s in samples])
        sizes_B2 = torch.tensor([s.size for s in samples])
        return Batch(x, y, index, sizes_B2, extent_B4=extents(frames))

    def _people(self, sample: Sample, frame: Letterbox) -> dict[str, Tensor]:
        """Joints and boxes in the input's pixels, what is seen, and whom nobody labelled."""
        if sample.target.given() and not _tells_people(sample.target):
            raise DataError(
                f"{sample.path or f'sample {sample.index}'} has no people; task=pose is trained "
                "and judged on pictures with key points"
            )
        told = people_of(sample.target, self.spec["person"], self.num_outputs()).given()
        seen = told["visibility_NK"]
        return {
            "keypoints": frame.there(told["keypoints_NK2"]),
            "visibility": seen,
            "boxes": frame.there(told["boxes_N4"]),
            "ignored": told["ignored_N"] | ~(seen > 0).any(1),
        }

    def loss(self, net: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """The style's parts."""
        style, crowds = self.style, _crowds(batch)
        told = style.told and net.training
        raw = net(batch.x, style.heard(crowds)) if told else net(batch.x)
        return style.loss(raw, crowds, input_hw(batch))

    def evidence(self, out: Any, batch: Batch) -> tuple[Tensor, list[str]]:
        """For each joint how firmly it is found where it is found best."""
        return self.style.firmest(out), list(self.skeleton.joints)

    def decode(self, out: Any, batch: Batch) -> list[Prediction]:
        """Raw maps -> the best people of each image; a joint that was not found has visibility 0
        and lies at its nearest neighbour on the body.
        """
        crowds = self.style.decode(out, input_hw(batch))
        return [
            self._told(crowd, frame) for crowd, frame in zip(crowds, frames_of(batch), strict=True)
        ]

    def _told(self, crowd: Crowd, frame: Letterbox) -> Prediction:
        assert crowd.scores_N is not None
        order = crowd.scores_N.argsort(descending=True, stable=True)[: self.most]
        rows = order[crowd.scores_N[order] >= LEAST]
        points = frame.back(crowd.points_NK2[rows])
        return self._said(points, 2 * crowd.seen_NK[rows].long(), crowd.scores_N[rows])

    def _said(self, points_NK2: Tensor, seen_NK: Tensor, scores_N: Tensor) -> Prediction:
        return Prediction(
            labels=torch.full((len(scores_N),), self.spec["person"]),
            boxes_N4=around(points_NK2, seen_NK > 0),
            keypoints_NK2=points_NK2,
            visibility_NK=seen_NK,
            scores_N=scores_N,
        )

    def metric(self) -> Metric:
        """COCO's table of key points."""
        sigmas = joint_sigmas(self.skeleton.joints)
        return PeopleScores(self.names(), self.spec["person"], sigmas, most=self.most)

    def draw(self, sample: Sample, target: Target | None = None) -> Image.Image:
        """The picture with stick figures; of a prediction those that score 0.3 or more."""
        target = target or sample.target
        points, seen = target.keypoints_NK2, target.visibility_NK
        if points is None or seen is None:
            points, seen = torch.zeros(0, self.num_outputs(), 2), torch.zeros(0, self.num_outputs())
        scores = getattr(target, "scores_N", None)
        rows = slice(None) if scores is None else scores >= SHOWN
        return draw_people(sample.image_CHW, points[rows], seen[rows], self.skeleton)

    def oracle(self, batch: Batch) -> Any:
        """The raw answer that means the truth."""
        return self.style.oracle(_crowds(batch), input_hw(batch))

    def lost(self, targets: Sequence[Target]) -> str:
        """Joints outside the boxes in which they would be looked for."""
        off = torch.cat([self.style.beyond(self._crowd(target)) for target in targets])
        if not len(off):
            return ""
        return (
            f"{len(off)} joints lie outside their boxes, by up to {float(off.max()):.1f} pixels, "
            "where they are neither learned nor found; draw the boxes around them"
        )

    def _crowd(self, target: Target) -> Crowd:
        """A target's people, in the picture's pixels."""
        told = people_of(target, self.spec["person"], self.num_outputs()).given()
        names = ("keypoints_NK2", "visibility_NK", "boxes_N4")
        points, seen, boxes = (told[name][~told["ignored_N"]] for name in names)
        return Crowd(points, seen, boxes_N4=boxes)

    def baseline(self, train: SampleSet) -> dict[str, float]:
        """Always one person: the mean pose at the mean place."""
        looked, person, metric = described(train), self.spec["person"], self.metric()
        people = [people_of(s.target, person, self.num_outputs()) for s in looked]
        mean_K2 = mean_pose(people, [s.size for s in looked])
        seen_1K, sure_1 = torch.full((1, len(mean_K2)), 2), torch.ones(1)
        for sample in spread(train):
            points_1K2 = mean_K2[None] * torch.tensor(sample.size[::-1])
            said = self._said(points_1K2, seen_1K, sure_1)
            metric.update([said], [sample.target])
        return {type(self).score: metric.compute()[type(self).score]}

    @classmethod
    def tiny(cls) -> dict[str, Any]:
        """Drawn people, the small network, two epochs."""
        return {"data": "shapes", "model": "openpose-small", "epochs": 2, "batch": 32}


def _crowds(batch: Batch) -> list[Crowd]:
    """The people of each image: those that teach, and boxes around the others."""
    names = ("keypoints", "visibility", "boxes", "ignored")
    return [
        Crowd(points[~ignored], seen[~ignored], unknown_U4=boxes[ignored], boxes_N4=boxes[~ignored])
        for points, seen, boxes, ignored in zip(*(batch.y[name] for name in names), strict=True)
    ]


def is_unsided(skeleton: Skeleton) -> bool:
    """Whether nobody knows what its joints, three or more, are in a mirror.

    >>> is_unsided(Skeleton(("0", "1", "2"))), is_unsided(Skeleton(("head", "tail")))
    (True, False)
    """
    return len(skeleton.joints) > 2 and not skeleton.mirror


def _sides_words(skeleton: Skeleton) -> str:
    return (
        f"none of its {len(skeleton.joints)} joints ({shortlist(skeleton.joints)}) has a partner "
        "in a mirror by its name, so a mirrored left hand would be taught as a left hand; "
        "augment=flip is not usual here, and wrong where typed, but for a body without sides"
    )


def _tells_people(target: Target) -> bool:
    return target.boxes_N4 is not None or target.keypoints_NK2 is not None


TASKS = {"pose": Pose}
