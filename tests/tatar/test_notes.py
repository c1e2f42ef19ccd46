import json

import pytest
from chat_server import Reply, completion, serving

from beholder.language.ask import Question
from beholder.tatar.notes import Noting, notes_prompt, read_notes
from beholder.tatar.rules import ASPECTS

pytest.importorskip("httpx")
from beholder.language.endpoint import Endpoint, Patience

GOOD = "\n".join(f"{aspect}: something plain to see here" for aspect in ASPECTS)


def test_notes_are_read_by_aspect_in_order_whatever_a_model_puts_around_them():
    lines = [f"{i}. **{aspect.title()}:** something plain to see here" for i, aspect in enumerate(ASPECTS)]
    found = read_notes("Here you are:\n" + "\n".join(reversed(lines)))
    assert found == dict.fromkeys(ASPECTS, "something plain to see here")
    assert list(found) == list(ASPECTS)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD.replace("theme: something plain to see here", ""), "format: no note of at least 4 words on theme"),
        (GOOD.replace("theme: something plain to see here", "theme: nice"), "on theme"),
        (GOOD + "\ntheme: once more, and otherwise", "theme is noted twice"),
        (GOOD.replace("plain", "plain (7/10)"), "numbers: the notes say '7/10'"),
        (json.dumps(dict.fromkeys(ASPECTS, "x")), "no note"),
    ],
)
def test_what_is_no_set_of_eight_notes_is_refused_with_a_reason(text, reason):
    with pytest.raises(ValueError, match=r"(format|numbers): ") as error:
        read_notes(text)
    assert reason in str(error.value)


def test_a_model_is_told_the_level_and_no_score():
    prompt = notes_prompt("fair")
    assert "find this picture fair" in prompt
    assert all(f"\n{aspect}: " in prompt for aspect in ASPECTS)


def test_notes_that_cannot_be_read_are_asked_for_again_and_then_a_row_with_each_reason(tmp_path, render_picture):
    render_picture(0, (64, 48)).save(tmp_path / "a.png")
    question = Question("a.png", notes_prompt("fair"), tmp_path / "a.png")

    def noted(answer):
        with serving(answer) as server:
            patience = Patience(timeout_s=2, attempts=2, first_pause_s=0.01, longest_pause_s=0.02)
            return Noting(Endpoint("m", server.base_url, patience=patience)).ask([question])[0], server.requests

    answer, requests = noted(lambda _, n: completion("I see a picture." if n < 2 else GOOD))
    assert answer.texts == (GOOD,)
    assert [request["seed"] for request in requests] == [0, 1, 2]
    answer, _ = noted(lambda _, n: completion("I see a picture."))
    assert (answer.status, answer.texts) == ("rejected", ())
    assert noted(lambda _, n: Reply(500, "down"))[0].status == "unavailable"
