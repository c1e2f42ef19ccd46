import json
from random import Random

import numpy as np
import pytest

pytest.importorskip("sklearn")

import purify
from noise_comments import KINDS, make_noise

SUBJECTS = (
    "harbour",
    "forest",
    "portrait",
    "bridge",
    "desert",
    "kitchen",
    "stadium",
    "garden",
    "tower",
    "snow",
    "cat",
    "bus",
)


def critiques():
    """Twelve critics who each use the word for their own subject in every aspect."""
    return [
        {"title": word, purify.REFERENCE: f"I like how this {word} was seen by you"}
        | {aspect: f"the {word} has its own {aspect} and the {word} shows it" for aspect in purify.ASPECTS[: 4 + i % 3]}
        | dict.fromkeys(purify.ASPECTS[4 + i % 3 :], "ok")
        for i, word in enumerate(SUBJECTS)
    ]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "pccd.json"
    path.write_text(json.dumps(critiques()))
    return path


def test_noise_is_of_its_kind_and_the_same_for_the_same_seed():
    for kind in KINDS:
        assert make_noise(kind, Random(1), ["their picture"]) == make_noise(kind, Random(1), ["their picture"])
        assert "{" not in make_noise(kind, Random(1), ["their picture"])
    assert make_noise("other picture", Random(0), ["their picture"]) == "their picture"
    assert all(150 <= len(make_noise("ramble", Random(i), []).split()) <= 330 for i in range(20))


def test_the_reference_is_never_a_comment(file):
    photos = purify.read_photos(file)
    assert len(photos) == 12
    for photo in purify.mix(photos, seed=0):
        assert photo.reference not in photo.comments
        assert sorted(kind for kind in photo.kinds if kind) == sorted(KINDS)
    assert purify.mix(photos, 0) == purify.mix(photos, 0) != purify.mix(photos, 1)


def test_counts_are_of_what_was_dropped(file):
    (photo,) = purify.mix(purify.read_photos(file), seed=0)[:1]
    ideal = [i for i, kind in enumerate(photo.kinds) if kind is None][: purify.KEEP]
    counts = purify.dropped_of([photo], [np.zeros(len(photo.comments))], lambda *_: ideal, seed=0)
    assert counts.tolist() == [[len(photo.comments) - len(KINDS) - purify.KEEP, 1, 1, 1, 1, 1]]
    one = np.ones(1)
    assert purify.recall(counts, one, n_seeds=1) == 1.0
    assert purify.precision(np.array([[5.0, 1, 1, 1, 1, 1]]), one) == 0.5
    assert purify.recall(np.array([[4.0, 1, 0, 0, 0, 1]]), one, n_seeds=1) == 0.4
    assert purify.recall(np.array([[4.0, 1, 0, 0, 0, 1]]), one, n_seeds=2, kind=0) == 0.5


def test_the_methods_stand_side_by_side(file, tmp_path, monkeypatch):
    monkeypatch.setattr(purify, "SIMILARITIES", {"TF-IDF": purify.Tfidf})
    purify.main([str(file), "--seeds", "3", "--results", str(tmp_path)])
    stored = json.loads((tmp_path / "purify.json").read_text())
    recall = {title: values["recall"][0] for title, values in stored["measured"]["estimates"].items()}
    assert recall["similarity only (TF-IDF)"] > recall["random"] + 0.1, "critics name their subject, noise does not"
    assert stored["measured"]["estimates"]["length only"]["ramble"][0] == 0.0
    assert [row[0] for row in stored["table"]["rows"]] == list(recall)


def test_without_the_data_nothing_is_measured(tmp_path, capsys):
    assert purify.main(["--results", str(tmp_path)]) == 0
    assert "skipped" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
