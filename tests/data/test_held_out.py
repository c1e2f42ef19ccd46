import shutil

import pytest

from beholder.data.columns import ManifestError
from beholder.data.held_out import HeldOut
from beholder.data.manifest import read_manifest


@pytest.fixture
def manifest(tmp_path, render_picture):
    rows = ["path,score,split"]
    for i, split in enumerate(("train", "val", "test", "test")):
        render_picture(i, (64, 48)).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,3,{split}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "dataset.toml").write_text(
        'name = "toy"\ntask = "quality"\nlicence = "CC0-1.0"\nsource = "rendered"\nsplit_by = "row"\n'
        'image_root = "."\n\n[range]\nlow = 1\nhigh = 5\nhigher_is_better = true\n'
    )
    return read_manifest(tmp_path)


def test_the_same_bytes_are_found_under_any_name(manifest, tmp_path):
    copy = tmp_path / "elsewhere" / "holiday.png"
    copy.parent.mkdir()
    shutil.copy(tmp_path / "3.png", copy)
    held_out = HeldOut([manifest])
    assert held_out.owner(copy) == "toy"
    assert held_out.owner(tmp_path / "2.png") == "toy"
    assert held_out.owner(tmp_path / "0.png") is None
    assert held_out.owner(tmp_path / "1.png") is None


def test_another_file_of_the_same_size_is_not_held_out(manifest, tmp_path):
    data = bytearray((tmp_path / "2.png").read_bytes())
    data[-20] ^= 1
    twin = tmp_path / "twin.png"
    twin.write_bytes(data)
    assert HeldOut([manifest]).owner(twin) is None


def test_a_missing_file_is_nobodys(manifest, tmp_path):
    (tmp_path / "3.png").unlink()
    held_out = HeldOut([manifest])
    assert held_out.owner(tmp_path / "3.png") is None
    assert held_out.owner(tmp_path / "2.png") == "toy"


def test_a_test_manifest_without_test_rows_is_a_mistake(manifest):
    with pytest.raises(ManifestError, match="no rows in split 'test'"):
        HeldOut([manifest.select("train")])
