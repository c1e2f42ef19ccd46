"""BIQ2021 and OASIS: as published, and as the subsets that beholder's own model was trained on."""

from __future__ import annotations

import re
from pathlib import Path

from beholder.data.columns import ManifestError
from beholder.data.importers.tables import read_rows
from beholder.data.labels import Label
from beholder.task import Task

_SESSION = 20
"""Consecutive file numbers of BIQ2021's ss02 that count as one group: shots of one scene follow each other there."""


def biq2021_part(root: Path, task: Task) -> list[Label]:
    """`labels.csv` (`file, mos_0_1, subset, original_name`) beside `images/`: a part of BIQ2021's training part."""
    labels = []
    for place, cells in read_rows(root / "labels.csv", ("file", "mos_0_1", "subset")):
        name, subset = cells["file"], cells["subset"]
        group = biq2021_session(name, place)
        labels.append(Label(f"images/{name}", cells["mos_0_1"], place, group=group, extra={"subset": subset}))
    return labels


def biq2021_session(name: str, place: str) -> str:
    """Group of a picture: its own name in the web subset ss03, a run of file numbers in the photographers' subsets."""
    match = re.fullmatch(r"(ss\d\d)[ _]\(?(\d+)\)?\.\w+", name)
    if match is None:
        raise ManifestError(f"{place}: {name!r} is not a BIQ2021 file name such as 'ss02 (17).jpg'")
    subset, number = match[1], int(match[2])
    return name if subset == "ss03" else f"{subset}-{number // _SESSION:03d}"


def oasis_part(root: Path, task: Task) -> list[Label]:
    """`labels.csv` beside `images/`: beauty with its spread and raters, theme, category and a human caption."""
    wanted = ("file", "theme", "category", "beauty_mean_1_7", "beauty_sd", "beauty_n", "human_caption")
    return [
        Label(
            f"images/{cells['file']}",
            cells["beauty_mean_1_7"],
            place,
            score_std=cells["beauty_sd"],
            n_raters=cells["beauty_n"],
            text=cells["human_caption"],
            group=cells["theme"],
            extra={"category": cells["category"], "valence": cells.get("valence_mean_1_7", "")},
        )
        for place, cells in read_rows(root / "labels.csv", wanted)
    ]
