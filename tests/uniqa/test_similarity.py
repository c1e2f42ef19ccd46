import numpy as np
import pytest

pytest.importorskip("sklearn")

from beholder.uniqa.similarity import ClipText, Lsa, Tfidf, closest

TEXTS = [
    "the horizon is tilted and the sea looks calm",
    "a tilted horizon over a calm sea",
    "the portrait has soft light on the face",
    "soft light falls on the face of the woman",
    "win money now at our casino",
]


@pytest.mark.parametrize("make", [Tfidf, lambda texts: Lsa(texts, dimensions=4)])
def test_texts_about_the_same_thing_are_closest(make):
    encoder = make(TEXTS)
    near = [closest(encoder, [text], TEXTS[:1])[0] for text in TEXTS]
    assert near[0] == pytest.approx(1.0)
    assert np.argsort(near)[::-1][:2].tolist() == [0, 1]
    assert closest(encoder, TEXTS, TEXTS[2:4])[1] < 0.5 < closest(encoder, TEXTS, TEXTS[2:4])[3]


def test_a_text_of_unknown_words_is_close_to_nothing():
    assert closest(Tfidf(TEXTS), ["zzz qqq"], TEXTS).tolist() == [0.0]


def test_the_closest_of_several_references_counts():
    encoder = Tfidf(TEXTS)
    both = closest(encoder, TEXTS[:1], [TEXTS[4], TEXTS[1]])
    assert both == closest(encoder, TEXTS[:1], [TEXTS[1]])


def test_the_text_tower_of_a_clip_can_be_the_judge(tmp_path):
    pytest.importorskip("transformers")
    from beholder.uniqa.nano import NanoConfig, nano_clip

    model, tokenizer = nano_clip(NanoConfig(), TEXTS, seed=0)
    model.save_pretrained(tmp_path / "nano")
    tokenizer.save_pretrained(tmp_path / "nano")
    encoder = ClipText(tmp_path / "nano", batch=2)
    rows = encoder.encode(TEXTS)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0)
    assert np.abs(rows - ClipText(tmp_path / "nano", batch=64).encode(TEXTS)).max() < 1e-5
    assert encoder.name == "clip:nano"
    assert closest(encoder, TEXTS, TEXTS) == pytest.approx(1.0, abs=1e-6)
    very_long = " ".join(TEXTS * 40)
    assert encoder.encode([very_long]).shape == rows[:1].shape, "cut at the context length"
