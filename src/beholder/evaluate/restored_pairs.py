"""Which restored picture belongs to which true one: by folder and name, without what names say about the scale."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from beholder.errors import UserError
from beholder.imaging.find import find_images

_ADDED = re.compile(r"(?:_?x\d+(?:\.\d+)?|_HR|_LR\d*)+$")
"""What `beholder upscale` and the public sets add to a picture's name: `a_x4`, `0801x4`, `Canon_001_LR4`."""


@dataclass(frozen=True)
class Trio:
    """A true picture and what belongs to it; names are relative to their folders, with `/`."""

    true: str
    output: str | None
    input: str | None


@dataclass(frozen=True)
class Folders:
    """Where the pictures of a comparison lie."""

    outputs: Path
    truth: Path
    inputs: Path | None


def match(folders: Folders) -> tuple[list[Trio], int]:
    """A trio for every true picture, in the order of their names, and how many outputs belong to none.

    A name belongs to another if the two are equal without their endings, or, where there is none such, without
    what scales add: `sea/a_x4.png` to `sea/a.jpg`. Raises UserError where two belong to one, or nothing to anything.
    """
    true = _names(folders.truth)
    outputs = _Index(folders.outputs)
    inputs = None if folders.inputs is None else _Index(folders.inputs)
    trios = [Trio(name, outputs.find(name), None if inputs is None else inputs.find(name)) for name in true]
    for index, found in ((outputs, [trio.output for trio in trios]), (inputs, [trio.input for trio in trios])):
        if index is not None and not any(found):
            raise UserError(
                f"no picture in {index.folder} has the name of one in {folders.truth}: they are called like "
                f"{index.names[0]!r} and {true[0]!r}. Name them alike; an added _x4 does not matter"
            )
    used = [trio.output for trio in trios if trio.output is not None]
    if len(set(used)) < len(used):
        twice = next(name for name in used if used.count(name) > 1)
        both = ", ".join(trio.true for trio in trios if trio.output == twice)
        raise UserError(f"{folders.outputs / twice} belongs to several true pictures: {both}. Rename them")
    return trios, len(outputs.names) - len(used)


def match_two(truth: Path, inputs: Path | None) -> list[tuple[str, str | None]]:
    """True pictures in the order of their names, each with its input, as `match` finds them; None without `inputs`.

    Raises UserError for a true picture without one.
    """
    names = _names(truth)
    if inputs is None:
        return [(name, None) for name in names]
    index = _Index(inputs)
    pairs = [(name, index.find(name)) for name in names]
    if alone := next((name for name, found in pairs if found is None), None):
        raise UserError(f"no picture in {inputs} belongs to {truth / alone}; they are called like {index.names[0]!r}")
    return pairs


class _Index:
    """Pictures of a folder, to be found by the name of another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names = _names(folder)
        self._exact = _grouped((_stem(name), name) for name in self.names)
        self._bare = _grouped((_bare(_stem(name)), name) for name in self.names)

    def find(self, name: str) -> str | None:
        stem = _stem(name)
        found = self._exact.get(stem) or self._bare.get(name) or self._bare.get(_bare(stem)) or []
        if len(found) > 1:
            raise UserError(
                f"several pictures in {self.folder} belong to {name}: {', '.join(found)}. Keep one of them there"
            )
        return found[0] if found else None


def _names(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; pictures are compared by folders")
    return [os.path.relpath(path, folder).replace(os.sep, "/") for path in find_images([str(folder)])]


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _bare(stem: str) -> str:
    return _ADDED.sub("", stem)


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for key, name in pairs:
        groups[key].append(name)
    return dict(groups)
