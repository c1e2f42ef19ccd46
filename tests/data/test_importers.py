"""Each set's importer on a small file written in that set's own format."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from beholder.data.catalogue import CATALOGUE, find_set, import_set
from beholder.data.columns import LabelRangeError, ManifestError
from beholder.data.importers.generic import Columns, generic
from beholder.data.importers.sheets import read_sheet
from beholder.data.labels import Facts, build_manifest
from beholder.data.manifest import Manifest
from beholder.task import ScoreRange


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def touch(root: Path, *names: str) -> None:
    """Empty files: an importer looks whether a picture is there, and never opens it."""
    for name in names:
        write(root / name, "")


def rows_of(manifest: Manifest, *columns: str) -> list[tuple[object, ...]]:
    return list(zip(*(manifest.column(name) for name in columns), strict=True))


def test_koniq10k(tmp_path):
    write(
        tmp_path / "koniq10k_distributions_sets.csv",
        "image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,set\n"
        '"10004473376.jpg",0,0,0.24,0.72,0.04,104,62.3,0.53,"training"\n'
        '"10007357496.jpg",0.04,0.05,0.7,0.2,0.01,101,42.1,0.7,"validation"\n'
        '"10020766793.jpg",0,0.01,0.2,0.6,0.2,97,79.5,0.66,"test"\n',
    )
    touch(tmp_path, *(f"1024x768/{name}.jpg" for name in (10004473376, 10007357496, 10020766793)))
    manifest = import_set("koniq10k", tmp_path)
    assert rows_of(manifest, "path", "score", "split", "n_raters") == [
        ("1024x768/10004473376.jpg", 62.3, "train", 104),
        ("1024x768/10007357496.jpg", 42.1, "val", 101),
        ("1024x768/10020766793.jpg", 79.5, "test", 97),
    ]
    assert "score_std" not in manifest.table.column_names  # its SD is on another scale


SPAQ = [
    ["Image name", "MOS", "Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness"],
    ["00001.jpg", "30", "41.67", "47", "48", "38", "42"],
    ["00002.jpg", "71.5", "60", "58.5", "59", "70", "72"],
]


def spaq_csv(folder: Path) -> None:
    write(folder / "MOS and Image attribute scores.csv", "\n".join(",".join(row) for row in SPAQ) + "\n,,,,,,\n")


def spaq_xlsx(folder: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    folder.mkdir(parents=True)
    book = openpyxl.Workbook()
    for row in [SPAQ[0], *([row[0], *map(float, row[1:])] for row in SPAQ[1:])]:
        book.active.append(row)
    book.save(folder / "MOS and Image attribute scores.xlsx")


@pytest.mark.parametrize("labels", [spaq_csv, spaq_xlsx])
def test_spaq(tmp_path, labels: Callable[[Path], None]):
    labels(tmp_path / "Annotations")
    touch(tmp_path, "TestImage/00001.jpg", "TestImage/00002.jpg")
    manifest = import_set("spaq", tmp_path)
    assert rows_of(manifest, "path", "score") == [("TestImage/00001.jpg", 30.0), ("TestImage/00002.jpg", 71.5)]
    assert [float(value) for value in manifest.column("sharpness")] == [42, 72]


def test_kadid10k_is_higher_better_and_split_by_reference(tmp_path):
    names = [f"I{ref:02d}_{kind:02d}_{level:02d}.png" for ref in (1, 2, 3, 4) for kind in (1, 2) for level in (1, 5)]
    lines = [f"{name},{name[:3]}.png,{1 + i / 4:.2f},0.25" for i, name in enumerate(names)]
    write(tmp_path / "dmos.csv", "dist_img,ref_img,dmos,var\n" + "\n".join(lines) + "\n")
    touch(tmp_path, *(f"images/{name}" for name in names))
    manifest = import_set("kadid10k", tmp_path)
    assert manifest.range == ScoreRange(1, 5, higher_is_better=True)
    assert rows_of(manifest, "path", "score", "score_std", "group", "distortion")[3] == (
        "images/I01_02_05.png",
        1.75,
        0.5,
        "I01.png",
        "02",
    )
    assert len(set(rows_of(manifest, "group", "split"))) == 4


def test_tid2013_finds_files_whatever_their_case(tmp_path):
    write(tmp_path / "mos_with_names.txt", "5.51429 I01_01_1.bmp\n3.02500 i25_24_5.bmp\n")
    write(tmp_path / "mos_std.txt", "0.13007\n0.2\n")
    touch(tmp_path, "distorted_images/i01_01_1.bmp", "distorted_images/I25_24_5.bmp")
    manifest = import_set("tid2013", tmp_path)
    assert rows_of(manifest, "path", "score", "score_std", "group") == [
        ("distorted_images/i01_01_1.bmp", 5.51429, 0.13007, "I01"),
        ("distorted_images/I25_24_5.bmp", 3.025, 0.2, "I25"),
    ]


def test_tid2013_with_a_short_list_of_deviations_is_refused(tmp_path):
    write(tmp_path / "mos_with_names.txt", "5.5 I01_01_1.bmp\n3.0 I01_01_2.bmp\n")
    write(tmp_path / "mos_std.txt", "0.1\n")
    touch(tmp_path, "distorted_images/I01_01_1.bmp", "distorted_images/I01_01_2.bmp")
    with pytest.raises(ManifestError, match=r"mos_std.txt ends after 1 lines, before .* line 2"):
        import_set("tid2013", tmp_path)


CSIQ = [  # the sheet starts with a title and empty cells
    ["", "", "", "", "", "", "", "", ""],
    ["", "CSIQ", "", "", "", "", "", "", ""],
    ["", "", "", "image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"],
    ["", "", "", "1600", "1", "noise", "1", "0.054", "0.062"],
    ["", "", "", "1600", "5", "jpeg 2000", "5", "0.1", "0.906"],
    ["", "", "", "aerial_city", "4", "fnoise", "2", "0.02", "0.13"],
]


def csiq_csv(root: Path) -> None:
    write(root / "csiq.DMOS.csv", "\n".join(",".join(row) for row in CSIQ) + "\n")


def csiq_xlsx(root: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.create_sheet("all_by_image")
    for row in CSIQ:
        sheet.append([float(cell) if cell.replace(".", "").isdigit() else cell or None for cell in row])
    book.save(root / "csiq.DMOS.xlsx")


@pytest.mark.parametrize("labels", [csiq_csv, csiq_xlsx])
def test_csiq_is_lower_better(tmp_path, labels: Callable[[Path], None]):
    labels(tmp_path)
    files = ["awgn/1600.AWGN.1.png", "jpeg2000/1600.jpeg2000.5.png", "fnoise/aerial_city.fnoise.2.png"]
    touch(tmp_path, *(f"dst_imgs/{file}" for file in files))
    manifest = import_set("csiq", tmp_path)
    assert rows_of(manifest, "path", "score", "group") == [
        (f"dst_imgs/{files[0]}", 0.062, "1600"),
        (f"dst_imgs/{files[1]}", 0.906, "1600"),
        (f"dst_imgs/{files[2]}", 0.13, "aerial_city"),
    ]
    np.testing.assert_allclose(manifest.unit_scores(), [0.938, 0.094, 0.87])


def live_release(root: Path, n: int = 982) -> list[str]:
    """The label files of LIVE release 2, with copies of references in the second and the last place; all pictures."""
    io = pytest.importorskip("scipy.io")
    counts = {"jp2k": 227, "jpeg": 233, "wn": 174, "gblur": 174, "fastfading": 174}
    orgs = np.zeros((1, n))
    orgs[0, [1, -1]] = 1
    names = np.empty((1, n), dtype=object)
    names[0, :] = [f"sailing{i % 5}.bmp" for i in range(n)]
    io.savemat(root / "dmos.mat", {"dmos": np.where(orgs, 0, np.arange(n) / 10), "orgs": orgs})
    io.savemat(root / "refnames_all.mat", {"refnames_all": names})
    return [f"{folder}/img{i}.bmp" for folder, count in counts.items() for i in range(1, count + 1)]


def test_live_is_lower_better_and_leaves_copies_of_references_out(tmp_path):
    files = live_release(tmp_path)
    touch(tmp_path, *files)
    manifest = import_set("live", tmp_path)
    assert manifest.column("path") == [file for i, file in enumerate(files) if i not in (1, 981)]
    rows = {path: rest for path, *rest in rows_of(manifest, "path", "score", "group", "distortion")}
    assert rows["jp2k/img1.bmp"] == [0, "sailing0.bmp", "jp2k"]
    assert rows["jpeg/img1.bmp"] == [22.7, "sailing2.bmp", "jpeg"]
    assert rows["fastfading/img1.bmp"] == [80.8, "sailing3.bmp", "fastfading"]
    assert manifest.unit_scores()[0] == 1
    assert len(set(rows_of(manifest, "group", "split"))) == 5
    assert set(manifest.column("split")) == {"train", "val", "test"}


def test_live_of_another_release_is_refused(tmp_path):
    live_release(tmp_path, n=808)
    with pytest.raises(ManifestError, match="has 808 values; LIVE release 2 has 982 pictures"):
        import_set("live", tmp_path)


def test_live_challenge_leaves_the_seven_training_pictures_out(tmp_path):
    io = pytest.importorskip("scipy.io")
    (tmp_path / "Data").mkdir()
    names = [f"t{i}.bmp" for i in range(1, 8)] + ["3.bmp", "4.bmp"]
    images = np.empty((9, 1), dtype=object)
    images[:, 0] = names
    io.savemat(tmp_path / "Data/AllImages_release.mat", {"AllImages_release": images})
    io.savemat(tmp_path / "Data/AllMOS_release.mat", {"AllMOS_release": np.linspace(10, 90, 9)[None]})
    io.savemat(tmp_path / "Data/AllStdDev_release.mat", {"AllStdDev_release": np.full((1, 9), 17.5)})
    touch(tmp_path, "Images/3.bmp", "Images/4.bmp")
    manifest = import_set("live-challenge", tmp_path)
    assert rows_of(manifest, "path", "score", "score_std") == [("Images/3.bmp", 80, 17.5), ("Images/4.bmp", 90, 17.5)]


def test_pipal_finds_copies_in_any_of_its_folders(tmp_path):
    write(tmp_path / "Train_Label/A0000.txt", "A0000_00_00.bmp,1412.6387\nA0000_06_24.bmp,1298.5\n")
    write(tmp_path / "Train_Label/A0001.txt", "A0001_00_00.bmp,1501.0\n")
    touch(tmp_path, "Distortion_1/A0000_00_00.bmp", "Distortion_2/A0000_06_24.bmp", "Distortion_1/A0001_00_00.bmp")
    touch(tmp_path, "Train_Ref/A0000.bmp")
    manifest = import_set("pipal", tmp_path)
    assert rows_of(manifest, "path", "score", "group") == [
        ("Distortion_1/A0000_00_00.bmp", 1412.6387, "A0000"),
        ("Distortion_2/A0000_06_24.bmp", 1298.5, "A0000"),
        ("Distortion_1/A0001_00_00.bmp", 1501.0, "A0001"),
    ]


def test_agiqa3k_keeps_pictures_of_one_prompt_together(tmp_path):
    write(
        tmp_path / "data.csv",
        "name,prompt,adj1,adj2,style,mos_quality,std_quality,mos_align,std_align\n"
        'AttnGAN_normal_000.jpg,"statue of a man, stone",,,,1.02,0.34,1.95,0.4\n'
        'midjourney_normal_000.jpg,"statue of a man, stone",,,,3.9,0.3,3.1,0.4\n',
    )
    touch(tmp_path, "AttnGAN_normal_000.jpg", "midjourney_normal_000.jpg")
    manifest = import_set("agiqa3k", tmp_path)
    assert manifest.column("score") == [1.02, 3.9]
    assert manifest.column("text") == manifest.column("group") == ["statue of a man, stone"] * 2
    assert len(set(manifest.column("split"))) == 1


def test_ava_computes_mean_and_spread_from_the_votes_and_keeps_the_official_test(tmp_path):
    write(
        tmp_path / "AVA.txt",
        "1 953619 0 1 5 17 38 36 15 6 5 1 1 22 1396 \n"
        "2 953958 10 7 15 26 26 21 10 8 1 2 15 21 1396 \n"
        "3 954184 0 0 4 8 41 56 10 3 4 0 0 0 1396 \n",
    )
    write(tmp_path / "aesthetics_image_lists/generic_test.jpgl", "954184\n")
    touch(tmp_path, *(f"images/{name}.jpg" for name in (953619, 953958, 954184)))
    manifest = import_set("ava", tmp_path)
    votes = np.repeat(np.arange(1, 11), [0, 1, 5, 17, 38, 36, 15, 6, 5, 1])
    path, score, std, n = rows_of(manifest, "path", "score", "score_std", "n_raters")[0]
    assert (path, n) == ("images/953619.jpg", 124)
    assert (score, std) == (pytest.approx(votes.mean()), pytest.approx(votes.std()))
    assert manifest.column("split")[2] == "test"
    assert set(manifest.column("split")[:2]) <= {"train", "val"}


def test_aadb_has_three_official_parts(tmp_path):
    folder = tmp_path / "imgListFiles_label"
    write(folder / "imgListTrainRegression_score.txt", "farm1_255_19452343093_cd5d2e5f8e_b.jpg 0.45\n")
    write(folder / "imgListValidationRegression_score.txt", "farm1_259_a.jpg 0.9\n")
    write(folder / "imgListTestNewRegression_score.txt", "farm1_306_b.jpg 0.35\n")
    old, new = "datasetImages_originalSize", "AADB_newtest_originalSize"
    touch(tmp_path, f"{old}/farm1_255_19452343093_cd5d2e5f8e_b.jpg", f"{old}/farm1_259_a.jpg", f"{new}/farm1_306_b.jpg")
    manifest = import_set("aadb", tmp_path)
    assert rows_of(manifest, "score", "split") == [(0.45, "train"), (0.9, "val"), (0.35, "test")]
    assert manifest.column("path")[2] == f"{new}/farm1_306_b.jpg"


def test_tad66k_draws_validation_from_train_and_leaves_test_alone(tmp_path):
    train = [f"{i}.jpg" for i in range(100)]
    write(tmp_path / "labels/merge/train.csv", "image,score\n" + "".join(f"{name},5.5\n" for name in train))
    write(tmp_path / "labels/merge/test.csv", "image,score\na.jpg,1.4\nb.jpg,9.2\n")
    touch(tmp_path, *(f"TAD66K/{name}" for name in [*train, "a.jpg", "b.jpg"]))
    splits = import_set("tad66k", tmp_path).column("split")
    assert splits[100:] == ["test", "test"]
    assert (splits[:100].count("train"), splits[:100].count("val")) == (82, 18)  # 0.7 to 0.15


def test_flickr_aes_counts_raters(tmp_path):
    # The original lines start with a blank.
    write(tmp_path / "FLICKR-AES_image_score.txt", " farm1_261_1.jpg 0.6\n farm1_262_2.jpg 0.85\n")
    write(
        tmp_path / "FLICKR-AES_image_labeled_by_each_worker.csv",
        "worker, imagePair, score\nA1, farm1_261_1.jpg, 3\nA2, farm1_261_1.jpg, 4\nA1, farm1_262_2.jpg, 5\n",
    )
    touch(tmp_path, "40K/farm1_261_1.jpg", "40K/farm1_262_2.jpg")
    manifest = import_set("flickr-aes", tmp_path)
    assert rows_of(manifest, "path", "score", "n_raters") == [
        ("40K/farm1_261_1.jpg", 0.6, 2),
        ("40K/farm1_262_2.jpg", 0.85, 1),
    ]


@pytest.mark.parametrize(("task", "scores"), [("aesthetics", [3.1, 2.2]), ("quality", [3.4, 2.6])])
def test_para_has_both_tasks(tmp_path, task, scores):
    header = "imageName,sessionId,semantic,aestheticScore_mean,aestheticScore_std,qualityScore_mean,qualityScore_std\n"
    write(tmp_path / "annotation/PARA-GiaaTrain.csv", header + "iaa_pub1_.jpg,session1,portrait,3.1,0.6,3.4,0.5\n")
    write(tmp_path / "annotation/PARA-GiaaTest.csv", header + "iaa_pub71_.jpg,session2,food,2.2,0.7,2.6,0.4\n")
    touch(tmp_path, "imgs/session1/iaa_pub1_.jpg", "imgs/session2/iaa_pub71_.jpg")
    manifest = import_set("para", tmp_path, task=task)
    assert (manifest.task, manifest.column("score"), manifest.column("split")[1]) == (task, scores, "test")


def test_artimuse10k(tmp_path):
    for part, names in {"train": ["a.jpg", "b.jpg"], "test": ["c.jpg"]}.items():
        items = [{"image": name, "gt_score": 6.25, "attributes": {}} for name in names]
        write(tmp_path / f"ArtiMuse-10K_{part}.json", json.dumps(items))
    touch(tmp_path, "image/a.jpg", "image/b.jpg", "image/c.jpg")
    manifest = import_set("artimuse10k", tmp_path)
    assert rows_of(manifest, "path", "score")[2] == ("image/c.jpg", 6.25)
    assert manifest.column("split")[2] == "test"


def test_artimuse10k_with_the_test_part_alone(tmp_path):
    write(tmp_path / "ArtiMuse-10K_test.json", '[{"image": "c.jpg", "gt_score": 6.25}]')
    touch(tmp_path, "image/c.jpg")
    assert import_set("artimuse10k", tmp_path).column("split") == ["test"]
    write(tmp_path / "ArtiMuse-10K_test.json", '[{"image": "c.jpg"}]')
    with pytest.raises(ManifestError, match="item 1: needs the keys image and gt_score"):
        import_set("artimuse10k", tmp_path)


def test_biq2021(tmp_path):
    write(tmp_path / "Train (Images and MOS).csv", "Image Name,MOS\nss01 (1).jpg,0.4\nss02 (7).jpg,0.25\n")
    write(tmp_path / "Test (Images and MOS).csv", "Image Name,MOS\nss03 (12).jpg,0.75\n")
    touch(tmp_path, "Images/ss01 (1).jpg", "Images/ss02 (7).jpg", "Images/ss03 (12).jpg")
    manifest = import_set("biq2021", tmp_path)
    assert rows_of(manifest, "path", "score", "subset")[2] == ("Images/ss03 (12).jpg", 0.75, "ss03")
    assert manifest.column("split")[2] == "test"


def test_biq2021_part_groups_neighbours_of_the_photographers_subset(tmp_path):
    names = ["ss02_100.jpg", "ss02_101.jpg", "ss02_125.jpg", "ss03_100.jpg", "ss03_101.jpg"]
    lines = [f"{name},0.5,{name[:4]},{name.replace('_', ' (')[:-4]}).jpg" for name in names]
    write(tmp_path / "labels.csv", "file,mos_0_1,subset,original_name\n" + "\n".join(lines))
    touch(tmp_path, *(f"images/{name}" for name in names))
    manifest = import_set("biq2021-part", tmp_path)
    assert manifest.column("group") == ["ss02-005", "ss02-005", "ss02-006", "ss03_100.jpg", "ss03_101.jpg"]


def test_oasis_takes_beauty_by_item_and_keeps_themes_together(tmp_path):
    write(
        tmp_path / "OASIS.csv",
        '"","Theme","Category","Source","Valence_mean"\n'
        '"I1","Acorns 1 ","Object","Pixabay",4.5\n"I2","Acorns 2 ","Object","Pixabay",4.6\n'
        '"I3","Alcohol 1","Object","Pixabay",4.7\n',
    )
    write(
        tmp_path / "Beauty ratings from Brielmann and Pelli (2019)/OASIS_beauty_ratings.csv",
        "item,beauty_mean,beauty_SD,N\n3,3.48,1.13,145\n1,4.05,1.3,104\n2,4.3,1.2,104\n",
    )
    touch(tmp_path, "Images/Acorns 1.jpg", "Images/Acorns 2.jpg", "Images/Alcohol 1.jpg")
    manifest = import_set("oasis", tmp_path)
    assert rows_of(manifest, "path", "score", "n_raters", "group") == [
        ("Images/Acorns 1.jpg", 4.05, 104, "Acorns"),
        ("Images/Acorns 2.jpg", 4.3, 104, "Acorns"),
        ("Images/Alcohol 1.jpg", 3.48, 145, "Alcohol"),
    ]


def test_oasis_part(tmp_path):
    header = "file,theme,category,beauty_mean_1_7,beauty_sd,beauty_n,valence_mean_1_7,human_caption\n"
    write(tmp_path / "labels.csv", header + 'lake_1.jpg,Lake,Scene,6.1,0.9,104,5.9,"A lake, calm."\n')
    touch(tmp_path, "images/lake_1.jpg")
    manifest = import_set("oasis-part", tmp_path)
    assert rows_of(manifest, "path", "score", "text", "group") == [("images/lake_1.jpg", 6.1, "A lake, calm.", "Lake")]


def test_generic_labels_with_every_column(tmp_path):
    file = tmp_path / "labels.tsv"
    write(
        file, "img\tmos\tsd\tn\twho\tpart\tnote\na.jpg\t4\t0.5\t9\tann\tTraining\tx\nb.jpg\t2\t0.7\t8\tbob\ttest\ty\n"
    )
    touch(tmp_path, "a.jpg", "b.jpg")
    labels = generic(file, Columns("img", "mos", group="who", split="part", score_std="sd", n_raters="n"))
    facts = Facts("mine", "quality", ScoreRange(1, 5, higher_is_better=False), "official", "mine", "mine")
    manifest = build_manifest(labels, facts, tmp_path)
    assert rows_of(manifest, "path", "score", "score_std", "n_raters", "group", "note") == [
        ("a.jpg", 4.0, 0.5, 9, "ann", "x"),
        ("b.jpg", 2.0, 0.7, 8, "bob", "y"),
    ]
    assert manifest.column("split")[1] == "test"


def kadid_of_one(tmp_path: Path, score: str) -> Path:
    write(tmp_path / "dmos.csv", f"dist_img,ref_img,dmos,var\nI01_01_01.png,I01.png,{score},0.5\n")
    return tmp_path


def test_labels_outside_the_declared_range_are_refused(tmp_path):
    touch(tmp_path, "images/I01_01_01.png")
    with pytest.raises(LabelRangeError, match=r"dmos.csv line 2: score = 87 is outside the declared range 1 to 5"):
        import_set("kadid10k", kadid_of_one(tmp_path, "87"))


def test_labels_without_their_picture_are_refused_or_left_out(tmp_path):
    kadid_of_one(tmp_path, "3")
    with pytest.raises(ManifestError, match=r"dmos.csv line 2: no picture at .*I01_01_01.png.*--allow-missing"):
        import_set("kadid10k", tmp_path)
    with pytest.raises(ManifestError, match="none of 1 labels has a picture"):
        import_set("kadid10k", tmp_path, allow_missing=True)


def test_every_set_says_which_label_files_it_looked_for(tmp_path):
    for row in CATALOGUE:
        with pytest.raises((ManifestError, FileNotFoundError)) as caught:
            import_set(row.name, tmp_path)
        assert str(tmp_path) in str(caught.value), row.name


def test_unknown_sets_and_tasks_name_the_choice(tmp_path):
    with pytest.raises(ManifestError, match="Did you mean 'koniq10k'"):
        find_set("koniq-10k")
    with pytest.raises(ManifestError, match="no labels for task 'aesthetics'; it has quality"):
        import_set("spaq", tmp_path, task="aesthetics")


def test_a_sheet_without_the_columns_is_refused(tmp_path):
    write(tmp_path / "a.csv", "one,two\n1,2\n")
    with pytest.raises(ManifestError, match="no row with the columns three"):
        list(read_sheet(tmp_path / "a.csv", ["three"]))


def test_labels_in_another_encoding_are_named(tmp_path):
    (tmp_path / "labels.csv").write_bytes("path,score\nstraße.jpg,3\n".encode("latin-1"))
    with pytest.raises(ManifestError, match=r"labels.csv is not UTF-8 text \(byte 0xdf\)"):
        generic(tmp_path / "labels.csv", Columns("path", "score"))
