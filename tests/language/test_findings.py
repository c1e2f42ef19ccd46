import numpy as np
import pytest

from beholder.language.cues import measure
from beholder.language.findings import ASPECTS, DAMAGE, damage, enumerate_in_words, findings
from beholder.task import TASKS


def test_every_aspect_has_a_step_between_any_two_edges():
    for aspect in ASPECTS:
        assert list(aspect.edges) == sorted(aspect.edges)
        assert len(aspect.steps) == len(aspect.edges) + 1, aspect.name


def test_phrases_fit_into_sentences():
    for aspect in ASPECTS:
        for _, phrases in filter(None, aspect.steps):
            assert phrases
            for phrase in phrases:
                assert len(phrase.split()) <= 8
                assert phrase[0].islower()
                assert phrase[-1].isalpha()


def test_the_worst_and_the_best_are_told_apart(render_picture):
    pytest.importorskip("scipy")
    from beholder.data.distortions import distort

    rgb = np.asarray(render_picture(2, (256, 192)))

    def weight(pixels, name):
        return next(f.weight for f in findings(measure(pixels), "quality") if f.aspect == name)

    assert weight(distort(rgb, "blur", 5, 0), "sharpness") < weight(rgb, "sharpness")
    assert weight(distort(rgb, "noise", 5, 0), "noise") == -2
    assert weight(distort(rgb, "darken", 5, 0), "exposure") < 0
    assert weight(distort(rgb, "low_contrast", 5, 0), "contrast") == -2


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("value", [0, 128, 255])
def test_there_is_always_something_to_say(task, value):
    assert findings(measure(np.full((40, 40, 3), value, np.uint8)), task)


def test_all_damage_of_ours_has_a_name():
    pytest.importorskip("scipy")
    from beholder.data.distortions import FAMILIES

    assert DAMAGE.keys() == FAMILIES.keys()


def test_damage_is_said_with_its_level():
    assert damage("blur", 1) == "slightly degraded by blur"
    assert damage("motion_blur", 4.4) == "strongly degraded by motion blur"
    assert damage("jpeg", 0.2) == "slightly degraded by JPEG compression"
    assert damage("jpeg", 5) == "severely degraded by JPEG compression"
    assert damage("jpeg", None) == "degraded by JPEG compression"


@pytest.mark.parametrize(("family", "level"), [("blur", 0), ("blur", 9), ("07", 3), (None, 3)])
def test_what_is_not_known_is_not_said(family, level):
    assert damage(family, level) is None


def test_words_are_joined_as_people_do():
    assert enumerate_in_words(["a"]) == "a"
    assert enumerate_in_words(["a", "b"]) == "a and b"
    assert enumerate_in_words(["a", "b", "c"]) == "a, b and c"
