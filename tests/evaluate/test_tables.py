import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beholder.errors import UserError
from beholder.evaluate.run import evaluate
from beholder.evaluate.tables import NOT_YET, fill, main, render

BEFORE = "# Title\n\n<!-- table:accuracy -->\nold\n<!-- /table -->\n\ntext | stays\n"


@pytest.fixture
def results(tmp_path, make_manifest):
    """A folder `results/accuracy/` with the results of a good and of a reversed metric."""
    score = np.linspace(1, 5, 40)
    manifest = make_manifest(path=[f"{i}.png" for i in range(40)], score=score.tolist(), subset=["a|b", "c"] * 20)
    noise = np.random.default_rng(0).normal(0, 0.3, 40)
    stored = []
    for name, sign in (("good", 1), ("reversed", -1)):
        file = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"path": manifest.column("path"), "quality": sign * (score + noise)}), file)
        out = tmp_path / "results" / "accuracy" / name
        stored.append(evaluate(file, manifest, by="subset", out=out, resamples=50))
    return stored


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(BEFORE)
    return path


def test_a_table_has_a_row_per_result_and_part(results):
    lines = render(results).splitlines()
    assert lines[0] == "| model | data | task | scored | SRCC | PLCC (logistic) |"
    assert len(lines) == 2 + 2 * 3
    srcc = results[0].metrics["srcc"]
    assert lines[2].startswith("| good | toy:test | quality | 40 / 40 | ")
    assert f"| {srcc.value:.3f} [{srcc.low:.3f}, {srcc.high:.3f}] |" in lines[2]
    assert lines[3].startswith(r"| good | toy:test, subset a\|b | quality | 20 / 20 | ")
    assert lines[5].endswith("| – |"), "a failed fit is a dash"


def test_only_the_text_between_the_markers_changes(tmp_path, results, document):
    assert fill(document, tmp_path / "results") == ["accuracy"]
    assert document.read_text() == BEFORE.replace("old\n", render(results))
    assert fill(document, tmp_path / "results") == []


def test_a_stale_table_fails_the_check_and_is_left_alone(tmp_path, results, document, capsys):
    arguments = [str(document), "--results", str(tmp_path / "results")]
    assert main([*arguments, "--check"]) == 1
    assert "table accuracy is not what its results say" in capsys.readouterr().out
    assert document.read_text() == BEFORE
    assert main(arguments) == 0
    assert main([*arguments, "--check"]) == 0


def test_a_number_typed_in_by_hand_is_noticed(tmp_path, results, document):
    fill(document, tmp_path / "results")
    value = f"{results[0].metrics['srcc'].value:.3f}"
    document.write_text(document.read_text().replace(value, "0.999", 1))
    assert fill(document, tmp_path / "results", check=True) == ["accuracy"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- table:speed -->\n<!-- /table -->\n", "table 'speed' needs"),
        ("<!-- table:accuracy -->\nno end\n", "marker is damaged"),
        ("<!-- table: accuracy -->\n<!-- /table -->\n", "marker is damaged"),
        ("<!-- table:accuracy -->\n<!-- table:accuracy -->\n<!-- /table -->\n", "marker is damaged"),
    ],
)
def test_a_marker_without_an_end_or_results_is_refused(tmp_path, results, document, text, message):
    document.write_text(text)
    with pytest.raises(UserError, match=message):
        fill(document, tmp_path / "results")


def test_main_says_in_one_line_what_is_missing(tmp_path, document, capsys):
    assert main([str(document), "--results", str(tmp_path / "results")]) == 1
    assert "table 'accuracy' needs" in capsys.readouterr().err
    assert document.read_text() == BEFORE


def test_a_table_that_was_never_measured_may_say_so_and_nothing_else(tmp_path, results, document):
    text = f"<!-- table:speed -->\n{NOT_YET}<!-- /table -->\n"
    document.write_text(text)
    assert fill(document, tmp_path / "results") == []
    assert document.read_text() == text
    document.write_text(text.replace("yet", "yet, about 100 a second"))
    with pytest.raises(UserError, match="table 'speed' needs"):
        fill(document, tmp_path / "results")
