"""The public sets beholder can import: one row each, range and direction declared, nothing downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from beholder.data.columns import ManifestError, unknown
from beholder.data.labels import Facts, Label, build_manifest
from beholder.data.manifest import Manifest, SplitBy
from beholder.data.split import SHARES, Shares
from beholder.task import ScoreRange, Task


@dataclass(frozen=True)
class DataSet:
    """One public set: what its numbers mean, how it is split, which function reads its label files."""

    name: str
    tasks: tuple[Task, ...]
    """What its labels answer; the first is the default."""
    range: ScoreRange
    n_pictures: int
    split_by: SplitBy
    label_files: str
    """What the importer reads, relative to the folder the set was unpacked in."""
    licence: str
    """As the authors state it; read theirs before you use a set."""
    source: str
    load: str
    """Importer as text, `module:function`, so that listing the sets imports none."""
    stratify: str | None = None
    """Column whose values get the same shares in every part."""


_QUALITY: tuple[Task, ...] = ("quality",)
_AESTHETICS: tuple[Task, ...] = ("aesthetics",)
_HERE = "beholder.data.importers"
_NOT_STATED = "none stated; research use"

CATALOGUE: tuple[DataSet, ...] = (
    DataSet(
        name="koniq10k",
        tasks=_QUALITY,
        range=ScoreRange(0, 100),
        n_pictures=10_073,
        split_by="official",
        label_files="koniq10k_distributions_sets.csv, 1024x768/ or 512x384/",
        licence="labels CC0; pictures Creative Commons, each under its own (YFCC100M)",
        source="Hosu et al., IEEE TIP 29, 2020; database.mmsp-kn.de",
        load=f"{_HERE}.photos:koniq10k",
    ),
    DataSet(
        name="spaq",
        tasks=_QUALITY,
        range=ScoreRange(0, 100),
        n_pictures=11_125,
        split_by="row",
        label_files="Annotations/MOS and Image attribute scores.xlsx or .csv, TestImage/",
        licence="research only",
        source="Fang et al., CVPR 2020; github.com/h4nwei/SPAQ",
        load=f"{_HERE}.photos:spaq",
    ),
    DataSet(
        name="kadid10k",
        tasks=_QUALITY,
        range=ScoreRange(1, 5),
        n_pictures=10_125,
        split_by="reference",
        label_files="dmos.csv, images/",
        licence=_NOT_STATED,
        source="Lin, Hosu and Saupe, QoMEX 2019; database.mmsp-kn.de",
        load=f"{_HERE}.synthetic:kadid10k",
    ),
    DataSet(
        name="tid2013",
        tasks=_QUALITY,
        range=ScoreRange(0, 9),
        n_pictures=3_000,
        split_by="reference",
        label_files="mos_with_names.txt, mos_std.txt, distorted_images/",
        licence="research use, with citation",
        source="Ponomarenko et al., Signal Processing: Image Communication 30, 2015",
        load=f"{_HERE}.synthetic:tid2013",
    ),
    DataSet(
        name="csiq",
        tasks=_QUALITY,
        range=ScoreRange(0, 1, higher_is_better=False),
        n_pictures=866,
        split_by="reference",
        label_files="csiq.DMOS.xlsx or .csv, dst_imgs/",
        licence=_NOT_STATED,
        source="Larson and Chandler, J. Electron. Imaging 19(1), 2010",
        load=f"{_HERE}.synthetic:csiq",
    ),
    DataSet(
        name="live",
        tasks=_QUALITY,
        range=ScoreRange(0, 100, higher_is_better=False),
        n_pictures=779,
        split_by="reference",
        label_files="dmos.mat, refnames_all.mat, jp2k/, jpeg/, wn/, gblur/, fastfading/",
        licence="any use, with the copyright notice",
        source="Sheikh, Sabir and Bovik, IEEE TIP 15(11), 2006 (release 2); live.ece.utexas.edu",
        load=f"{_HERE}.synthetic:live",
    ),
    DataSet(
        name="live-challenge",
        tasks=_QUALITY,
        range=ScoreRange(0, 100),
        n_pictures=1_162,
        split_by="row",
        label_files="Data/All{Images,MOS,StdDev}_release.mat, Images/",
        licence="research use, with citation",
        source="Ghadiyaram and Bovik, IEEE TIP 25(1), 2016",
        load=f"{_HERE}.photos:live_challenge",
    ),
    DataSet(
        name="pipal",
        tasks=_QUALITY,
        range=ScoreRange(800, 2000),  # Elo has no ends of its own; published ratings lie well inside
        n_pictures=23_200,
        split_by="reference",
        label_files="Train_Label/*.txt, Train_Dist/ or Distortion_1/ to Distortion_4/",
        licence="research only",
        source="Gu et al., ECCV 2020 (training part; the other labels are not public)",
        load=f"{_HERE}.synthetic:pipal",
    ),
    DataSet(
        name="agiqa3k",
        tasks=_QUALITY,
        range=ScoreRange(0, 5),
        n_pictures=2_982,
        split_by="group",
        label_files="data.csv and the pictures beside it or in images/",
        licence=_NOT_STATED,
        source="Li et al., IEEE TCSVT 2024; github.com/lcysyzxdxc/AGIQA-3k-Database",
        load=f"{_HERE}.photos:agiqa3k",
    ),
    DataSet(
        name="biq2021",
        tasks=_QUALITY,
        range=ScoreRange(0, 1),
        n_pictures=12_000,
        split_by="official",
        label_files="Train (Images and MOS).csv, Test (Images and MOS).csv, Images/",
        licence="none stated ('freely available'); research use",
        source="Ahmed and Asif, J. Electron. Imaging 31(5), 2022; github.com/nisarahmedrana/BIQ2021",
        load=f"{_HERE}.photos:biq2021",
    ),
    DataSet(
        name="biq2021-part",
        tasks=_QUALITY,
        range=ScoreRange(0, 1),
        n_pictures=2_150,
        split_by="scene",
        label_files="labels.csv, images/",
        licence="none stated by the source ('freely available'); research use",
        source="part of BIQ2021's training part: Ahmed and Asif, J. Electron. Imaging 31(5), 2022",
        load=f"{_HERE}.research:biq2021_part",
        stratify="subset",
    ),
    DataSet(
        name="ava",
        tasks=_AESTHETICS,
        range=ScoreRange(1, 10),
        n_pictures=255_530,
        split_by="official",
        label_files="AVA.txt, aesthetics_image_lists/generic_test.jpgl, images/",
        licence="none stated; pictures belong to their dpchallenge.com authors; research use",
        source="Murray, Marchesotti and Perronnin, CVPR 2012",
        load=f"{_HERE}.aesthetics:ava",
    ),
    DataSet(
        name="aadb",
        tasks=_AESTHETICS,
        range=ScoreRange(0, 1),
        n_pictures=9_958,
        split_by="official",
        label_files="imgListFiles_label/imgList*Regression_score.txt, datasetImages_originalSize/",
        licence="research use; pictures Creative Commons (Flickr)",
        source="Kong et al., ECCV 2016; github.com/aimerykong/deepImageAestheticsAnalysis",
        load=f"{_HERE}.aesthetics:aadb",
    ),
    DataSet(
        name="tad66k",
        tasks=_AESTHETICS,
        range=ScoreRange(1, 10),
        n_pictures=66_327,
        split_by="official",
        label_files="labels/merge/train.csv, labels/merge/test.csv, TAD66K/",
        licence=_NOT_STATED,
        source="He et al., IJCAI 2022; github.com/woshidandan/TANet",
        load=f"{_HERE}.aesthetics:tad66k",
    ),
    DataSet(
        name="flickr-aes",
        tasks=_AESTHETICS,
        range=ScoreRange(0.2, 1),  # five votes of 1 to 5, divided by 5
        n_pictures=40_988,
        split_by="row",
        label_files="FLICKR-AES_image_score.txt, 40K/",
        licence="research only; pictures Creative Commons (Flickr)",
        source="Ren et al., ICCV 2017; github.com/alanspike/personalizedImageAesthetics",
        load=f"{_HERE}.aesthetics:flickr_aes",
    ),
    DataSet(
        name="artimuse10k",
        tasks=_AESTHETICS,
        range=ScoreRange(0, 10),
        n_pictures=10_000,
        split_by="official",
        label_files="ArtiMuse-10K_train.json, ArtiMuse-10K_test.json, image/",
        licence="research only",
        source="Cao et al., arXiv 2507.14533; github.com/thunderbolt215/ArtiMuse",
        load=f"{_HERE}.aesthetics:artimuse10k",
    ),
    DataSet(
        name="para",
        tasks=("aesthetics", "quality"),
        range=ScoreRange(1, 5),
        n_pictures=31_220,
        split_by="official",
        label_files="annotation/PARA-GiaaTrain.csv, annotation/PARA-GiaaTest.csv, imgs/",
        licence="research only",
        source="Yang et al., CVPR 2022; cv-datasets.institutecv.com",
        load=f"{_HERE}.aesthetics:para",
    ),
    DataSet(
        name="oasis",
        tasks=_AESTHETICS,
        range=ScoreRange(1, 7),
        n_pictures=900,
        split_by="theme",
        label_files="OASIS.csv, OASIS_beauty_ratings.csv, Images/",
        licence="open access for research",
        source="Kurdi, Lozano and Banaji, Behav. Res. Methods 49, 2017; beauty: Brielmann and Pelli, 2019",
        load=f"{_HERE}.aesthetics:oasis",
        stratify="category",
    ),
    DataSet(
        name="oasis-part",
        tasks=_AESTHETICS,
        range=ScoreRange(1, 7),
        n_pictures=381,
        split_by="theme",
        label_files="labels.csv, images/",
        licence="open access for research",
        source="part of OASIS (Kurdi et al., 2017) with the beauty ratings of Brielmann and Pelli (2019)",
        load=f"{_HERE}.research:oasis_part",
        stratify="category",
    ),
)


def find_set(name: str) -> DataSet:
    """Row of the catalogue by name. Raises `ManifestError` naming the nearest."""
    for row in CATALOGUE:
        if row.name == name:
            return row
    raise ManifestError(unknown("data set", name, [row.name for row in CATALOGUE] + ["generic"], "catalogue"))


def import_set(
    name: str,
    root: Path,
    *,
    task: Task | None = None,
    shares: Shares = SHARES,
    seed: int = 0,
    allow_missing: bool = False,
) -> Manifest:
    """Manifest of the public set `name`, unpacked in `root`.

    Official parts are kept as they are; without them rows are split by hash of their group (`split.split_groups`).
    Raises `ManifestError` naming the label files looked for, and as `labels.build_manifest` does.
    """
    row = find_set(name)
    task = row.tasks[0] if task is None else task
    if task not in row.tasks:
        raise ManifestError(f"{name} has no labels for task {task!r}; it has {', '.join(row.tasks)}")
    module, function = row.load.split(":")
    labels = cast(list[Label], getattr(import_module(module), function)(root, task))
    facts = Facts(
        name=row.name, task=task, range=row.range, split_by=row.split_by, licence=row.licence, source=row.source
    )
    return build_manifest(
        labels, facts, root, shares=shares, stratify=row.stratify, seed=seed, allow_missing=allow_missing
    )
