from pathlib import Path

from beholder.evaluate.tables import render_stored
from beholder.uniqa.protocol import Line, Spread, Summary
from beholder.uniqa.published import main


def test_published_numbers_stand_beside_a_dash_until_there_is_a_run(tmp_path: Path) -> None:
    assert main([str(tmp_path / "none"), "-o", str(tmp_path)]) == 0
    table = render_stored(tmp_path / "uniqa-paper-full.json")
    assert "| KonIQ-10k | Q-Align .935/.934 | 0.933 / 0.941 | – | – |" in table


def test_summaries_fill_our_columns(tmp_path: Path) -> None:
    spread, plcc = Spread.of([0.90, 0.92, 0.94]), Spread.of([0.95])
    for name, setting in (
        ("koniq10k", "best"),
        ("few-label-live", "100 labels ensemble"),
        ("few-label-clive", "zero-shot single"),
    ):
        (tmp_path / "runs" / name).mkdir(parents=True)
        line = Line(setting=setting, n_test=9, srcc=spread, plcc=plcc)
        Summary(name=name, manifest="m", manifest_sha256="0", repeats=3, lines=(line,)).write(tmp_path / "runs" / name)
    main([str(tmp_path / "runs"), "-o", str(tmp_path)])
    full, zero, few = (
        render_stored(tmp_path / f"uniqa-paper-{name}.json") for name in ("full", "zero-shot", "few-label")
    )
    assert "| 0.933 / 0.941 | 0.920 / 0.950 [0.910, 0.930] | – |" in full
    assert "| CLIVE, single | 0.638 | 0.920 [0.910, 0.930] |" in zero
    assert "| LIVE, ensemble, 100 labels | 0.958 | 0.920 [0.910, 0.930] |" in few
