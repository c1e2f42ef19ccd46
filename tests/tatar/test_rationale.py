import pytest

from beholder.data.held_out import HeldOut
from beholder.data.manifest import read_manifest
from beholder.errors import UserError
from beholder.language.run import run
from beholder.language.template import Template
from beholder.task import ScoreRange
from beholder.tatar.judge import Filtered
from beholder.tatar.rationale import NOTES, SHAPE, prompt, rationale_jobs, read_rationales, told
from beholder.tatar.template import write_rationale


def write_set(folder, render_picture, task="aesthetics", extra=()):
    folder.mkdir()
    rows = [",".join(["path", "score", "split", *extra])]
    for i, split in enumerate(["train"] * 3 + ["test"]):
        render_picture(i % 3, (64, 48)).save(folder / f"{i}.png")  # the test picture is the first one again
        rows.append(",".join([f"{i}.png", str(1 + i), split, *(f"about {name}" if i else "" for name in extra)]))
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    (folder / "dataset.toml").write_text(
        f'name = "toy"\ntask = "{task}"\nlicence = "CC0-1.0"\nsource = "rendered"\nsplit_by = "row"\n'
        'image_root = "."\n\n[range]\nlow = 1\nhigh = 5\nhigher_is_better = true\n'
    )
    return read_manifest(folder)


@pytest.mark.parametrize("task", ["quality", "aesthetics"])
def test_without_a_model_every_training_picture_gets_a_rationale_that_passes(task, tmp_path, render_picture):
    manifest, out = write_set(tmp_path / "set", render_picture, task), tmp_path / "out.jsonl"
    counts = run(
        rationale_jobs(manifest, out, teacher="template"), Filtered(Template(write_rationale)), out, SHAPE, settings={}
    )
    assert counts == {"ok": 3}
    found = read_rationales(out)
    assert [r.target for r in found] == [0, 25, 50]
    assert all(r.path.is_file() and r.task == task for r in found)


def test_test_pictures_and_missing_ones_are_rows_without_a_question(tmp_path, render_picture):
    manifest, out = write_set(tmp_path / "set", render_picture), tmp_path / "out.jsonl"
    (tmp_path / "set" / "1.png").unlink()
    jobs = rationale_jobs(manifest, out, teacher="template", held_out=HeldOut([manifest]))
    assert [job.refused and job.refused.status for job in jobs] == ["held_out", "unreadable", None]


def test_notes_are_told_instead_of_the_picture_where_all_are_there(tmp_path, render_picture):
    manifest = write_set(tmp_path / "set", render_picture, extra=NOTES)
    jobs = rationale_jobs(manifest, tmp_path / "out.jsonl", teacher="endpoint:m")
    assert [job.question.picture is None for job in jobs] == [False, True, True]
    assert "gestalt: about gestalt" in jobs[1].question.prompt
    assert all(job.question.picture for job in rationale_jobs(manifest, tmp_path / "out.jsonl", teacher="template"))


def test_some_notes_without_the_others_are_refused(tmp_path, render_picture):
    manifest = write_set(tmp_path / "set", render_picture, extra=NOTES[:7])
    with pytest.raises(UserError, match="lacks overall"):
        rationale_jobs(manifest, tmp_path / "out.jsonl", teacher="endpoint:m")


def test_a_teacher_is_told_the_scale_and_which_end_is_best():
    said = told(72, ScoreRange(0, 100, higher_is_better=False))
    assert said == "People gave it 72 on a scale from 100 (worst) to 0 (best), which is poor."
    assert said in prompt("quality", said)
    assert "30 to 50 words, in exactly 2 sentences" in prompt("quality", said)
