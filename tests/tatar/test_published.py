import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from beholder.data.columns import make_table
from beholder.data.manifest import Manifest, write_manifest
from beholder.evaluate.run import evaluate
from beholder.evaluate.tables import render_stored
from beholder.task import ScoreRange
from beholder.tatar.published import BENCHMARKS, main


def test_published_numbers_stand_beside_a_dash_until_there_is_a_result(tmp_path):
    assert main([str(tmp_path / "none"), "-o", str(tmp_path)]) == 0
    table = render_stored(tmp_path / "tatar-paper.json")
    assert "| SPAQ | 2,224 | .904/.895 | 0.897 / 0.894 | – | – |" in table
    assert table.count("\n| ") == len(BENCHMARKS) + 1


def test_what_evaluate_leaves_fills_our_columns(tmp_path):
    score = np.linspace(1, 9, 30)
    declared = ScoreRange(0, 10)
    names = [f"{i}.png" for i in range(30)]
    columns = {"path": names, "score": score.tolist(), "split": ["test"] * 30}
    table = make_table(columns, declared, str)
    manifest = Manifest("artimuse10k", "aesthetics", declared, "row", "own work", "rendered", tmp_path, table)
    write_manifest(manifest, tmp_path / "set")
    file = tmp_path / "pred.parquet"
    pq.write_table(pa.table({"path": names[:29], "aesthetics": score[:29] ** 2}), file)
    found = evaluate(file, manifest, out=tmp_path / "results" / "artimuse10k-explained", resamples=50)
    main([str(tmp_path / "results"), "-o", str(tmp_path)])
    plcc = found.metrics["plcc_raw"].value
    row = f"| 0.586 / 0.595 | – | 1.000 / {plcc:.3f} [1.000, 1.000], 29 of 30 |"
    assert row in render_stored(tmp_path / "tatar-paper.json")
