from dataclasses import fields, replace

import numpy as np
import pytest

from beholder.language.ask import Question
from beholder.language.cues import Cues, measure
from beholder.language.findings import ASPECTS as CUES
from beholder.language.findings import DAMAGE
from beholder.task import LEVELS, TASKS
from beholder.tatar.rules import broken_rule, n_sentences, touched
from beholder.tatar.template import write_rationale

QUALITY = (
    "This is a good picture, because fine detail is crisp and the exposure is even across the frame. "
    "A trace of noise in the shadows is the one thing that keeps it from being flawless."
)


def asked(task, level, **known):
    return Question("a.png", "", None, known={"task": task, "level": level} | known)


@pytest.fixture(scope="module")
def cues(render_picture):
    return measure(np.asarray(render_picture(1, (256, 192))))


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("fine detail", "7 details", "numbers"),
        ("fine detail", "the high score", "numbers"),
        ("fine detail", "nine out of ten", "numbers"),
        ("fine detail", "<think> detail", "format"),
        ("This is", "assistant: This is", "format"),
        ("frame. A", "frame, a", "format"),
        ("across the frame", "", None),
        (" in the shadows is the one thing that keeps it", "", "length"),
        ("even across", "even " + "and even " * 15 + "across", "length"),
        ("a good picture", "a bad picture", "contradiction"),
        ("a good picture", "not a bad picture", None),
        ("a good picture", "a perfect picture", None),
        ("fine detail", "the composition", "off task"),
    ],
)
def test_each_rule_refuses_what_it_names(old, new, rule):
    assert broken_rule(QUALITY, "quality", "good") is None
    found = broken_rule(QUALITY.replace(old, new), "quality", "good")
    assert (found and found.split(":")[0]) == rule


def test_sentences_are_counted_by_their_ends():
    assert n_sentences("One. Two! Three?") == 3
    assert n_sentences("No end") == 1


def test_aesthetics_has_to_touch_most_aspects_and_may_not_copy(cues):
    text = write_rationale(asked("aesthetics", "poor"), cues, 0)
    assert len(touched(text)) == 8
    words = text.split()
    assert broken_rule(text, "aesthetics", "poor", notes=" ".join(words[:15])) is None
    assert broken_rule(text, "aesthetics", "poor", notes=" ".join(words[:16])).startswith("copied")
    assert broken_rule("The light is low. " * 30, "aesthetics", "poor").startswith("aspects")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("task", TASKS)
def test_the_template_keeps_every_rule_whatever_is_measured(task, level, cues):
    rng = np.random.default_rng(LEVELS.index(level))
    names = [field.name for field in fields(Cues)]
    for n in range(150):
        # every cue is drawn from a value of its own inside or beyond the steps of the table of findings
        drawn = replace(cues, **dict(zip(names, rng.uniform(-1.2, 1.2, len(names)), strict=True)))
        drawn = replace(drawn, sharpness=rng.uniform(-4, 0), blocking=rng.uniform(1, 3), noise=rng.uniform(0, 0.1))
        hurt = {"distortion": rng.choice(list(DAMAGE)).item(), "distortion_level": n % 6} if n % 2 else {}
        text = write_rationale(asked(task, level, **hurt), drawn, n)
        assert broken_rule(text, task, level) is None, text
        assert level in text
    assert len(CUES) > 10


def test_the_template_says_the_same_of_the_same_and_varies_with_the_seed(cues):
    ask = asked("quality", "good")
    assert write_rationale(ask, cues, 0) == write_rationale(ask, cues, 0)
    assert len({write_rationale(replace(ask, seed=seed), cues, 0) for seed in range(10)}) > 3


def test_known_damage_is_named_where_the_level_agrees(cues):
    hurt = {"distortion": "motion_blur", "distortion_level": 4}
    assert "degraded by motion blur" in write_rationale(asked("quality", "bad", **hurt), cues, 0)
