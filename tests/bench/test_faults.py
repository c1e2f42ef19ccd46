"""Small versions of the measurements of `bench/faults.py`: the same code, fewer tries. Promises are promises."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals, mounts and process groups of Linux")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    from damaged_files import write_corpus

    folder = tmp_path_factory.mktemp("damaged") / "corpus"
    return folder, write_corpus(folder, 60, seed=1)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,200 names for eight small pictures: three shards."""
    from pictures import links, squares

    folder = tmp_path_factory.mktemp("crowd")
    return links(folder / "crowd", squares(folder / "pictures", 8, 64), 1200)


def test_a_corpus_has_every_kind_of_damage_and_the_same_bytes_every_time(tmp_path: Path) -> None:
    from damaged_files import DAMAGES, bombs, originals, write_corpus

    from beholder.imaging.find import find_images

    kinds = write_corpus(tmp_path / "a", 138, seed=0)
    assert write_corpus(tmp_path / "b", 138, seed=0) == kinds
    assert set(Counter(kinds.values())) == set(DAMAGES)
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in kinds)
    whole = set(originals().values())
    unchanged = [name for name in kinds if (tmp_path / "a" / name).read_bytes() in whole]
    assert len(unchanged) < len(kinds) / 10
    assert all(len(content) < 1_100_000 for content in bombs().values())
    assert {Path(path).name for path in find_images([str(tmp_path / "a")])} == set(kinds)


def test_damaged_files_cost_rows_and_nothing_else(
    corpus: tuple[Path, dict[str, str]], tiny_model: Path, tmp_path: Path
) -> None:
    from fuzz import fuzz_score

    outcome = fuzz_score(*corpus, tmp_path / "box", str(tiny_model), timeout_s=5)
    assert outcome.broken == (), outcome.seen
    assert "unreadable" in outcome.seen


def test_damaged_files_under_hostile_names_do_not_harm_a_server(
    corpus: tuple[Path, dict[str, str]], tiny_model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("fastapi")
    from fuzz import fuzz_serve

    outcome = fuzz_serve(*corpus, tmp_path / "box", str(tiny_model), timeout_s=5)
    assert outcome.broken == (), outcome.seen


def test_damaged_files_are_not_enlarged_and_do_no_harm(corpus: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from faults import random_upscaler
    from fuzz import fuzz_upscale

    folder, kinds = corpus
    few = dict(list(kinds.items())[:18])
    (tmp_path / "few").mkdir()
    for name in few:
        (tmp_path / "few" / name).hardlink_to(folder / name)
    upscaler = random_upscaler(tmp_path / "model")
    assert upscaler is not None
    outcome = fuzz_upscale(tmp_path / "few", few, tmp_path / "box", upscaler, timeout_s=5)
    assert outcome.broken == (), outcome.seen


def test_nothing_is_lost_or_doubled_after_kill_9(crowd: Path, tiny_model: Path, tmp_path: Path) -> None:
    from disasters import kill_runs

    outcome = kill_runs(crowd, tmp_path / "box", str(tiny_model), points=2)
    assert outcome.broken == ()
    assert outcome.tries == 2


def test_a_full_disc_is_told_and_with_room_the_run_goes_on(crowd: Path, tiny_model: Path, tmp_path: Path) -> None:
    from disasters import fill_disc

    assert fill_disc(crowd, tmp_path / "box", str(tiny_model), megabytes=0.3).broken == ()


def test_a_folder_that_can_not_be_written_is_told(crowd: Path, tiny_model: Path, tmp_path: Path) -> None:
    from disasters import refuse_to_write

    outcomes = refuse_to_write(crowd, tmp_path / "box", str(tiny_model), None)
    assert [outcome.broken for outcome in outcomes] == [()] * 3


def test_two_runs_to_one_output_double_nothing(crowd: Path, tiny_model: Path, tmp_path: Path) -> None:
    from disasters import run_twice_at_once

    assert run_twice_at_once(crowd, tmp_path / "box", str(tiny_model)).broken == ()


def test_names_in_an_archive_lead_nowhere(tiny_model: Path, tmp_path: Path) -> None:
    from damaged_files import originals
    from intruders import climb_out

    outcomes = climb_out(originals()["baseline.jpg"], tmp_path / "box", str(tiny_model), None)
    assert [outcome.broken for outcome in outcomes] == [()] * 2


def test_hostile_and_truncated_checkpoints_are_refused_by_name(tiny_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("geoopt")
    from faults import random_upscaler
    from intruders import hostile_checkpoints

    outcomes = hostile_checkpoints(tmp_path / "box", random_upscaler(tmp_path / "model"), tiny_model)
    assert {outcome.name: outcome.broken for outcome in outcomes} == {outcome.name: () for outcome in outcomes}
    assert len(outcomes) == 7


def test_a_stray_file_a_traceback_and_a_wrong_exit_code_are_complaints(tmp_path: Path) -> None:
    from sandbox import run_inside

    code = "from pathlib import Path; Path('stray').touch(); Path('../out').touch(); raise ValueError('no')"
    ended = run_inside(tmp_path, [sys.executable, "-c", code], out=tmp_path / "out", limit_s=60)
    assert ended.strays == ("here/stray",)
    assert [complaint.split(" ")[0] for complaint in ended.complaints(0)] == ["stray", "exit", "a"]


def test_lost_doubled_and_changed_rows_are_told_apart() -> None:
    from disasters import differences
    from scored_rows import scored_rows

    rows = scored_rows(*({"path": f"{i}.jpg", "quality": float(i), "aesthetics": 1.0} for i in range(4)))
    assert differences(rows, rows) == []
    assert differences(rows.slice(1), rows) == ["1 rows lost"]
    assert differences(rows.take([0, 1, 2, 3, 3]), rows) == ["1 rows doubled"]
    assert differences(rows.take([1, 0, 2, 3]), rows) == ["another order"]
    other = scored_rows(*({"path": f"{i}.jpg", "quality": 9.0, "aesthetics": 1.0} for i in range(4)))
    assert differences(other, rows) == ["other scores of quality"]
