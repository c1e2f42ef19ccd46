from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_items import write_items
from made_votes import make_votes

from beholder.errors import UserError
from beholder.tical.constructed import EMOTIONS, read_collections
from beholder.tical.pairing import Part, draw, people_table
from beholder.tical.pairing_study import ARMS, Said, read_said, run_pairing, said_file
from beholder.tical.pairing_tables import COLUMNS, endpoints, measure_said, over_seeds, results_of

COUNTS = {"train": 1500, "valid": 300, "test": 600}
PEOPLE = np.full((6, 6, 6), 1 / 6)
DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "emotion_pairing"


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_items(tmp_path_factory.mktemp("data") / "items")


@pytest.fixture(scope="module")
def parts(items: Path) -> dict[str, Part]:
    return draw(items, PEOPLE, "others", 0.5, 0, COUNTS)


def test_parts_share_no_speaker_no_face_and_no_dialogue(parts: dict[str, Part]) -> None:
    for m in ("voice", "face", "text"):
        seen = [set(part.group[m].tolist()) for part in parts.values()]
        assert len(set().union(*seen)) == sum(map(len, seen))
    assert {name: len(part.drawn.label) for name, part in parts.items()} == COUNTS
    assert [len(set(part.group["voice"])) for part in parts.values()] == [5, 1, 2]


def test_voices_lose_what_is_their_speaker_s(parts: dict[str, Part], items: Path) -> None:
    with np.load(items / "voice_egemaps.npz") as stored:
        raw = np.array([stored["X"][stored["speaker"] == s].mean(axis=0) for s in range(8)])
    train = parts["train"]
    means = [train.x["voice"][train.group["voice"] == s].mean(axis=0) for s in set(train.group["voice"])]
    assert raw.std(axis=0).min() > 5
    assert np.std(means, axis=0).max() < 0.5


def test_words_are_those_of_the_training_part(items: Path, parts: dict[str, Part]) -> None:
    text = items.parent / "other"
    text.mkdir()
    for name in ("voice_egemaps.npz", "face_hog.npz"):
        (text / name).symlink_to(items / name)
    lines = (items / "text.csv").read_text().splitlines()
    changed = [line.replace(" yes ", " perhaps ") if line.startswith("test") else line for line in lines]
    (text / "text.csv").write_text("\n".join(changed) + "\n")
    again = draw(text, PEOPLE, "others", 0.5, 0, COUNTS)
    assert np.array_equal(again["train"].x["text"], parts["train"].x["text"])
    assert not np.array_equal(again["test"].x["text"], parts["test"].x["text"])


def test_labels_by_people_follow_their_table(items: Path) -> None:
    face = np.zeros((6, 6, 6))
    face[:, np.arange(6), np.arange(6)] = 1  # always the face
    part = draw(items, face, "people", 0.5, 0, COUNTS)["train"]
    assert list(part.x) == ["voice", "face"]
    assert np.array_equal(part.drawn.label, part.drawn.shown["face"])
    assert part.drawn.conflict.mean() == pytest.approx(0.5, abs=0.04)
    assert set(part.drawn.odd) == {""}
    assert not draw(items, face, "people", 0.0, 0, COUNTS)["train"].drawn.conflict.any()
    people = people_table(make_votes(3000, actors=30))
    assert people.sum(axis=2) == pytest.approx(np.ones((6, 6)))
    apart = [people[i, j, j] for i in range(6) for j in range(6) if i != j]
    assert 0.5 < np.mean(apart) < 0.9


def test_a_seed_draws_the_same_again_and_none_of_the_embedded_model(items: Path, parts: dict[str, Part]) -> None:
    again, other = (draw(items, PEOPLE, "others", 0.5, s, COUNTS)["test"] for s in (0, 1))
    assert np.array_equal(again.x["face"], parts["test"].x["face"])
    assert not np.array_equal(other.x["face"], again.x["face"])
    faces = read_collections(items, 0)["face"]
    assert set(again.group["face"]) - set(faces.group[faces.part == "test"])


def test_perfect_and_blind_answers_are_measured_as_such() -> None:
    rng = np.random.default_rng(0)
    n = 3000
    label, odd = rng.integers(6, size=n), np.where(rng.random(n) < 0.5, rng.integers(3, size=n), -1)
    shown = np.stack([np.where(odd == m, (label + 1) % 6, label) for m in range(3)])
    sees = np.eye(6)[shown]
    agrees = (odd != np.arange(3)[:, None]).astype(float)
    perfect = Said(label, shown, odd, np.eye(6)[label], sees, sees, 1.0 * (odd < 0), agrees)
    assert measure_said(perfect) == dict.fromkeys(COLUMNS, 1.0)
    blind = Said(label, shown, odd, np.full((n, 6), 1 / 6), sees * 0, sees * 0, np.full(n, 0.5), rng.random((3, n)))
    found = measure_said(blind)
    assert found["C"] == 0.5
    assert found["odd modality"] == pytest.approx(1 / 3, abs=0.04)
    assert found["fused"] == pytest.approx(1 / 6, abs=0.03)
    calm = Said(label, shown[[0, 0, 0]], odd * 0 - 1, *(getattr(perfect, name) for name in list(vars(perfect))[3:]))
    assert [name for name, value in measure_said(calm).items() if np.isnan(value)] == [COLUMNS[1], "C", "odd modality"]


def test_intervals_are_those_of_student() -> None:
    found = over_seeds(np.array([1.0, 2.0, 3.0, 4.0]))
    assert (found.value, found.high - found.value) == pytest.approx((2.5, 3.182446 * np.std([1, 2, 3, 4], ddof=1) / 2))


def test_endpoints_are_met_by_gains_and_missed_without() -> None:
    base = {name: np.array([0.5, 0.52, 0.51]) for name in COLUMNS}
    found = {"logistic": base, "tical-concat": base, "same": base, "better": {n: v + 0.03 for n, v in base.items()}}
    assert all(met for _, _, met in endpoints(found, "better").values())
    assert [name for name, (_, _, met) in endpoints(found, "same").items() if met] == ["P3 fused"]
    weak = {**found, "logistic": {name: v - 0.1 for name, v in base.items()}}
    assert endpoints(weak, "same")["P1 pseudo labels"][0].value == 0  # against the better of the two
    assert endpoints(weak, "same")["P2 odd modality less logistic"][0].value == pytest.approx(0.1)


def test_a_study_goes_on_and_its_tables_come_from_what_it_stored(items: Path, tmp_path: Path) -> None:
    done: list[str] = []
    for seeds in (1, 2):
        run_pairing(
            items,
            PEOPLE,
            tmp_path,
            arms=["logistic"],
            rules=["others"],
            rhos=[0.5, 0.0],
            seeds=seeds,
            counts=COUNTS,
            on_done=done.append,
        )
    assert len(done) == 4
    assert done[0] == "logistic, label by others, rho = 0.5, seed 0: 1 of 2, " + done[0].rpartition(", ")[2]
    said = read_said(said_file(tmp_path, "logistic", "others", 0.5, 0))
    assert said.pseudo.shape == (3, 600, 6)
    (table,) = results_of(tmp_path, 2)
    assert [row[:3] for row in table.rows] == [["logistic", "others", "0.5"], ["logistic", "others", "0"]]
    assert table.rows[1][4] == ""
    accuracy = table.measured["arms"]["logistic, others, 0.5"]["fused"][0]
    assert accuracy == (said.fused.argmax(axis=1) == said.label).mean()
    assert accuracy > 0.8
    assert json.loads(json.dumps(vars(table), allow_nan=False))["measured"]["seeds"] == 2
    assert results_of(tmp_path, 3) == []
    with pytest.raises(ValueError, match="1 seeds"):
        results_of(tmp_path, 1)


def test_what_heads_learn_from_true_labels_is_what_modalities_show(items: Path) -> None:
    """The label is what the voice shows, mostly another class than the face shows: only true labels tell that one."""
    always = np.zeros((6, 6, 6))
    always[np.arange(6), :, np.arange(6)] = 1  # always the voice
    drawn = draw(items, always, "people", 0.8, 0, COUNTS)
    quick = {"epochs": 4, "warmup_epochs": 1}
    shared, true = (measure_said(ARMS[arm](drawn, quick)) for arm in ("tical-concat", "tical-true-labels"))
    assert true["heads"] > shared["heads"] + 0.05


def test_another_number_of_faces_is_refused(items: Path, tmp_path: Path) -> None:
    for name in ("voice_egemaps.npz", "text.csv"):
        (tmp_path / name).symlink_to(items / name)
    np.savez(tmp_path / "face_hog.npz", X=np.zeros((3, 4)), label=EMOTIONS[:3], id=EMOTIONS[:3])
    with pytest.raises(UserError, match="3 faces; the parts are made for 12000"):
        read_collections(tmp_path, 0)


def test_the_published_items_are_read() -> None:
    if not DATA.is_dir():
        pytest.skip("the items are not here")
    part = draw(DATA, PEOPLE, "others", 0.5, 0, COUNTS)["test"]
    assert {m: x.shape for m, x in part.x.items()} == {"voice": (600, 88), "face": (600, 128), "text": (600, 100)}
    assert set(part.drawn.label) == set(EMOTIONS)
