import re
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beholder.cli import main
from beholder.data.catalogue import CATALOGUE
from beholder.data.manifest import read_manifest


@pytest.fixture
def photos(tmp_path) -> Path:
    """40 pictures of noise in blocks, 10 of them there twice, and `labels.csv` beside them."""
    rows = ["file,mos,who"]
    for i in range(40):
        rng = np.random.default_rng(i % 30)
        blocks = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize((160, 120), Image.Resampling.BICUBIC).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{1 + i / 10},person{i % 3}")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def import_generic(photos: Path, *more: str) -> int:
    where = [str(photos / "labels.csv"), "-o", str(photos / "out")]
    what = ["--path-col", "file", "--score-col", "mos", "--task", "quality", "--name", "mine"]
    return main(["data", "import", "generic", *where, *what, *more])


def test_list_names_every_set_with_range_and_direction(capsys):
    assert main(["data", "list"]) == 0
    out = capsys.readouterr().out
    for row in CATALOGUE:
        assert row.name in out
    line = next(line for line in out.splitlines() if line.startswith("csiq"))
    assert "0 to 1" in line
    assert "lower" in line


def test_own_labels_become_a_manifest(photos, capsys):
    assert import_generic(photos, "--range", "1", "5", "--lower-is-better", "--group-col", "who") == 0
    manifest = read_manifest(photos / "out")
    assert len(manifest) == 40
    assert manifest.range.higher_is_better is False
    assert manifest.paths()[0] == photos / "0.png"
    assert manifest.split_by == "group"
    assert manifest.sha256[:12] in capsys.readouterr().out


def test_a_wrong_range_is_one_clear_line_and_writes_nothing(photos, capsys):
    assert import_generic(photos, "--range", "0", "1") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "labels.csv line 3: score = 1.1 is outside the declared range 0 to 1" in error
    assert not (photos / "out").exists()


def test_an_unknown_column_is_named(photos, capsys):
    assert import_generic(photos, "--range", "1", "5", "--group-col", "whom") == 1
    assert "unknown needed column 'whom'. Did you mean 'who'" in " ".join(capsys.readouterr().err.split())


def test_show_prints_range_direction_licence_and_a_row_per_score_band(photos, capsys):
    import_generic(photos, "--range", "1", "5", "--licence", "CC-BY 4.0")
    capsys.readouterr()
    assert main(["data", "show", str(photos / "out")]) == 0
    out = capsys.readouterr().out
    for part in ("mine: 40 pictures", "1 to 5, higher is better", "CC-BY 4.0", "1 to 1.4", "4.6 to 5"):
        assert part in out
    totals = next(line for line in out.splitlines() if line.split()[:1] == ["all"])
    assert sum(int(word) for word in totals.split()[1:]) == 40


def test_check_finds_leaks_and_fix_removes_them(photos, capsys):
    import_generic(photos, "--range", "1", "5")
    assert main(["data", "check", str(photos / "out")]) == 2
    assert "same file" in capsys.readouterr().out
    assert main(["data", "check", str(photos / "out"), "--fix"]) == 0
    assert main(["data", "check", str(photos / "out")]) == 0
    assert "0 leaks between parts" in capsys.readouterr().out
    assert len(read_manifest(photos / "out")) == 40


@pytest.mark.parametrize("option", [["--stratify", "who"], ["--seed", "1"], ["--shares", "0.5", "0.2", "0.3"]])
def test_options_that_would_do_nothing_are_refused(photos, capsys, option):
    import_generic(photos, "--range", "1", "5")
    assert main(["data", "check", str(photos / "out"), *option]) == 1
    assert "go with --fix" in capsys.readouterr().err


def test_a_parquet_manifest_stays_one_when_mended(photos):
    import_generic(photos, "--range", "1", "5", "--format", "parquet")
    assert main(["data", "check", str(photos / "out"), "--fix"]) == 0
    assert sorted(path.name for path in (photos / "out").iterdir()) == ["dataset.toml", "manifest.parquet"]


def test_a_written_manifest_can_be_read_by_colleagues(photos):
    import_generic(photos, "--range", "1", "5")
    mode = stat.S_IMODE((photos / "out" / "manifest.csv").stat().st_mode)
    assert mode & stat.S_IROTH


def test_a_public_set_is_imported_and_a_short_one_noted(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "I01_01_01.png").write_bytes(b"")
    (tmp_path / "dmos.csv").write_text("dist_img,ref_img,dmos,var\nI01_01_01.png,I01.png,4.57,0.5\n")
    assert main(["data", "import", "kadid10k", str(tmp_path), "-o", str(tmp_path / "out")]) == 0
    assert read_manifest(tmp_path / "out").column("score") == [4.57]
    assert "known to have 10,125 pictures; here are 1" in capsys.readouterr().out


def test_missing_label_files_are_named(tmp_path, capsys):
    assert main(["data", "import", "koniq10k", str(tmp_path), "-o", str(tmp_path / "out")]) == 1
    assert "koniq10k_distributions_sets.csv" in capsys.readouterr().err


def test_the_training_data_imports_with_the_documented_commands(tmp_path, capsys):
    data = Path(__file__).parents[2].parent / "shared" / "data"
    if not data.is_dir():
        pytest.skip("the development data is not on this machine")
    assert main(["data", "import", "oasis-part", str(data / "aesthetics_oasis"), "-o", str(tmp_path)]) == 0
    assert main(["data", "check", str(tmp_path), "--workers", "1"]) == 0
    manifest = read_manifest(tmp_path)
    themes = {(theme, split) for theme, split in zip(manifest.column("group"), manifest.column("split"), strict=True)}
    assert len(themes) == len({theme for theme, _ in themes})


def test_a_missing_manifest_is_one_line(tmp_path, capsys):
    assert main(["data", "show", str(tmp_path / "gone.parquet")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "gone.parquet does not exist" in error


def test_check_says_how_to_see_the_leaks_it_does_not_print(photos, capsys):
    import_generic(photos, "--range", "1", "5")
    main(["data", "check", str(photos / "out"), "--workers", "1", "--limit", "0"])
    n_leaks = int(re.search(r"(\d+) leaks between parts", capsys.readouterr().out)[1])
    assert n_leaks > 1
    main(["data", "check", str(photos / "out"), "--workers", "1", "--limit", "0"])
    assert f"  all of them: --limit {n_leaks}\n" in capsys.readouterr().out
    main(["data", "check", str(photos / "out"), "--workers", "1", "--limit", "1"])
    assert f"  ... and {n_leaks - 1} more; all of them: --limit {n_leaks}\n" in capsys.readouterr().out
