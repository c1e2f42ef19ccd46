import pytest

from beholder.data.held_out import HeldOut
from beholder.data.manifest import read_manifest
from beholder.errors import UserError
from beholder.language.ask import Answer
from beholder.language.run import run
from beholder.language.template import Template
from beholder.task import ScoreRange
from beholder.tatar.judge import Filtered
from beholder.tatar.rated import NOTES, rated_pictures, told
from beholder.tatar.rationale import SHAPE, prompt, rationale_jobs, read_rationales
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
    jobs = rationale_jobs(rated_pictures(manifest), out, teacher="template")
    assert run(jobs, Filtered(Template(write_rationale)), out, SHAPE, settings={}) == {"ok": 3}
    found = read_rationales(out)
    assert [r.target for r in found] == [0, 25, 50]
    assert all(r.path.is_file() and r.task == task for r in found)


def test_test_pictures_and_missing_ones_are_rows_without_a_question(tmp_path, render_picture):
    manifest, out = write_set(tmp_path / "set", render_picture), tmp_path / "out.jsonl"
    (tmp_path / "set" / "1.png").unlink()
    pictures = rated_pictures(manifest, held_out=HeldOut([manifest]))
    jobs = rationale_jobs(pictures, out, teacher="template")
    assert [job.refused and job.refused.status for job in jobs] == ["held_out", "unreadable", None]


def test_a_narrative_is_made_from_notes_of_experts_or_else_of_a_model_without_the_picture(tmp_path, render_picture):
    pictures = rated_pictures(write_set(tmp_path / "set", render_picture, extra=NOTES))
    assert [bool(p.notes) for p in pictures] == [False, True, True]
    written = {"0.png": Answer("0.png", ("theme: an empty street",))}
    jobs = rationale_jobs(pictures, tmp_path / "out.jsonl", teacher="endpoint:m", notes=written)
    assert all(job.question.picture is None for job in jobs)
    assert "theme: an empty street" in jobs[0].question.prompt
    assert "gestalt: about gestalt" in jobs[1].question.prompt
    assert [job.question.known["picture"].name for job in jobs] == ["0.png", "1.png", "2.png"], "for the judge"
    blind = rationale_jobs(pictures, tmp_path / "out.jsonl", teacher="template")
    assert all(job.question.picture for job in blind)


def test_where_notes_failed_the_row_says_so_and_nobody_is_asked(tmp_path, render_picture):
    pictures = rated_pictures(write_set(tmp_path / "set", render_picture, extra=NOTES))
    failed = {"0.png": Answer("0.png", status="timeout", error="no answer within 2 s")}
    job = rationale_jobs(pictures, tmp_path / "out.jsonl", teacher="endpoint:m", notes=failed)[0]
    assert (job.refused.status, job.refused.error) == ("timeout", "the notes: no answer within 2 s")


def test_some_notes_without_the_others_are_refused(tmp_path, render_picture):
    with pytest.raises(UserError, match="lacks overall"):
        rated_pictures(write_set(tmp_path / "set", render_picture, extra=NOTES[:7]))


def test_a_teacher_is_told_the_scale_and_which_end_is_best():
    said = told(72, ScoreRange(0, 100, higher_is_better=False))
    assert said == "People gave it 72 on a scale from 100 (worst) to 0 (best), which is poor."
    assert said in prompt("quality", said)
    assert "30 to 50 words, in exactly 2 sentences" in prompt("quality", said)
