"""Which pictures are enlarged, and what their outputs are called: the tree of folders is kept."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from glob import has_magic
from itertools import chain
from pathlib import Path
from string import Formatter

from beholder.errors import UserError
from beholder.imaging import formats
from beholder.imaging.find import TABLE_EXTENSIONS, find_images
from beholder.imaging.sources import TAR, is_address, split_member
from beholder.restore.encode import ENCODINGS, TEMPLATE

FIELDS = ("stem", "name", "scale")
"""What a template may hold: the picture's name without and with its ending, and the scale."""


@dataclass(frozen=True)
class Job:
    """A picture and the file it becomes."""

    path: str
    out: Path


def plan_outputs(inputs: Sequence[str], out: Path, *, template: str | None, scale: float, recursive: bool) -> list[Job]:
    """What to enlarge and where to put it, in the order of the inputs.

    `out` is a folder, or a file for a single picture if its ending is one of `ENCODINGS`. Below a folder a picture lies
    as it does below the folder that was named; with several inputs, as below the deepest folder they have in common.
    What lies in `out` itself is left out, so that outputs are never enlarged again. Two pictures that would get the
    same name keep their endings in it: `a.jpg_x4.png`.

    Raises `UserError` where there is nothing to enlarge, or no name to give it.
    """
    if not inputs:
        raise UserError("nothing to enlarge: name pictures or folders. Try: beholder upscale photos -o larger")
    found = {entry: find_images([entry], recursive=recursive) for entry in dict.fromkeys(inputs)}
    once: dict[str, str] = {}
    for path in chain.from_iterable(found.values()):
        once.setdefault(_spelt_alike(path), path)
    paths = list(once.values())
    if out.suffix.lower() in ENCODINGS and not out.is_dir():
        return [_single_job(paths, out, template)]
    check_template(template or TEMPLATE)
    inside = [path for path in paths if _is_below(path, out)]
    paths = [path for path in paths if not _is_below(path, out)]
    if not paths:
        raise UserError(
            f"all {len(inside):,} pictures lie in {out} itself, where the results are to go. Name another with -o"
        )
    root = _root(found)
    return _named(paths, root, out, template or TEMPLATE, scale)


def check_template(template: str) -> None:
    """Raise `UserError` unless the template gives a file name with an ending that can be written."""
    try:
        parts = [(field, spec, how) for _, field, spec, how in Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise UserError(f"--name {template}: {error}. Try: --name '{TEMPLATE}'") from None
    fields = {field for field, _, _ in parts}
    wrong = sorted(fields - set(FIELDS))
    if wrong:
        raise UserError(
            f"--name {template}: there is no {{{wrong[0]}}}; allowed are {', '.join(f'{{{name}}}' for name in FIELDS)}"
        )
    if formatted := next((field for field, spec, how in parts if spec or how), None):
        raise UserError(f"--name {template}: nothing may follow a name inside of braces. Try: {{{formatted}}}")
    if not fields & {"stem", "name"}:
        raise UserError(f"--name {template}: without {{stem}} or {{name}} all pictures would get the same name")
    if "/" in template or os.sep in template:
        raise UserError(f"--name {template}: folders are kept as they are, so a name holds no {os.sep}")
    if Path(template).suffix.lower() not in ENCODINGS:
        raise UserError(f"--name {template}: allowed endings are {', '.join(ENCODINGS)}")


def _single_job(paths: Sequence[str], out: Path, template: str | None) -> Job:
    if len(paths) != 1:
        raise UserError(f"-o {out} is a file, and there are {len(paths):,} pictures. Name a folder for them")
    if template is not None:
        raise UserError(f"--name {template} says nothing here: -o {out} is the name already")
    if _is_same(paths[0], out):
        raise UserError(f"-o {out} is the picture itself. Name another file")
    return Job(paths[0], out)


def _named(paths: Sequence[str], root: str, out: Path, template: str, scale: float) -> list[Job]:
    def target(path: str, *, is_long: bool) -> Path:
        folder, name = os.path.split(os.path.abspath(_location(path)))
        stem = name if is_long else os.path.splitext(name)[0]
        below = os.path.relpath(folder, root)
        if below.split(os.sep)[0] == os.pardir:  # as only the name of a member of an archive can
            raise UserError(f"{path!r} would lie outside of {out}. Unpack the archive, and look at it first")
        return out / below / template.format(stem=stem, name=name, scale=f"{scale:g}")

    names = {path: target(path, is_long=not _promises_a_picture(path)) for path in paths}
    while clashing := {name for name, n in Counter(names.values()).items() if n > 1}:
        # A longer name may be the short one of another: `1.jpg` beside `1.png` and `1.jpg.png`.
        longer = {path: target(path, is_long=True) for path, name in names.items() if name in clashing}
        if all(names[path] == name for path, name in longer.items()):
            name = min(clashing)
            first, second = [path for path in longer if names[path] == name][:2]
            raise UserError(f"{first!r} and {second!r} would both become {name}. Enlarge them one at a time")
        names |= longer
    return [Job(path, name) for path, name in names.items()]


def _promises_a_picture(path: str) -> bool:
    """A raw file beside its JPEG will become a row that says `unsupported`, so it takes no name from it."""
    promised = formats.EXTENSIONS.get(os.path.splitext(path)[1].lower())
    return promised is None or promised in formats.DECODERS


def _root(found: dict[str, list[str]]) -> str:
    """The deepest folder that all inputs have in common, absolute."""
    folders: list[str] = []
    for entry, paths in found.items():
        if os.path.isdir(entry):
            folders.append(entry)
        elif entry == "-" or entry.lower().endswith(TABLE_EXTENSIONS):
            folders += [os.path.dirname(_location(path)) for path in paths]
        elif has_magic(entry) and not os.path.lexists(entry):
            folders.append(_before_magic(entry))
        else:
            folders.append(os.path.dirname(_location(entry)))
    try:
        return os.path.commonpath([os.path.abspath(folder) for folder in folders])
    except ValueError:
        raise UserError("the inputs lie on several drives, so their tree can't be kept. Name one at a time") from None


def _location(path: str) -> str:
    """Where a picture would be as a local file: a member of `a.tar` below `a`, one from an address below its host."""
    member = split_member(path)
    if member is not None and not os.path.lexists(path):
        path = os.path.join(member[0][: -len(TAR)], member[1])
    return path.partition("://")[2] if is_address(path) else path


def _spelt_alike(path: str) -> str:
    """The same for `a.png` and `b/../a.png`."""
    return path if is_address(path) else os.path.abspath(path)


def _before_magic(pattern: str) -> str:
    folder = os.path.dirname(pattern)
    while has_magic(folder):
        folder = os.path.dirname(folder)
    return folder


def _is_below(path: str, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _is_same(path: str, out: Path) -> bool:
    return os.path.realpath(path) == os.path.realpath(out)
