from pathlib import Path

import numpy as np
import pytest

from beholder.data.columns import LabelRangeError, ManifestError, make_table
from beholder.data.manifest import Manifest, read_manifest, write_manifest
from beholder.task import ScoreRange

TOML = """
name = "demo"
task = "quality"
licence = "CC0"
source = "own"
split_by = "row"
image_root = "pictures"

[range]
low = 1
high = 5.0
higher_is_better = true
"""
ROWS = "path,score,split\na.jpg,1,train\nb.jpg,4.5,val\nc.jpg,5,test\n"


def folder_of(tmp_path: Path, rows: str = ROWS, toml: str = TOML) -> Path:
    (tmp_path / "manifest.csv").write_text(rows, encoding="utf-8")
    (tmp_path / "dataset.toml").write_text(toml, encoding="utf-8")
    return tmp_path


def manifest_of(n: int = 3, **facts: object) -> Manifest:
    columns = {
        "path": [f"{i}.jpg" for i in range(n)],
        "score": [i / n for i in range(n)],
        "split": [("train", "val", "test")[i % 3] for i in range(n)],
        "score_std": [None if i % 2 else 0.1 for i in range(n)],
        "text": [f'it\'s "{i}",\nreally' if i % 2 else None for i in range(n)],
        "camera": [f"c{i}" for i in range(n)],
    }
    declared = ScoreRange(0, 1, higher_is_better=False)
    given = {
        "name": "demo",
        "task": "aesthetics",
        "range": declared,
        "split_by": "row",
        "licence": 'a "quoted" \\ one\nof two lines: ü',
        "source": "own",
        "image_root": Path("/pictures"),
        "table": make_table(columns, declared, lambda row: f"row {row}"),
    }
    return Manifest(**(given | facts))


@pytest.mark.parametrize("given", ["", "manifest.csv"])
def test_a_manifest_is_read_from_its_folder_and_from_its_table(tmp_path, given):
    manifest = read_manifest(folder_of(tmp_path) / given)
    assert manifest.name == "demo"
    assert manifest.range == ScoreRange(1, 5)
    assert manifest.paths() == [tmp_path / "pictures" / name for name in ("a.jpg", "b.jpg", "c.jpg")]
    assert manifest.select("val").column("path") == ["b.jpg"]
    np.testing.assert_allclose(manifest.unit_scores(), [0, 0.875, 1])


@pytest.mark.parametrize("table_format", ["csv", "parquet"])
def test_writing_and_reading_gives_the_same_manifest(tmp_path, table_format):
    manifest = manifest_of(7)
    write_manifest(manifest, tmp_path / "new", table_format)
    again = read_manifest(tmp_path / "new")
    assert again.table.equals(manifest.table)
    assert again.sha256 == manifest.sha256
    assert {k: v for k, v in vars(again).items() if k not in ("table", "sha256")} == {
        k: v for k, v in vars(manifest).items() if k not in ("table", "sha256")
    }
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["dataset.toml", f"manifest.{table_format}"]


def test_writing_in_the_other_format_leaves_one_table(tmp_path):
    write_manifest(manifest_of(), tmp_path, "csv")
    write_manifest(manifest_of(), tmp_path, "parquet")
    assert read_manifest(tmp_path).column("camera") == ["c0", "c1", "c2"]


def test_the_hash_ignores_row_order_and_place_but_no_score_split_range_or_task(tmp_path):
    manifest = manifest_of(6)
    same = manifest_of(6, image_root=Path("/elsewhere"), table=manifest.table.take([5, 3, 1, 0, 2, 4]))
    assert same.sha256 == manifest.sha256
    others = [
        manifest_of(6, task="quality"),
        manifest_of(6, range=ScoreRange(0, 1)),
        manifest.with_columns({"score": [0.5] * 6}),
        manifest.with_columns({"split": ["train"] * 6}),
    ]
    assert len({other.sha256 for other in others} | {manifest.sha256}) == 5


def test_a_score_outside_the_declared_range_names_line_value_ranges_and_a_way_out(tmp_path):
    folder = folder_of(tmp_path, ROWS + "d.jpg,62.5,train\n")
    with pytest.raises(LabelRangeError) as caught:
        read_manifest(folder)
    message = str(caught.value)
    for part in ("manifest.csv line 5", "score = 62.5", "1 to 5", "1 to 62.5 over 4 rows", "1 63"):
        assert part in message


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("path,score,split\na.jpg,nan,train\n", r"line 2: score = nan is not finite"),
        ("path,score,split\na.jpg,good,train\n", r"line 2: score = 'good' is not a number"),
        ("path,score,split\na.jpg,,train\n", r"line 2: score is empty"),
        ("path,score,split\na.jpg,2,train\n\na.jpg,3,val\n", r"line 4: path 'a.jpg' was already there at .* line 2"),
        ("path,score,split\na.jpg,2,dev\n", r"line 2: split = 'dev'; allowed are train, val, test"),
        ("path,score,split\na.jpg,2\n", r"line 2: 2 cells under 3 columns"),
        ("path,mos,split\na.jpg,2,train\n", r"column 'score' is missing"),
        ("path,score,score,split\n", r"line 1: column 'score' is there twice"),
        ("path,score,split\n", r"no rows"),
        ("path,score,split,n_raters\na.jpg,2,train,2.5\n", r"line 2: n_raters = 2.5 is not a count"),
    ],
)
def test_a_bad_row_is_named_with_its_line(tmp_path, rows, message):
    with pytest.raises(ManifestError, match=message):
        read_manifest(folder_of(tmp_path, rows))


def test_line_numbers_count_lines_not_rows(tmp_path):
    rows = 'path,score,split,text\na.jpg,2,train,"two\nlines"\nb.jpg,9,train,\n'
    with pytest.raises(LabelRangeError, match="line 4: score = 9"):
        read_manifest(folder_of(tmp_path, rows))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("licence", "license", r"unknown key 'license'. Did you mean 'licence'"),
        ("low = 1\n", "", r"\[range\]: key 'low' is missing"),
        ("low = 1\n", "low = 7\n", r"low end must be below"),
        ("high = 5.0", 'high = "5"', r"high = '5' is a str; it must be a float"),
        ("higher_is_better = true", "higher_is_better = 1", r"it must be a bool"),
        ('"quality"', '"beauty"', r"task = 'beauty'; allowed are quality, aesthetics"),
        ('"row"', '"luck"', r"split_by = 'luck'; allowed are"),
        ("[range]", "[range", r"not valid TOML"),
    ],
)
def test_dataset_toml_is_read_strictly(tmp_path, old, new, message):
    with pytest.raises(ManifestError, match=message):
        read_manifest(folder_of(tmp_path, toml=TOML.replace(old, new)))


def test_a_missing_declaration_or_table_is_said(tmp_path):
    with pytest.raises(ManifestError, match=r"holds no manifest.csv"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.csv").write_text(ROWS)
    with pytest.raises(ManifestError, match=r"dataset.toml is missing: it declares range"):
        read_manifest(tmp_path)
    with pytest.raises(ManifestError, match="does not exist"):
        read_manifest(tmp_path / "no")


def test_unknown_columns_and_empty_splits_name_what_there_is():
    manifest = manifest_of()
    with pytest.raises(ManifestError, match="Did you mean 'camera'"):
        manifest.column("kamera")
    train = manifest.select("train")
    with pytest.raises(ManifestError, match=r"no rows in split 'test'; it has train"):
        train.select("test")


def test_rows_without_a_group_stand_for_themselves():
    manifest = manifest_of().with_columns({"group": ["g", None, "g"]})
    assert manifest.groups() == ["g", "1.jpg", "g"]
    assert manifest_of().groups() == ["0.jpg", "1.jpg", "2.jpg"]


def test_a_quarter_of_a_million_rows_are_read_back(tmp_path):
    n = 255_000
    table = make_table(
        {"path": [f"{i}.jpg" for i in range(n)], "score": np.linspace(0, 1, n), "split": ["train"] * n},
        ScoreRange(0, 1),
        str,
    )
    manifest = manifest_of(table=table)
    write_manifest(manifest, tmp_path)
    assert len(read_manifest(tmp_path)) == n


@pytest.mark.parametrize("name", ["gone.csv", "gone.parquet", "gone"])
def test_a_missing_manifest_is_an_error_that_names_it(tmp_path, name):
    with pytest.raises(ManifestError, match=f"{name} does not exist; give a manifest's folder"):
        read_manifest(folder_of(tmp_path) / name)


def test_a_truncated_parquet_table_is_an_error_that_names_it(tmp_path):
    file = write_manifest(manifest_of(), tmp_path, "parquet")
    data = file.read_bytes()
    for damaged in (data[:40], data[:20] + b"x" * 40 + data[-8:], b""):
        file.write_bytes(damaged)
        with pytest.raises(ManifestError, match="is not a Parquet file we can read"):
            read_manifest(tmp_path)


def test_facts_that_are_not_utf8_are_an_error_that_names_the_file(tmp_path):
    (folder_of(tmp_path) / "dataset.toml").write_bytes(TOML.replace("own", "für").encode("latin-1"))
    with pytest.raises(ManifestError, match=r"dataset\.toml is not valid TOML"):
        read_manifest(tmp_path)
