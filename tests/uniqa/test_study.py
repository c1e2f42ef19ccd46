from pathlib import Path

import numpy as np
import pytest
from nano_uniqa import SIZES, write_bright
from scipy.stats import ttest_rel

from beholder.evaluate.tables import render_stored
from beholder.language.rows import read_rows as read_text_rows
from beholder.uniqa.config import StudyRecipe
from beholder.uniqa.dry_run import dry_run_study
from beholder.uniqa.study import ARMS, Row, make_bench, make_encoder, read_manifests, read_rows, run_job, run_study
from beholder.uniqa.study_tables import Interval, study_tables, write_tables
from beholder.uniqa.study_texts import CHATTER, true_comments, with_noise, write_texts

SPLITS = ["train"] * 14 + ["val"] * 6 + ["test"] * 6


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> StudyRecipe:
    root = tmp_path_factory.mktemp("study")
    learn = {
        "adapter": {
            "few": {"features": "grid", "epochs": 1, "hold_out": 0.0},
            "all": {"features": "grid", "epochs": 2, "hold_out": 0.2},
        },
        "finetune": {
            "few": {"method": "finetune", "epochs": 1, "hold_out": 0.0},
            "all": {"method": "finetune", "epochs": 1, "hold_out": 0.2},
        },
    }
    data = {}
    for task in ("quality", "aesthetics"):
        write_bright(root / task, task, SPLITS)
        data[task] = {"manifest": root / task, **learn}
    return StudyRecipe.model_validate(
        {"kind": "study", "name": "toy", "data": data, "n_captions": 1, "encoder": SIZES, "optimiser": {}, "batch": 8,
         "steps": 2, "labels": [5], "seeds": [0, 1], "processes": 2, "bf16": False}
    )  # fmt: skip


def test_a_job_measures_everything_once_and_a_second_run_skips_it(recipe: StudyRecipe, tmp_path: Path) -> None:
    write_texts(recipe, read_manifests(recipe), tmp_path / "texts")
    bench = make_bench(recipe, tmp_path)
    run_job(bench, 0, "unified", tmp_path)
    rows = read_rows(tmp_path, recipe)
    found = {(row.seed, row.task, row.method, row.prompts, row.labels, row.split) for row in rows}
    per_task = 2 + 2 * 2 + 2  # zero-shot with both prompts; adapter and probe, fine-tuning: few and all
    assert len(rows) == len(found) == 2 * 2 * per_task
    assert {(row.split, row.n) for row in rows} == {("val", 6), ("test", 6)}
    files = sorted((tmp_path / "results").iterdir())
    times = [file.stat().st_mtime_ns for file in files]
    run_job(bench, 0, "unified", tmp_path)
    assert [file.stat().st_mtime_ns for file in files] == times
    assert not list((tmp_path / "work").glob("*/*"))


def test_jobs_run_in_processes_of_their_own_and_finished_ones_are_skipped(recipe: StudyRecipe, tmp_path: Path) -> None:
    done: list[str] = []
    rows = run_study(recipe, tmp_path, done.append, arms=("quality",))
    assert len(done) == len(recipe.seeds)
    assert {(row.arm, row.seed) for row in rows} == {("quality", seed) for seed in recipe.seeds}
    assert run_study(recipe, tmp_path, done.append, arms=("quality",)) == rows
    assert len(done) == len(recipe.seeds)


def test_arms_start_from_the_same_weights_and_vocabulary(recipe: StudyRecipe, tmp_path: Path) -> None:
    write_texts(recipe, read_manifests(recipe), tmp_path / "texts")
    bench = make_bench(recipe, tmp_path)
    untrained, trained = (make_encoder(bench, 0, arm, tmp_path / arm) for arm in ("none", "quality"))
    assert untrained.tokenizer.get_vocab() == trained.tokenizer.get_vocab()
    moved = [
        float((value - trained.encoder.state_dict()[name]).abs().max())
        for name, value in untrained.encoder.state_dict().items()
    ]
    assert 0 < max(moved) < 0.01  # two steps of a small learning rate from one start


def test_texts_come_from_training_pictures_only_and_purification_keeps_some(
    recipe: StudyRecipe, tmp_path: Path
) -> None:
    manifests = read_manifests(recipe)
    files = write_texts(recipe, manifests, tmp_path)
    for name, file in files.items():
        task = "quality" if name == "quality" else "aesthetics"
        known = set(manifests[task].select("train").column("path"))
        assert {row["image_id"] for row in read_text_rows(file)} == known
    comments = {row["image_id"]: row["captions"] for row in read_text_rows(files["comments"])}
    purified = {row["image_id"]: row["captions"] for row in read_text_rows(files["purified"])}
    assert all(len(texts) == 1 + recipe.noise_comments for texts in comments.values())
    assert all(0 < len(texts) <= recipe.keep and set(texts) <= set(comments[name]) for name, texts in purified.items())


def test_noise_hides_every_true_comment_among_planted_ones(recipe: StudyRecipe) -> None:
    true = true_comments(read_manifests(recipe)["aesthetics"])
    mixed = with_noise(true, 4, seed=0)
    assert all(texts.count(true[name]) == 1 for name, texts in mixed.items())
    planted = [text for name, texts in mixed.items() for text in texts if text != true[name]]
    assert sum(text in CHATTER for text in planted) == len(planted) / 2
    assert with_noise(true, 4, seed=0) == mixed
    assert with_noise(true, 4, seed=1) != mixed


def rows_of(values: dict[str, list[float]]) -> list[Row]:
    made = []
    for arm in ARMS:
        for seed, value in enumerate(values[arm]):
            for task in ("quality", "aesthetics"):
                settings = [("zero-shot", "single", 0), ("zero-shot", "ensemble", 0)]
                settings += [(m, "single", n) for m in ("adapter", "probe", "finetune") for n in (50, None)]
                made += [
                    Row(seed=seed, arm=arm, task=task, method=method, prompts=prompts, labels=labels, split="test",
                        n=99, srcc=value)
                    for method, prompts, labels in settings
                ]  # fmt: skip
    return made


def test_tables_show_means_and_paired_differences_with_t_intervals() -> None:
    values = {arm: [0.1, 0.2, 0.3] for arm in ARMS} | {"unified": [0.3, 0.4, 0.52]}
    table = study_tables(rows_of(values))["uniqa-study-pretraining"]
    cells = table["table"]["rows"][0]
    interval = ttest_rel(values["unified"], values["none"]).confidence_interval(0.95)
    assert cells[1].startswith("0.407 [")
    assert cells[-1] == f"0.207 [{interval.low:.3f}, {interval.high:.3f}]"
    assert "99 quality, 99 aesthetics pictures" in table["caption"]
    assert [row[0] for row in table["table"]["rows"]][:3] == [
        "quality, 0 labels",
        "quality, 50 labels",
        "quality, all labels",
    ]


def test_every_table_can_be_put_into_a_document(tmp_path: Path) -> None:
    values = {arm: [0.1, 0.25, 0.3] for arm in ARMS}
    for file in write_tables(rows_of(values), tmp_path):
        assert "Mean of 3 seeds" in render_stored(file)


def test_an_interval_needs_two_seeds() -> None:
    with pytest.raises(ValueError, match="1 seeds"):
        Interval.of([0.5])
    assert np.isclose(Interval.of([0.2, 0.4]).mean, 0.3)


def test_a_dry_run_tells_sizes_and_time(recipe: StudyRecipe) -> None:
    text = "\n".join(dry_run_study(recipe).lines)
    assert "14 train, 6 val, 6 test" in text
    assert "5 arms x 2 seeds, 2 at a time" in text
