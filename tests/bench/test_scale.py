from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux")


def test_a_long_run_is_killed_resumed_and_merged_whole(tmp_path: Path) -> None:
    from scale import long_run

    run = long_run(tmp_path, 5000)
    assert run.is_whole
    assert (run.n_before, run.resumed.n_scored, run.n_merged) == (2500, 2500, 5000)
    assert len(run.resumed.memory_mb) == 5


def test_a_file_that_lacks_a_row_or_has_one_twice_is_not_whole(tmp_path: Path) -> None:
    from scale import holds
    from scale_stub import name_of
    from scored_rows import scored_rows

    from beholder.batch.files import write_rows

    for name, numbers, is_whole in (("a", (0, 1, 2), True), ("b", (0, 2), False), ("c", (0, 1, 1, 2), False)):
        file = tmp_path / f"{name}.parquet"
        write_rows([scored_rows(*({"path": name_of(i)} for i in numbers))], file)
        assert holds(file, 3) is is_whole


def test_the_fit_finds_the_costs_that_made_the_rates() -> None:
    from scale import Rate, decoded, fit

    sides = {512: 512, 1024: 1024, 1536: 1536, 2048: 1024, 4096: 1024, 8192: 1024}  # decoded to twice what is looked at
    assert [decoded(side**2 / 1e6) for side in sides] == pytest.approx([s**2 / 1e6 for s in sides.values()])
    rates = [
        Rate(workers, side, (0.01 + 0.004 * side**2 / 1e6 + 0.02 * s**2 / 1e6) / (1 if workers == 1 else 1.8))
        for side, s in sides.items()
        for workers in (1, 2)
    ]
    model = fit(rates, {500: 1e-5 + 0.02 / 500, 10_000: 1e-5 + 0.02 / 10_000})
    assert model.a_s == pytest.approx(0.01)
    assert (model.b_s, model.c_s) == (pytest.approx(0.004), pytest.approx(0.02))
    assert model.efficiency[2] == pytest.approx(0.9)
    assert (model.row_s, model.part_s) == (pytest.approx(1e-5), pytest.approx(0.02))
    assert model.largest_error < 1e-6


def test_a_long_run_that_is_not_longer_is_no_rate() -> None:
    from record import CommandError
    from scale import rate_of

    assert rate_of(1, 512, (16, 128), (1.0, 3.0)).seconds == pytest.approx(2 / 112)
    with pytest.raises(CommandError, match=r"16 took 3\.0 s, so nothing can be fitted"):
        rate_of(1, 512, (16, 128), (3.0, 2.5))


def test_hours_grow_with_pictures_until_the_process_that_writes_is_the_limit() -> None:
    from scale import CostModel

    model = CostModel(0.01, 0.003, 0.004, {1: 1.0, 2: 0.9}, 1e-5, 0.0, 0.0)
    assert model.seconds(1_000_000, 0, 2) == pytest.approx(1e4 / 1.8)
    assert model.seconds(1_000_000, 12, 2) == pytest.approx(58e3 / 1.8)  # decoded at half its sides
    assert model.seconds(1_000_000, 0, 10_000) == pytest.approx(10)
