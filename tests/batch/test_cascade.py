from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import RenderPicture
from rows_equal import assert_same_rows
from tiny_model import write_tiny_checkpoint

import beholder
from beholder.batch.agreement import agreement
from beholder.batch.cascade import Cascade, CascadeRun, parse_audit, parse_band, score_cascade
from beholder.batch.cascade_retry import retry_cascade
from beholder.batch.files import read_rows
from beholder.batch.merge import merge
from beholder.batch.picks import SCHEMA_OF_BOTH
from beholder.batch.rows import SCHEMA
from beholder.batch.summary import Progress
from beholder.cli import main
from beholder.errors import UserError
from beholder.evaluate.bootstrap import bootstrap


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("models") / "slow", seed=2, name="slow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, render_picture: RenderPicture) -> Iterator[Path]:
    """Forty pictures and a file that is none, by a name that is the same in every run: an audit is drawn by names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("here"))
        folder = Path("folder")
        folder.mkdir()
        for i in range(40):
            render_picture(i, (64 + i, 48)).save(folder / f"{i:02d}.jpg")
        (folder / "empty.jpg").touch()
        yield folder


@pytest.fixture(scope="module")
def fast_rows(folder: Path, tiny: Path) -> pa.Table:
    return beholder.score(folder, model=tiny, workers=1).table


@pytest.fixture(scope="module")
def slow_rows(folder: Path, slow: Path) -> pa.Table:
    return beholder.score(folder, model=slow, workers=1).table


@pytest.fixture(scope="module")
def band(fast_rows: pa.Table) -> tuple[float, float]:
    """About a third of the qualities."""
    low, high = np.quantile(fast_rows["quality"].drop_null().to_numpy(), [0.3, 0.6])
    return float(low), float(high)


Run = Callable[..., CascadeRun]


@pytest.fixture
def run(folder: Path, tiny: Path, slow: Path, band: tuple[float, float], tmp_path: Path) -> Run:
    def run(*inputs: Path, **options: object) -> CascadeRun:
        usual = {"out": tmp_path / "scores.parquet", "model": tiny, "task": "quality", "workers": 1}
        cascade = options.pop("cascade", Cascade(str(slow), band, 0.3))
        return score_cascade(list(inputs) or folder, cascade=cascade, **{**usual, **options})  # type: ignore[arg-type]

    return run


def expected(fast_rows: pa.Table, slow_rows: pa.Table, whys: list[str | None]) -> list[tuple[object, ...]]:
    """Path, status, score, whose it is, the fast score, why: of each row."""
    fast, slow = (
        list(zip(*(rows[name].to_pylist() for name in ("path", "status", "quality", "model")), strict=True))
        for rows in (fast_rows, slow_rows)
    )
    both = zip(fast, slow, whys, strict=True)
    return [(*(second if why else first), first[2], why) for first, second, why in both]


def found(table: pa.Table) -> list[tuple[object, ...]]:
    names = ("path", "status", "quality", "model", "fast_quality", "picked")
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))


def test_rows_in_the_band_and_the_audit_have_the_slow_models_score_and_all_others_the_fast_ones(
    run: Run, fast_rows: pa.Table, slow_rows: pa.Table, band: tuple[float, float], tmp_path: Path
) -> None:
    done = run()
    whys = done.table["picked"].to_pylist()
    in_band = [q is not None and band[0] <= q <= band[1] for q in fast_rows["quality"].to_pylist()]
    assert [why is not None and "band" in why for why in whys] == in_band
    assert {None, "band", "audit", "band and audit"} == set(whys)
    assert found(done.table) == expected(fast_rows, slow_rows, whys)
    assert done.table.schema == SCHEMA_OF_BOTH
    assert done.n_slow == sum(why is not None for why in whys)
    assert done.summary.counts == {"ok": 40, "unreadable": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


def test_agreement_is_that_of_the_audit_alone(run: Run, fast_rows: pa.Table, slow_rows: pa.Table) -> None:
    from scipy.stats import spearmanr

    done = run()
    audited = [why is not None and "audit" in why for why in done.table["picked"].to_pylist()]
    first, second = (rows["quality"].filter(pa.array(audited)).to_numpy() for rows in (fast_rows, slow_rows))
    [quality] = done.agreements
    assert quality.n == done.n_audit == sum(audited) > 5
    assert quality.srcc == pytest.approx(spearmanr(first, second).statistic)
    assert quality.difference == pytest.approx(np.mean(second - first), abs=1e-3)
    assert quality.distance == pytest.approx(np.mean(np.abs(second - first)), abs=1e-3)
    assert f"audit of tiny by slow, quality: {quality.n} pictures, SRCC" in str(done)


def test_a_share_of_all_audits_all_and_none_audits_none(run: Run, slow: Path, slow_rows: pa.Table) -> None:
    everything = run(cascade=Cascade(str(slow), (0, 0), 1.0))
    assert everything.n_audit == 40
    assert everything.table["quality"].equals(slow_rows["quality"])
    nothing = run(cascade=Cascade(str(slow), (0, 0), 0.0), overwrite=True)
    assert (nothing.n_slow, nothing.n_audit, nothing.slow_summary) == (0, 0, None)
    assert nothing.agreements[0].n == 0


@pytest.mark.parametrize("stop_in", ["fast", "slow"])
def test_a_stopped_cascade_goes_on_and_ends_like_an_undisturbed_one(
    stop_in: str, run: Run, slow: Path, tmp_path: Path
) -> None:
    undisturbed = run(out=tmp_path / "undisturbed.parquet").table
    starts = 0

    def stop(progress: Progress) -> None:
        nonlocal starts
        starts += progress.n_scored == 0 and progress.shard is None
        if starts == {"fast": 1, "slow": 2}[stop_in] and progress.n_scored == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(on_progress=stop)
    with pytest.raises(UserError, match="holds a cascade that was stopped"):
        run()
    with pytest.raises(UserError, match="started with other settings"):
        run(resume=True, cascade=Cascade(str(slow), (1, 2)))
    again = run(resume=True)
    assert again.summary.n_scored == {"fast": 41, "slow": 0}[stop_in]
    assert found(again.table) == found(undisturbed)
    finished = run(resume=True)
    assert finished.summary.n_scored == 0
    assert finished.agreements == again.agreements


def test_where_the_slow_model_fails_the_fast_score_stays_with_a_note(
    run: Run, folder: Path, slow: Path, fast_rows: pa.Table, tmp_path: Path
) -> None:
    def lose(progress: Progress) -> None:
        if progress.n_total == 41 and progress.n_done == 41:  # after the fast model has seen it
            (pictures / "07.jpg").unlink(missing_ok=True)

    pictures = tmp_path / "pictures"
    shutil.copytree(folder, pictures)
    done = run(pictures, cascade=Cascade(str(slow), (0, 100), 0.0), on_progress=lose)
    row = done.table.to_pylist()[7]
    assert (row["status"], row["model"], row["picked"]) == ("ok", "tiny", "band")
    assert row["quality"] == row["fast_quality"] == fast_rows["quality"][7].as_py()
    assert row["note"] == "upscaled from 71x48; slow gave no score: unreadable, no such file"
    assert (done.n_slow, done.n_slow_failed) == (39, 1)
    assert "40 in the band, 0 in the audit, 1 not scored by slow" in str(done)


def test_a_slow_model_that_fails_too_often_shows_in_the_exit_code(
    run: Run, folder: Path, tiny: Path, slow: Path, tmp_path: Path
) -> None:
    def lose(progress: Progress) -> None:
        if progress.n_total == progress.n_done == 40:
            shutil.rmtree(pictures, ignore_errors=True)

    pictures = tmp_path / "pictures"
    shutil.copytree(folder, pictures, ignore=shutil.ignore_patterns("empty.jpg"))
    done = run(pictures, cascade=Cascade(str(slow), (0, 100), 0.0), on_progress=lose)
    assert (done.n_slow, done.n_slow_failed, done.summary.n_failed) == (0, 40, 0)
    finished = ["score", str(pictures), "--model", str(tiny), "--cascade", str(slow), "-o", str(done.path), "--resume"]
    assert main(finished) == 2
    assert main([*finished, "--max-bad", "40"]) == 0


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_all_formats_hold_the_same_and_are_read_as_scores(suffix: str, run: Run, tmp_path: Path) -> None:
    parquet = run().table
    other = run(out=tmp_path / f"scores.{suffix}", sort="-quality").table
    assert sorted(found(other), key=str) == sorted(found(parquet), key=str)
    assert_same_rows(read_rows(tmp_path / "scores.parquet"), parquet.select(SCHEMA.names))


def test_a_cascade_that_makes_no_sense_is_refused(run: Run, tiny: Path, folder: Path, tmp_path: Path) -> None:
    only = write_tiny_checkpoint(tmp_path / "only", tasks=["quality"], seed=3)
    for options, message in (
        ({"cascade": Cascade(str(tiny))}, "that is the model of --model as well"),
        ({"cascade": Cascade(str(only)), "task": "both"}, "Name a --task that both have"),
        ({"out": tmp_path / "no" / "x.csv"}, "does not exist. Make it first"),
        ({"out": tmp_path / "x.txt"}, "can't tell a table format"),
    ):
        with pytest.raises(UserError, match=message):
            run(**options)
    with pytest.raises(UserError, match="holds no pictures"):
        run(only)
    assert [path.name for path in tmp_path.iterdir()] == ["only"]
    run()
    with pytest.raises(UserError, match="exists already"):
        run()


def test_slices_of_a_cascade_are_merged_as_one(run: Run, folder: Path, tiny: Path, tmp_path: Path) -> None:
    slices = [run(out=tmp_path / f"{i}.parquet", shard=f"{i}/2").path for i in (1, 2)]
    assert merge(slices, tmp_path / "all.jsonl") == 41
    assert found(read_rows(tmp_path / "all.jsonl", SCHEMA_OF_BOTH)) == found(run().table)
    plain = tmp_path / "plain.csv"
    beholder.score(folder, model=tiny, task="quality", workers=1, out=plain, shard="2/2")
    with pytest.raises(UserError, match=r"made with kind = one model, .* with a cascade of two models"):
        merge([slices[0], plain], tmp_path / "more.parquet")
    third = write_tiny_checkpoint(tmp_path / "third", seed=5, name="third")
    other = run(cascade=Cascade(str(third), (0, 100), 0.0), out=tmp_path / "other.parquet", shard="2/2").path
    with pytest.raises(UserError, match=r"made with slow model = third .* with slow"):
        merge([slices[0], other], tmp_path / "more.parquet")


def test_retry_scores_what_either_model_failed_on_and_keeps_the_rest(
    run: Run, folder: Path, tiny: Path, slow: Path, band: tuple[float, float], tmp_path: Path
) -> None:
    mine, original = tmp_path / "mine", folder.resolve() / "12.jpg"
    shutil.copytree(folder, mine)
    (mine / "11.jpg").write_bytes(b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        before = run(Path("mine")).table
        assert before["status"].to_pylist().count("ok") == 39
        shutil.copy(original, "mine/11.jpg")
        cascade = Cascade(str(slow), band, 0.3)
        options = {"model": tiny, "task": "quality", "workers": 1, "out": tmp_path / "scores.parquet"}
        again = retry_cascade(cascade=cascade, **options)  # type: ignore[arg-type]
        fresh = run(Path("mine"), out=tmp_path / "fresh.parquet")
    assert (again.summary.n_scored, again.summary.counts) == (2, {"ok": 40, "unreadable": 1})
    assert found(again.table) == found(fresh.table)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh.parquet", "mine", "scores.parquet"]
    assert retry_cascade([mine / "00.jpg"], cascade=cascade, **options).summary.n_scored == 0  # type: ignore[arg-type]
    with pytest.raises(UserError, match="does not exist, so nothing in it has failed"):
        retry_cascade(cascade=cascade, **{**options, "out": tmp_path / "no.csv"})  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["60-40", "40", "a-b", "40-101", "-1-5", ""])
def test_a_band_that_is_none_is_named(text: str) -> None:
    with pytest.raises(UserError, match=r"--band .*two scores from 0 to 100, the lower first, as 40-60"):
        Cascade("x", parse_band(text))


@pytest.mark.parametrize("text", ["2", "101%", "x%", "-1%", ""])
def test_an_audit_that_is_none_is_named(text: str) -> None:
    with pytest.raises(UserError, match=rf"--audit {text}: .*shares from 0% to 100%"):
        Cascade("x", audit=parse_audit(text))


def test_agreement_needs_pictures_and_a_spread() -> None:
    def of(first: list[float | None], second: list[float | None]) -> object:
        return agreement("quality", *(pa.chunked_array([pa.array(v, pa.float32())]) for v in (first, second)))

    assert str(of([None, 1], [1, None])) == "quality: no picture that both scored"
    assert str(of([1, 2], [2, 5])) == (
        "quality: 2 pictures, too few to rank, 2.0 points apart, mean +2.0, too few for intervals, which need 10"
    )
    assert of([1, 1, 1], [1, 2, 3]).srcc is None  # type: ignore[attr-defined]
    assert of([1, 2, 2, 4], [1, 3, 2, 5]).srcc == pytest.approx(0.9487, abs=1e-4)  # type: ignore[attr-defined]


def test_intervals_of_an_agreement_are_those_of_evaluate() -> None:
    rng = np.random.default_rng(5)
    first = rng.uniform(20, 80, 60).round()  # with ties
    second = first + 4 + rng.normal(0, 15, 60)
    found = agreement("quality", *(pa.chunked_array([pa.array(v, pa.float64())]) for v in (first, second)))
    wanted = bootstrap(first, second, metrics=["srcc"])["srcc"]
    assert (found.srcc, *(found.srcc_interval or ())) == pytest.approx((wanted.value, wanted.low, wanted.high))
    gap = second - first
    reach = 1.96 * gap.std() / 60**0.5
    assert found.difference_interval == pytest.approx((gap.mean() - reach, gap.mean() + reach), abs=0.15 * reach)
    low, high = found.srcc_interval or ()
    assert f"SRCC {found.srcc:.2f} ({low:.2f} to {high:.2f}), " in str(found)
    same = agreement("quality", *(pa.chunked_array([pa.array(v, pa.float64())]) for v in (first, np.ones(60))))
    assert (same.srcc, same.srcc_interval, same.difference_interval is None) == (None, None, False)


def test_the_command_says_who_scored_and_how_far_they_agree(
    folder: Path, tiny: Path, slow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["score", str(folder), "--model", str(tiny), "--cascade", str(slow), "--workers", "1"]
    assert main(command) == 1
    assert "--cascade needs a file for its rows: give it with -o" in capsys.readouterr().err
    out = tmp_path / "scores.csv"
    assert main([*command, "-o", str(out), "--band", "0-100", "--audit", "50%", "--max-bad", "1"]) == 0
    said = capsys.readouterr().err
    assert "scores of slow: 40, of tiny: 0 | 40 in the band, " in said
    assert "audit of tiny by slow, aesthetics: " in said
    assert main(["score", str(folder), "--band", "1-2"]) == 1
    assert "--band and --audit say what --cascade is to do" in capsys.readouterr().err
    assert main([*command, "-o", str(out), "--retry-failed", "--resume"]) == 1
    assert "--retry-failed is about a finished file: leave out --resume" in capsys.readouterr().err
    assert main([*command, "-o", str(out), "--retry-failed", "--max-bad", "1"]) == 0
