"""Photos rated for beauty: AVA, AADB, TAD66K, FLICKR-AES, PARA, ArtiMuse-10K, OASIS."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from beholder.data.columns import ManifestError, Split
from beholder.data.importers.tables import find_file, number, picture_folder, read_rows, read_words
from beholder.data.labels import Label
from beholder.task import Task

_TRAIN_TEST: tuple[tuple[Split, str], ...] = (("train", "train"), ("test", "test"))


def ava(root: Path, task: Task) -> list[Label]:
    """`AVA.txt` (index, id, votes for 1 to 10, two tags, challenge) and the official generic test list."""
    test_file = find_file(root, "aesthetics_image_lists/generic_test.jpgl", "generic_test.jpgl")
    test = {words[0] for _, words in read_words(test_file, 1)}
    folder = picture_folder(root, "images/images", "images", "image")
    labels = []
    for place, words in read_words(root / "AVA.txt", 15):
        votes = [number(word, place, f"votes for {value}") for value, word in enumerate(words[2:12], 1)]
        n = sum(votes)
        if n <= 0:
            raise ManifestError(f"{place}: picture {words[1]} has no votes")
        mean = sum(value * count for value, count in enumerate(votes, 1)) / n
        variance = sum((value - mean) ** 2 * count for value, count in enumerate(votes, 1)) / n
        labels.append(
            Label(
                f"{folder}{words[1]}.jpg",
                mean,
                place,
                split="test" if words[1] in test else "train",
                score_std=variance**0.5,
                n_raters=int(n),
                extra={"challenge": words[14], "votes": " ".join(words[2:12])},
            )
        )
    return labels


def aadb(root: Path, task: Task) -> list[Label]:
    """`imgListFiles_label/imgList{Train,Validation,TestNew}Regression_score.txt`: the official parts."""
    parts: tuple[tuple[Split, str], ...] = (("train", "Train"), ("val", "Validation"), ("test", "TestNew"))
    labels = []
    for split, word in parts:
        name = f"imgList{word}Regression_score.txt"
        file = find_file(root, f"imgListFiles_label/{name}", name)
        folders = ["datasetImages_originalSize/", "datasetImages_warp256/"]
        if split == "test":
            folders = ["AADB_newtest_originalSize/", "AADB_newtest/", *folders]
        for place, (picture, score, *_) in read_words(file, 2):
            folder = next((folder for folder in folders if (root / folder / picture).is_file()), folders[0])
            labels.append(Label(folder + picture, score, place, split=split))
    return labels


def tad66k(root: Path, task: Task) -> list[Label]:
    """`labels/merge/train.csv` and `test.csv` (image, score): the official parts."""
    folder = picture_folder(root, "TAD66K", "imgs", "images")
    return [
        Label(folder + cells["image"], cells["score"], place, split=split)
        for split, word in _TRAIN_TEST
        for place, cells in read_rows(find_file(root, f"labels/merge/{word}.csv", f"{word}.csv"), ("image", "score"))
    ]


def flickr_aes(root: Path, task: Task) -> list[Label]:
    """`FLICKR-AES_image_score.txt` (name, score), and the raters counted in the workers' file where it is there."""
    workers = root / "FLICKR-AES_image_labeled_by_each_worker.csv"
    raters: Counter[str] = Counter()
    if workers.is_file():
        raters.update(cells["imagePair"].strip() for _, cells in read_rows(workers, ("worker", "imagePair", "score")))
    folder = picture_folder(root, "40K", "images", "image")
    return [
        Label(folder + name, score, place, n_raters=raters[name] if raters else None)
        for place, (name, score, *_) in read_words(root / "FLICKR-AES_image_score.txt", 2)
    ]


def para(root: Path, task: Task) -> list[Label]:
    """`annotation/PARA-GiaaTrain.csv` and `PARA-GiaaTest.csv`: aesthetics or quality of each picture, by `task`."""
    column = "aestheticScore" if task == "aesthetics" else "qualityScore"
    wanted = ("imageName", "sessionId", "semantic", f"{column}_mean", f"{column}_std")
    return [
        Label(
            f"imgs/{cells['sessionId']}/{cells['imageName']}",
            cells[f"{column}_mean"],
            place,
            split=split,
            score_std=cells[f"{column}_std"],
            extra={"semantic": cells["semantic"]},
        )
        for split, word in _TRAIN_TEST
        for place, cells in read_rows(root / "annotation" / f"PARA-Giaa{word.title()}.csv", wanted)
    ]


def artimuse10k(root: Path, task: Task) -> list[Label]:
    """`ArtiMuse-10K_train.json` and `ArtiMuse-10K_test.json`: lists of objects with `image` and `gt_score`.

    Where only the test list has been published to you, the manifest has that part alone.
    """
    parts = [(split, root / f"ArtiMuse-10K_{word}.json") for split, word in _TRAIN_TEST]
    found = [(split, file) for split, file in parts if file.is_file()]
    if not found:
        raise ManifestError(f"{root} holds none of {', '.join(file.name for _, file in parts)}")
    folder = picture_folder(root, "image", "images")
    labels = []
    for split, file in found:
        try:
            rows = json.loads(file.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise ManifestError(f"{file} line {error.lineno}: not valid JSON: {error.msg}") from None
        for row, item in enumerate(rows, 1):
            place = f"{file} item {row}"
            if not isinstance(item, dict) or not {"image", "gt_score"} <= item.keys():
                raise ManifestError(f"{place}: needs the keys image and gt_score, has {item!r:.80}")
            labels.append(Label(f"{folder}{item['image']}", item["gt_score"], place, split=split))
    return labels


def oasis(root: Path, task: Task) -> list[Label]:
    """`OASIS.csv`, with `OASIS_beauty_ratings.csv` of Brielmann and Pelli beside it or in their folder.

    `Acorns 1` belongs to the theme `Acorns`; a theme is not on two sides of the split.
    """
    name = "OASIS_beauty_ratings.csv"
    file = find_file(root, name, f"Beauty ratings from Brielmann and Pelli (2019)/{name}")
    beauty = {
        _digits(cells["item"], place): cells
        for place, cells in read_rows(file, ("item", "beauty_mean", "beauty_SD", "N"))
    }
    folder = picture_folder(root, "Images", "images")
    labels = []
    for place, cells in read_rows(root / "OASIS.csv", ("", "Theme", "Category")):
        rated = beauty.get(_digits(cells[""], place))
        if rated is None:
            raise ManifestError(f"{place}: item {cells['']!r} has no row in {file}")
        theme = cells["Theme"].strip()
        labels.append(
            Label(
                f"{folder}{theme}.jpg",
                rated["beauty_mean"],
                place,
                score_std=rated["beauty_SD"],
                n_raters=rated["N"],
                group=theme.rstrip("0123456789 "),
                extra={"category": cells["Category"].strip()},
            )
        )
    return labels


def _digits(item: str, place: str) -> int:
    match = re.search(r"\d+", item)
    if match is None:
        raise ManifestError(f"{place}: item = {item!r} has no number")
    return int(match[0])
