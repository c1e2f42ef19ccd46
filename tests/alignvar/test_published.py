from __future__ import annotations

import json
from pathlib import Path

from beholder.alignvar.published import ABLATION, BENCHMARKS, DASH, METHODS, main, published_tables
from beholder.evaluate.bootstrap import Estimate
from beholder.evaluate.restored_result import METRICS, PICTURES, Measured, Restoration, read_restoration


def result(**values: float) -> Restoration:
    return Restoration(
        outputs="ours",
        truth="truth",
        inputs=None,
        truth_sha256="0",
        border=0,
        n_total=100,
        n_measured=98,
        n_extra=0,
        failures={"missing": 2},
        metrics={
            name: Measured(**dict(Estimate(value=value, low=value - 1, high=value + 1)), n=98)
            for name, value in values.items()
        },
        skipped={},
        resamples=1000,
        seed=0,
        versions={},
    )


def test_every_row_has_a_number_or_a_dash_per_method_and_a_known_metric() -> None:
    for one in BENCHMARKS:
        assert len(one.published) == len(METHODS)
        assert one.metric in METRICS
        assert one.published[-1] != DASH


def test_cells_are_dashes_until_there_is_a_result(tmp_path: Path) -> None:
    tables = published_tables(tmp_path)
    for name in ("alignvar-paper", "alignvar-paper-ablation"):
        assert {row[-1] for row in tables[name]["table"]["rows"]} == {DASH}
    result(psnr=24.5).write(tmp_path / "div2k", PICTURES.empty_table())
    result(psnr=26.0, musiq=60.0).write(tmp_path / "realsr-no-sca", PICTURES.empty_table())
    assert read_restoration(tmp_path / "div2k").n_measured == 98
    assert main([str(tmp_path), "-o", str(tmp_path / "out")]) == 0
    rows = json.loads((tmp_path / "out/alignvar-paper.json").read_text(encoding="utf-8"))["table"]["rows"]
    assert {row[0]: row[-1] for row in rows}["DIV2K-Val, PSNR-Y ↑"] == "24.50 [23.50, 25.50], 98 of 100"
    assert sum(row[-1] != DASH for row in rows) == 1
    rows = json.loads((tmp_path / "out/alignvar-paper-ablation.json").read_text(encoding="utf-8"))["table"]["rows"]
    ours = {row[0]: row[-1] for row in rows if row[-1] != DASH}
    assert list(ours) == ["without SCA, PSNR-Y ↑", "without SCA, MUSIQ ↑"]
    assert len(rows) == 3 * len(ABLATION)
