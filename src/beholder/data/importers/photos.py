"""Photos with real distortions, and generated pictures: KonIQ-10k, SPAQ, LIVE Challenge, AGIQA-3K, BIQ2021."""

from __future__ import annotations

from pathlib import Path

from beholder.data.columns import Split
from beholder.data.importers.generic import read_split
from beholder.data.importers.matlab import read_mat
from beholder.data.importers.sheets import read_sheet
from beholder.data.importers.tables import find_file, picture_folder, read_rows
from beholder.data.labels import Label
from beholder.task import Task


def koniq10k(root: Path, task: Task) -> list[Label]:
    """`koniq10k_distributions_sets.csv`: MOS from 0 to 100 and the official `set` of each picture.

    Its SD belongs to the five-point votes, not to this MOS, so it is kept as `sd_1_5` and not as `score_std`.
    """
    name = "koniq10k_distributions_sets.csv"
    file = find_file(root, name, f"metadata/{name}")
    folder = picture_folder(root, "1024x768", "512x384")
    return [
        Label(
            folder + cells["image_name"],
            cells["MOS"],
            place,
            split=read_split(cells["set"], place),
            n_raters=cells["c_total"],
            extra={"sd_1_5": cells["SD"]},
        )
        for place, cells in read_rows(file, ("image_name", "MOS", "SD", "c_total", "set"))
    ]


def spaq(root: Path, task: Task) -> list[Label]:
    """`MOS and Image attribute scores.xlsx`, or the same sheet exported as CSV; no official split."""
    name = "MOS and Image attribute scores"
    places = [f"{folder}{name}{end}" for folder in ("Annotations/", "annotations/", "") for end in (".csv", ".xlsx")]
    folder = picture_folder(root, "TestImage")
    attributes = ("Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness")
    return [
        Label(
            folder + cells["Image name"],
            cells["MOS"],
            place,
            extra={attribute.lower(): cells[attribute] for attribute in attributes},
        )
        for place, cells in read_sheet(find_file(root, *places), ("Image name", "MOS", *attributes))
    ]


def live_challenge(root: Path, task: Task) -> list[Label]:
    """`Data/All{Images,MOS,StdDev}_release.mat`; the first seven pictures trained the raters and are left out."""
    folder = root / "Data" if (root / "Data").is_dir() else root
    images, mos, deviations = (
        read_mat(folder / f"{key}.mat", key) for key in ("AllImages_release", "AllMOS_release", "AllStdDev_release")
    )
    rows = zip(images.ravel(), mos.ravel(), deviations.ravel(), strict=True)
    return [
        Label(f"Images/{image.item()}", float(score), f"AllImages_release.mat row {row}", score_std=float(deviation))
        for row, (image, score, deviation) in enumerate(rows, 1)
        if row > 7
    ]


def agiqa3k(root: Path, task: Task) -> list[Label]:
    """`data.csv`: perceived quality of generated pictures and the prompt each was made from; no official split.

    Pictures of one prompt, by several generators, share a group.
    """
    folder = picture_folder(root, "images", "AGIQA-3K", "Images")
    return [
        Label(
            folder + cells["name"],
            cells["mos_quality"],
            place,
            score_std=cells["std_quality"],
            text=cells["prompt"],
            group=cells["prompt"],
            extra={"mos_align": cells["mos_align"]},
        )
        for place, cells in read_rows(root / "data.csv", ("name", "prompt", "mos_quality", "std_quality", "mos_align"))
    ]


def biq2021(root: Path, task: Task) -> list[Label]:
    """`Train (Images and MOS).csv` and `Test (Images and MOS).csv`: the official parts."""
    parts: tuple[tuple[Split, str], ...] = (("train", "Train"), ("test", "Test"))
    return [
        Label(
            f"Images/{cells['Image Name']}", cells["MOS"], place, split=split, extra={"subset": cells["Image Name"][:4]}
        )
        for split, word in parts
        for place, cells in read_rows(root / f"{word} (Images and MOS).csv", ("Image Name", "MOS"))
    ]
