import json

import monotone
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("scipy")


def test_share_of_pairs_right_counts_ties_as_wrong():
    falling, rising, flat = [5, 4, 3, 2, 1, 0], [0, 1, 2, 3, 4, 5], [1] * 6
    one_swap = [5, 4, 2, 3, 1, 0]
    scores = np.array([[falling, rising, flat, one_swap]], dtype=float)
    assert monotone.pairs_right(scores).tolist() == [[1, 0, 0, pytest.approx(14 / 15)]]
    assert monotone.pairs_right(scores, monotone.NEIGHBOURS).tolist() == [[1, 0, 0, pytest.approx(4 / 5)]]


def test_intervals_resample_pictures_and_need_enough_of_them():
    values = np.tile([0.0, 1.0], 20)
    alone = monotone.mean_over_pictures(values, None)
    assert alone.value == 0.5
    assert alone.low < 0.45 < 0.55 < alone.high
    pairs = monotone.mean_over_pictures(values, [i // 2 for i in range(40)])
    assert (pairs.low, pairs.high) == (0.5, 0.5), "each group holds a 0 and a 1"
    assert monotone.mean_over_pictures(values[:6], None).low is None


def test_the_floor_falls_with_blur_and_rises_with_noise(render_picture):
    rgb = np.asarray(render_picture(3, (96, 96)))
    scores = monotone.score_damaged(rgb, [monotone.log_variance_of_laplacian], ["blur", "noise"], seed=1)
    right = monotone.pairs_right(scores)
    assert right[0].tolist() == [1.0, 0.0]


def test_pictures_come_from_the_split_asked_for(tmp_path, render_picture):
    write_manifest_of(tmp_path, render_picture)
    everything, upper = monotone.from_manifest(tmp_path, "test", count=3)
    assert [path.name for path in everything.paths] == ["4.png", "6.png", "7.png"]
    assert [path.name for path in upper.paths] == ["6.png", "7.png"]
    assert everything.groups == ["g4", "g6", "g7"]


def test_a_model_and_the_floor_stand_side_by_side(tmp_path, tiny_model, render_picture, monkeypatch):
    monkeypatch.setattr(monotone, "FAMILIES", {name: monotone.FAMILIES[name] for name in ("blur", "smear")})
    monkeypatch.setattr(monotone, "usable_cpus", lambda: 1)
    write_manifest_of(tmp_path, render_picture)
    monotone.main([str(tmp_path), "--model", str(tiny_model), "--pictures", "2", "--results", str(tmp_path)])
    stored = json.loads((tmp_path / "monotone.json").read_text())
    assert stored["table"]["columns"][1:] == [
        "tiny: toy test", "tiny: examples", f"{monotone.FLOOR}: toy test", f"{monotone.FLOOR}: examples"
    ]  # fmt: skip
    assert [row[0] for row in stored["table"]["rows"]] == ["blur", "smear", "the seven promised", "all families"]
    floor = stored["measured"]["found"][monotone.FLOOR]["examples"]["blur"]
    assert floor["pairs_right"]["value"] == 1.0
    assert len(floor["mean_scores"]) == 6


def write_manifest_of(folder, render_picture):
    """Eight small pictures: four to train on and four to test on, rated better and better."""
    (folder / "dataset.toml").write_text(
        'name = "toy"\ntask = "quality"\nlicence = "CC0-1.0"\nsource = "rendered"\nsplit_by = "row"\n'
        'image_root = "."\n\n[range]\nlow = 0\nhigh = 10\nhigher_is_better = true\n'
    )
    rows = ["path,score,split,group"]
    for i in range(8):
        render_picture(i, (80, 64)).save(folder / f"{i}.png")
        rows.append(f"{i}.png,{i},{'train' if i < 4 else 'test'},g{i}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    assert Image.open(folder / "7.png").size == (80, 64)
