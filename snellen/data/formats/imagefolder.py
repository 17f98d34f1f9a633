"""A folder of folders of pictures: the folder of a picture is its class.

Perhaps with train, val and test (or training, valid, testing ...) between; where these hold the
pictures themselves, nothing says what they are. Folders may be deeper (alphabet/character/1.png is
of class "alphabet/character"). Nothing is opened but a few headers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from ...core.errors import DataError, shortlist
from ..sets import FileSet
from ..source import UNLABELLED, Format, Problem, Source
from ._folders import Tree, any_image, channels_of, scan, subfolders
from ._index import SUFFIXES, index_files
from ._layout import layout
from ._pairs import PICTURES
from ._parts import by_part, join_parts, part_of

DEPTH = 4  # folders below one of a class that are looked into


class ImageFolder(Format):
    """root/<class>/<picture>, or root/<part>/<class>/<picture>."""

    name = "imagefolder"
    about = "a folder with a folder of pictures for each class, perhaps below train, val, test"

    def detect(self, path: Path) -> bool:
        """A folder whose folders hold pictures, and neither boxes nor a table that lists them."""
        if not path.is_dir() or layout(path) or index_files(path):
            return False
        return _has_class(path)

    def open(self, path: Path) -> Source:
        """List the files; the classes are those of train, by name."""
        folders = part_folders(path)
        if folders:
            source = join_parts(str(path), self.name, {p: _one(f) for p, f in folders.items()})
            return replace(source, problems=(*source.problems, *_unread_parts(path, folders)))
        plain = _plain_parts(path)
        return _untold(path, plain) if plain else _one(path)

    def example(self, folder: Path) -> Path:
        """Two classes of three pictures."""
        from PIL import Image

        for name, value in (("black", 0), ("white", 255)):
            (folder / "tiny" / name).mkdir(parents=True)
            for i in range(3):
                Image.new("RGB", (8, 8), (value,) * 3).save(folder / "tiny" / name / f"{i}.png")
        return folder / "tiny"


def part_folders(root: Path) -> dict[str, Path]:
    """{part: folder} where the root is divided into parts that hold classes, else empty.

    A folder called train that holds pictures itself is a class (of trains) beside other classes.
    """
    found = by_part(f for f in subfolders(root) if part_of(f.name) and _has_class(f))
    return found if "train" in found else {}


def _plain_parts(root: Path) -> dict[str, Path]:
    """{part: folder} where every folder with pictures is called as a part and holds them itself."""
    folders = [folder for folder in subfolders(root) if any_image(folder, DEPTH)]
    if not all(part_of(folder.name) and any_image(folder, 0) for folder in folders):
        return {}
    return by_part(folders)


def _untold(root: Path, folders: Mapping[str, Path]) -> Source:
    """Parts of pictures of which nothing is said."""
    trees = {part: scan(folder) for part, folder in folders.items()}
    parts = {}
    for part, tree in trees.items():
        paths = [file for each in tree.images.values() for file in each]
        files = FileSet(paths, None, channels_of(paths))
        facts = {"images": len(files), "channels": files.channels}
        parts[part] = Source(str(folders[part]), "imagefolder", files, (), facts=facts)
    strays = [replace(tree, images={}) for tree in trees.values()]
    problems = [p for tree in strays for p in _problems(root, tree)]
    source = join_parts(str(root), "imagefolder", parts)
    names = " and ".join(f"{folder.name}/" for folder in folders.values())
    return replace(source, problems=(_no_labels(root, names), *problems))


def _unread_parts(root: Path, folders: Mapping[str, Path]) -> Iterator[Problem]:
    """Parts beside those with classes whose pictures lie in no folder of a class."""
    for folder in subfolders(root):
        if part_of(folder.name) and folder not in folders.values() and any_image(folder, 0):
            message = f"the pictures of {folder.name}/ lie in no folder of a class; not read"
            yield Problem("file-without-class", message, file=str(root),
                          do="move them into the folder of their class")  # fmt: skip


def _one(root: Path) -> Source:
    """One part: classes are folders, samples their pictures."""
    tree = scan(root)
    names = class_names(tree)
    if not names:
        raise DataError(f"{root} holds no folder of pictures; make a folder for each class")
    classes = tuple(sorted(set(names.values())))
    number = {name: i for i, name in enumerate(classes)}
    paths = [(file, number[names[folder]]) for folder in tree.images for file in tree.images[folder]
             if folder in names]  # fmt: skip
    labels = torch.tensor([label for _, label in paths], dtype=torch.int64)
    files = FileSet([file for file, _ in paths], labels, channels_of([file for file, _ in paths]))
    facts = {"images": len(files), "channels": files.channels}
    problems = (*_unlabelled(root, classes), *_problems(root, tree), *_blank_names(root, classes))
    return Source(str(root), "imagefolder", files, classes, problems=problems, facts=facts)


def class_names(tree: Tree) -> dict[str, str]:
    """{folder with pictures: class}. Below a folder that holds pictures, all are of its class.

    A last part that all share (class/images/1.jpg) says nothing and is dropped.

    >>> class_names(Tree(images={"a/images": ["1.png"], "b/images": ["2.png"]}))
    {'a/images': 'a', 'b/images': 'b'}
    """
    holders = set(tree.images)
    names = {}
    for folder in sorted(holders - {""}):
        parts = folder.split("/")
        tops = ["/".join(parts[: i + 1]) for i in range(len(parts))]
        names[folder] = next(top for top in tops if top in holders)
    ends = {name.rpartition("/")[2] for name in names.values()}
    if len(names) > 1 and len(ends) == 1 and all("/" in name for name in names.values()):
        names = {folder: name.rpartition("/")[0] for folder, name in names.items()}
    return names


def _problems(root: Path, tree: Tree) -> Iterator[Problem]:
    for folder in tree.empty:
        if folder.rpartition("/")[0] in tree.empty:
            continue  # the folder above says it
        yield Problem(
            "class-empty",
            f"the class folder {folder!r} holds no picture; it is no class of this data set",
            file=str(root / folder),
            do="put pictures there or remove the folder",
        )
    for folder in tree.closed:
        yield Problem(
            "folder-unreadable", "may not be listed; give yourself the right", file=folder
        )
    for link in tree.loops:
        message = "is a link to a folder above it; it is not followed"
        yield Problem("folder-loop", message, harm="harmless", file=link, do="remove the link")
    yield from map(_stray, tree.strays)
    if tree.images.get(""):
        yield Problem(
            "file-without-class",
            f"{_pictures(len(tree.images['']))} beside the class folders, not read: "
            + shortlist([Path(file).name for file in tree.images[""]], 3),
            file=str(root),
            do="move them into the folder of their class",
        )


def _stray(file: str) -> Problem:
    path, do = Path(file), ""
    what = "hidden" if path.name.startswith(".") else "no picture by its name"
    if path.suffix.lower() in SUFFIXES:
        what = "a table, and the folders are read in its place"
        do = "name the table as data to read it instead"
    return Problem("file-stray", f"is {what}; it is not read", "harmless", file, do=do)


def _unlabelled(root: Path, classes: tuple[str, ...]) -> Iterator[Problem]:
    """Pictures in a folder that is called images, as beside labels of another format."""
    if len(classes) == 1 and classes[0] in PICTURES:
        yield _no_labels(root, f"{classes[0]}/")


def _no_labels(root: Path, names: str) -> Problem:
    message = f"the pictures of {names} have no labels that are known"
    do = ("a folder for each class, or a metadata.csv (file_name, label) beside them; or beside "
          "images/ masks/ with a PNG called as each picture, labels/ with a text file each, or "
          "annotations/ with COCO's json")  # fmt: skip
    return Problem(UNLABELLED, message, file=str(root), do=do)


def _blank_names(root: Path, classes: tuple[str, ...]) -> Iterator[Problem]:
    for name in classes:
        if name == name.strip():
            continue
        twin = name.strip() in classes
        also = f", and {name.strip()!r} is another class" if twin else ""
        yield Problem(
            "class-name-blanks",
            f"the class name {name!r} begins or ends with a blank{also}",
            harm="harmful" if twin else "harmless",
            file=str(root / name),
            do="rename the folder, in every part alike",
        )


def _has_class(root: Path) -> bool:
    return any(any_image(folder, DEPTH) for folder in subfolders(root))


FORMATS = {"imagefolder": ImageFolder()}


def _pictures(count: int) -> str:
    return "1 picture lies" if count == 1 else f"{count} pictures lie"
