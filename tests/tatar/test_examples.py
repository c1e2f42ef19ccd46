from pathlib import Path
from typing import Any

import pytest
from rated_pictures import rationale_rows, write_rated, write_rationales

from beholder.data.manifest import Manifest, write_manifest
from beholder.errors import UserError
from beholder.task import level_of
from beholder.tatar.answer import read
from beholder.tatar.config import DataConfig
from beholder.tatar.examples import check_pictures, read_examples


@pytest.fixture
def rated(tmp_path: Path) -> Manifest:
    return write_rated(tmp_path / "set", "quality", n_train=4, n_test=2)


def data(rated: Manifest, rationales: Path | None = None) -> list[DataConfig]:
    return [DataConfig(manifest=rated.image_root, rationales=rationales)]


def refused(rated: Manifest, file: Path, rows: list[dict[str, Any]]) -> str:
    with pytest.raises(UserError) as caught:
        read_examples(data(rated, write_rationales(rated, file, rows)))
    return str(caught.value)


def test_scores_come_from_the_manifest_and_texts_from_the_rationales(rated: Manifest, tmp_path: Path):
    examples, (source,) = read_examples(data(rated, write_rationales(rated, tmp_path / "r.jsonl")))
    units = rated.select("train").unit_scores()
    assert [example.target for example in examples] == pytest.approx([100 * unit for unit in units])
    assert all(read(example.answer()).think.startswith("This is a") for example in examples)
    assert [read(example.answer()).score for example in examples] == pytest.approx(100 * units, abs=0.006)
    assert (source.name, source.low, source.high, source.n) == ("bright-quality", 1, 5, 4)
    assert source.sha256 == rated.sha256


def test_how_far_people_agreed_is_on_the_scale_of_targets(rated: Manifest, tmp_path: Path):
    assert {example.target_std for example in read_examples(data(rated))[0]} == {None}
    spread = rated.with_columns({"score_std": [0.4, None, *[1.0] * 4]})
    write_manifest(spread, rated.image_root)
    rationales = write_rationales(rated, tmp_path / "r.jsonl")
    for file in (None, rationales):
        assert [example.target_std for example in read_examples(data(rated, file))[0]] == [10.0, None, 25.0, 25.0]


def test_without_rationales_scores_alone_are_learned_from_the_train_part(rated: Manifest):
    examples, _ = read_examples(data(rated))
    assert len(examples) == 4
    assert {example.think for example in examples} == {None}
    assert examples[0].answer().startswith("<answer>")


def test_a_dropped_think_block_leaves_the_score(rated: Manifest, tmp_path: Path):
    (example, *_), _ = read_examples(data(rated, write_rationales(rated, tmp_path / "r.jsonl")))
    assert example.answer("number") == f"<answer>{example.target:.2f}</answer>"


def test_a_level_row_names_the_level_of_the_score(rated: Manifest):
    for example, unit in zip(read_examples(data(rated))[0], rated.select("train").unit_scores(), strict=True):
        assert example.answer("level") == f"The technical quality of this picture is {level_of(float(unit))}."


def test_failed_rows_are_not_learned_from(rated: Manifest, tmp_path: Path):
    rows = rationale_rows(rated, tmp_path / "r.jsonl")
    rows[0] |= {"status": "rejected", "rationales": []}
    examples, _ = read_examples(data(rated, write_rationales(rated, tmp_path / "r.jsonl", rows)))
    assert len(examples) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": 3.2}, "has target 3.2, and its score in bright-quality .* labels of two scales"),
        ({"target": None}, "has target None; needed is its score"),
        ({"task": "aesthetics"}, "is about aesthetics, and bright-quality is rated for quality"),
        ({"image_id": "other.png"}, "'other.png' is not in bright-quality"),
        ({"image_id": "0.png"}, "'0.png' is there twice"),
        ({"image_id": "5.png"}, "'5.png' is in the test part"),
    ],
)
def test_a_row_that_contradicts_the_manifest_is_refused(
    rated: Manifest, tmp_path: Path, change: dict[str, Any], message: str
):
    rows = rationale_rows(rated, tmp_path / "r.jsonl")
    rows[1] |= change
    with pytest.raises(UserError, match=message):
        read_examples(data(rated, write_rationales(rated, tmp_path / "r.jsonl", rows)))


def test_a_row_without_a_score_is_refused(rated: Manifest, tmp_path: Path):
    rows = rationale_rows(rated, tmp_path / "r.jsonl")
    del rows[2]["target"]
    assert "has a row without 'target'" in refused(rated, tmp_path / "r.jsonl", rows)


def test_nothing_to_learn_is_refused(rated: Manifest, tmp_path: Path):
    rows = [row | {"status": "rejected"} for row in rationale_rows(rated, tmp_path / "r.jsonl")]
    assert "no row with status ok" in refused(rated, tmp_path / "r.jsonl", rows)
    with pytest.raises(UserError, match="is not a file"):
        read_examples(data(rated, tmp_path / "none.jsonl"))


def test_a_score_outside_the_declared_range_is_refused(rated: Manifest):
    table = rated.image_root / "manifest.csv"
    lines = table.read_text().splitlines()
    lines[1] = lines[1].split(",")[0] + ",7.5,train"
    table.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=r"7\.5 is outside"):
        read_examples(data(rated))


def test_the_same_file_in_a_test_part_is_refused(rated: Manifest, tmp_path: Path):
    other = write_rated(tmp_path / "other", "aesthetics", n_train=2, n_test=2)
    (other.image_root / "0.png").write_bytes((rated.image_root / "5.png").read_bytes())
    with pytest.raises(UserError, match="is a test picture of bright-quality"):
        read_examples(data(other), held_out=[rated.image_root])
    with pytest.raises(UserError, match="is a test picture of bright-quality"):
        read_examples([*data(rated), *data(other)])


def test_pictures_that_cannot_be_read_are_counted_and_the_first_is_named(rated: Manifest):
    paths = rated.paths()
    check_pictures(paths)
    paths[2].write_bytes(paths[2].read_bytes()[:400])
    paths[4].unlink()
    with pytest.raises(UserError, match=r"2 of 6 pictures can't be read, e.g. .*2.png: .*unreadable"):
        check_pictures(paths)
