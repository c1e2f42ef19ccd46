import numpy as np
import pytest
from scipy import stats

from beholder.evaluate.crossed import crossed_mean


def test_where_rows_alone_differ_it_is_students_interval_over_rows() -> None:
    rows = np.array([0.1, 0.4, 0.9])
    mean, half = crossed_mean(np.repeat(rows[:, None], 40, axis=1))
    assert mean == pytest.approx(rows.mean())
    assert half == pytest.approx(stats.t.ppf(0.975, 2) * rows.std(ddof=1) / 3**0.5)


def test_where_columns_alone_differ_it_is_students_interval_over_columns() -> None:
    columns = np.random.default_rng(0).normal(size=40)
    _, half = crossed_mean(np.repeat(columns[None], 3, axis=0))
    assert half == pytest.approx(stats.t.ppf(0.975, 39) * columns.std(ddof=1) / 40**0.5)


@pytest.mark.parametrize(("of_rows", "of_columns"), [(0.5, 1.0), (1.0, 0.2), (0.0, 1.0), (0.0, 0.0)])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(of_rows: float, of_columns: float) -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        rows, columns = rng.normal(0, of_rows, (3, 1)), rng.normal(0, of_columns, 20)
        mean, half = crossed_mean(rows + columns + rng.normal(0, 0.5, (3, 20)))
        assert half is not None
        held += abs(mean) <= half
    assert 0.92 <= held / 400 <= 1


def test_one_row_has_no_interval_and_no_difference_at_all_has_a_narrow_one() -> None:
    assert crossed_mean([[1.0, 2.0, 3.0]]) == (2.0, None)
    assert crossed_mean(np.full((3, 4), 2.5)) == (2.5, 0.0)
