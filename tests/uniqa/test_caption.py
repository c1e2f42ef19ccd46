import json
import random
import re
import shutil
from dataclasses import fields

import numpy as np
import pytest

from beholder.data.held_out import HeldOut
from beholder.data.manifest import read_manifest
from beholder.language.ask import Question
from beholder.language.cues import Cues, measure
from beholder.language.findings import ASPECTS
from beholder.task import LEVELS, TASKS, ScoreRange
from beholder.uniqa.caption import MAX_WORDS, caption_jobs, level_word, prompt, write_caption


@pytest.mark.parametrize(
    ("score", "declared", "word"),
    [
        (0, ScoreRange(0, 100), "bad"),
        (19.99, ScoreRange(0, 100), "bad"),
        (20, ScoreRange(0, 100), "poor"),
        (79.9, ScoreRange(0, 100), "good"),
        (80, ScoreRange(0, 100), "perfect"),
        (100, ScoreRange(0, 100), "perfect"),
        (3.2, ScoreRange(1, 5), "fair"),
        (72, ScoreRange(0, 100, higher_is_better=False), "poor"),
    ],
)
def test_level_words_as_in_the_paper(score, declared, word):
    assert level_word(score, declared) == word


@pytest.mark.parametrize("score", [-0.1, 100.1])
def test_a_score_outside_its_range_has_no_word(score):
    with pytest.raises(ValueError, match="outside"):
        level_word(score, ScoreRange(0, 100))


@pytest.mark.parametrize("task", TASKS)
def test_a_prompt_states_the_level_asks_for_few_words_and_no_numbers(task):
    text = prompt(task, "poor")
    assert "as poor" in text
    assert "No numbers" in text
    assert "poor" not in prompt(task, None)
    assert "rated" not in prompt(task, None)


def question(name="a.png", task="quality", level="good", **known):
    return Question(name, "", None, known={"task": task, "level": level} | known)


@pytest.fixture
def cues(render_picture):
    return measure(np.asarray(render_picture(1, (256, 192))))


def test_the_same_picture_gets_the_same_text_and_texts_vary(cues):
    assert write_caption(question(), cues, 0) == write_caption(question(), cues, 0)
    assert len({write_caption(question(), cues, i) for i in range(20)}) >= 5
    assert len({write_caption(question(f"{i}.png"), cues, 0) for i in range(20)}) >= 5


def random_cues(rng):
    """Cues at random steps of every aspect, extreme ones included."""
    spans = {field.name: [0.0, 1.0] for field in fields(Cues)}
    for aspect in ASPECTS:
        name = aspect.value.__code__.co_names[0]
        spans[name] = [aspect.edges[0] - 1, *aspect.edges, aspect.edges[-1] + 1]
    return Cues(**{name: rng.choice(values) for name, values in spans.items()})


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("level", [*LEVELS, None])
def test_every_text_is_short_and_says_its_level_and_damage_and_no_number(task, level):
    rng = random.Random(0)
    for i in range(300):
        known = {"distortion": "smear", "distortion_level": 5} if i % 2 else {}
        text = write_caption(question(f"{i}", task, level, **known), random_cues(rng), i)
        assert len(text.split()) <= MAX_WORDS, text
        said = re.findall("|".join(LEVELS), text)
        assert said == ([] if level is None else [level]), "a second level word would contradict the first"
        assert not any(c.isdigit() for c in text), text
        assert ("severely degraded by smeared detail" in text) == bool(i % 2)
        assert text[0].isupper()
        assert text.endswith(".")


def test_a_text_says_what_was_measured(render_picture):
    pytest.importorskip("scipy")
    from beholder.data.distortions import distort

    rgb = np.asarray(render_picture(4, (256, 192)))
    for family, words in {
        "blur": ("blur", "no sharp edge", "loss of detail"),
        "noise": ("noise", "grain"),
        "darken": ("underexposure", "dark", "dim", "black", "shadows"),
    }.items():
        hurt = measure(distort(rgb, family, 5, 0))
        texts = [write_caption(question(level="bad"), hurt, i) for i in range(10)]
        assert all(any(word in text for word in words) for text in texts), texts


def test_a_good_picture_is_praised_first_and_a_bad_one_blamed_first():
    cues = Cues(**dict.fromkeys((f.name for f in fields(Cues)), 0.0))
    mixed = type(cues)(
        **vars(cues)
        | {"sharpness": -1.0, "noise": 0.1, "brightness": 0.5, "contrast": 0.6, "saturation": 0.4, "blocking": 1.0}
    )
    good, bad = (write_caption(question(level=level), mixed, 0).split(". ") for level in ("perfect", "bad"))
    assert any(word in good[0] for word in ("sharp", "crisp"))
    assert any(word in good[1] for word in ("noise", "grain"))
    assert any(word in bad[0] for word in ("noise", "grain"))
    assert len(bad) == 2


@pytest.fixture
def manifest(tmp_path, render_picture):
    folder = tmp_path / "set"
    folder.mkdir()
    rows = ["path,score,split,distortion,distortion_level"]
    for i, split in enumerate(("train", "train", "val", "test")):
        render_picture(i, (64, 48)).save(folder / f"{i}.png")
        rows.append(f"{i}.png,{1 + i},{split},blur,2")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    (folder / "dataset.toml").write_text(
        'name = "toy"\ntask = "quality"\nlicence = "CC0-1.0"\nsource = "rendered"\nsplit_by = "row"\n'
        'image_root = "."\n\n[range]\nlow = 1\nhigh = 5\nhigher_is_better = true\n'
    )
    return read_manifest(folder)


def test_only_training_pictures_are_asked_about(manifest, tmp_path):
    jobs = caption_jobs(manifest, tmp_path / "texts" / "out.jsonl", captioner="me")
    assert [job.question.id for job in jobs] == ["0.png", "1.png"]
    assert [job.columns["level"] for job in jobs] == ["bad", "poor"]
    assert jobs[0].columns["path"] == "../set/0.png"
    assert "rated its technical quality as poor" in jobs[1].question.prompt
    assert jobs[1].question.known["distortion"] == "blur"


def test_a_training_picture_that_is_also_tested_on_is_refused(manifest, tmp_path):
    shutil.copy(tmp_path / "set" / "3.png", tmp_path / "set" / "1.png")
    jobs = caption_jobs(manifest, tmp_path / "out.jsonl", captioner="me", held_out=HeldOut([manifest]))
    assert [job.refused is None for job in jobs] == [True, False]
    assert jobs[1].refused.status == "held_out"
    assert "toy" in jobs[1].refused.error
    assert jobs[1].refused.texts == ()


def test_another_task_is_described_without_the_score(manifest, tmp_path):
    jobs = caption_jobs(manifest, tmp_path / "out.jsonl", captioner="me", task="aesthetics")
    assert [(job.columns["task"], job.columns["level"]) for job in jobs] == [("aesthetics", None)] * 2
    assert not any(level in jobs[0].question.prompt.split() for level in LEVELS)
    assert json.dumps(dict(jobs[0].columns))
