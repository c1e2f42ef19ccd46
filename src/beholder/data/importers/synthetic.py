"""Reference pictures damaged on purpose: LIVE, KADID-10k, TID2013, CSIQ, PIPAL. The group is the reference picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from beholder.data.columns import ManifestError
from beholder.data.importers.matlab import read_mat
from beholder.data.importers.sheets import read_sheet
from beholder.data.importers.tables import find_file, number, picture_folder, read_rows, read_words
from beholder.data.labels import Label
from beholder.task import Task


def kadid10k(root: Path, task: Task) -> list[Label]:
    """`dmos.csv`. Higher is better, 1 to 5, whatever the name says; `var` is the variance of the ratings."""
    folder = picture_folder(root, "images")
    return [
        Label(
            folder + cells["dist_img"],
            cells["dmos"],
            place,
            score_std=number(cells["var"], place, "var") ** 0.5,
            group=cells["ref_img"],
            extra={"distortion": _part(cells["dist_img"], 1, place)},
        )
        for place, cells in read_rows(root / "dmos.csv", ("dist_img", "ref_img", "dmos", "var"))
    ]


def tid2013(root: Path, task: Task) -> list[Label]:
    """`mos_with_names.txt` (score, name) and, line by line with it, `mos_std.txt` where it is there.

    The list writes some names in another case than the files have, so files are found whatever the case.
    """
    folder = picture_folder(root, "distorted_images")
    names = {path.name.lower(): path.name for path in (root / folder).iterdir()}
    spreads = root / "mos_std.txt"
    deviations = [words[0] for _, words in read_words(spreads, 1)] if spreads.is_file() else None
    labels = []
    for row, (place, (score, name, *_)) in enumerate(read_words(root / "mos_with_names.txt", 2)):
        if deviations is not None and row >= len(deviations):
            raise ManifestError(f"{spreads} ends after {len(deviations)} lines, before {place}")
        labels.append(
            Label(
                folder + names.get(name.lower(), name),
                score,
                place,
                score_std=None if deviations is None else deviations[row],
                group=_part(name, 0, place).upper(),
                extra={"distortion": _part(name, 1, place)},
            )
        )
    return labels


_LIVE_FOLDERS = {"jp2k": 227, "jpeg": 233, "wn": 174, "gblur": 174, "fastfading": 174}
"""Folders in the order of the label arrays, and how many pictures are in each, copies of references among them."""


def live(root: Path, task: Task) -> list[Label]:
    """`dmos.mat` (`dmos`, `orgs`) and `refnames_all.mat` of release 2. Lower is better.

    The arrays go through the folders one after the other, `img1.bmp` first in each. Where `orgs` is 1 the picture is an
    undamaged reference, whose DMOS of 0 nobody gave; it is left out. The scores of `dmos_realigned.mat` are another
    scale, without declared ends.
    """
    dmos, orgs = (read_mat(root / "dmos.mat", key).ravel() for key in ("dmos", "orgs"))
    references = read_mat(root / "refnames_all.mat", "refnames_all").ravel()
    places = [(folder, n) for folder, count in _LIVE_FOLDERS.items() for n in range(1, count + 1)]
    for name, array in (("dmos.mat: dmos", dmos), ("dmos.mat: orgs", orgs), ("refnames_all.mat", references)):
        if len(array) != len(places):
            raise ManifestError(f"{root / name} has {len(array)} values; LIVE release 2 has {len(places)} pictures")
    return [
        Label(
            f"{folder}/img{n}.bmp",
            float(dmos[row]),
            f"{root / 'dmos.mat'} value {row + 1}",
            group=str(references[row].item()),
            extra={"distortion": folder},
        )
        for row, (folder, n) in enumerate(places)
        if not orgs[row]
    ]


_CSIQ_TYPES = {  # word in the sheet: folder, word in the file name
    "noise": ("awgn", "AWGN"),
    "blur": ("blur", "BLUR"),
    "contrast": ("contrast", "contrast"),
    "fnoise": ("fnoise", "fnoise"),
    "jpeg": ("jpeg", "JPEG"),
    "jpeg 2000": ("jpeg2000", "jpeg2000"),
}


def csiq(root: Path, task: Task) -> list[Label]:
    """Sheet `all_by_image` of `csiq.DMOS.xlsx`, or that sheet exported as `csiq.DMOS.csv`. Lower is better."""
    wanted = ("image", "dst_type", "dst_lev", "dmos_std", "dmos")
    labels = []
    for place, cells in read_sheet(find_file(root, "csiq.DMOS.csv", "csiq.DMOS.xlsx"), wanted, sheet="all_by_image"):
        kind = cells["dst_type"].strip().lower()
        if kind not in _CSIQ_TYPES:
            raise ManifestError(f"{place}: dst_type = {kind!r}; allowed are {', '.join(_CSIQ_TYPES)}")
        folder, word = _CSIQ_TYPES[kind]
        level = int(number(cells["dst_lev"], place, "dst_lev"))
        image = cells["image"].removesuffix(".0")  # the reference called 1600 is a number to a spreadsheet
        path = f"dst_imgs/{folder}/{image}.{word}.{level}.png"
        extra = {"distortion": folder}
        labels.append(Label(path, cells["dmos"], place, score_std=cells["dmos_std"], group=image, extra=extra))
    return labels


def pipal(root: Path, task: Task) -> list[Label]:
    """`Train_Label/*.txt`, one file per reference picture: name and Elo rating of each distorted copy.

    The copies may lie in one folder or in several (`Train_Dist`, `Distortion_1` to `Distortion_4`).
    """
    files = sorted((root / "Train_Label").glob("*.txt"))
    if not files:
        raise ManifestError(f"{root / 'Train_Label'} holds no .txt files, one per reference picture, as PIPAL has them")
    at = {path.name: path.relative_to(root).as_posix() for path in _distorted(root)}
    return [
        Label(
            at.get(name, f"Train_Dist/{name}"),
            score,
            place,
            group=file.stem,
            extra={"distortion": _part(name, 1, place)},
        )
        for file in files
        for place, (name, score, *_) in read_words(file, 2, ",")
    ]


def _distorted(root: Path) -> Iterator[Path]:
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and "ref" not in path.name.lower()):
        yield from folder.glob("*.bmp")


def _part(name: str, index: int, place: str) -> str:
    """Word of a name such as `I01_05_3.bmp`: reference, distortion, level."""
    parts = name.split(".")[0].split("_")
    if len(parts) < 3:
        raise ManifestError(f"{place}: {name!r} is not a name made of reference, distortion and level")
    return parts[index]
