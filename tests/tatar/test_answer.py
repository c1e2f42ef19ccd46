import pytest

from beholder.task import ScoreRange
from beholder.tatar.answer import prefix, read, target, write


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("<answer>73.42</answer>", 73.42),
        ("<answer> 73.42\n</answer>", 73.42),
        ("<answer>73</answer>", 73.0),
        ("<answer>1</answer>", 1.0),  # stays 1: no scale is guessed
        ("<answer>0.73</answer>", 0.73),
        ("<answer>+5.0</answer>", 5.0),
        ("<answer>0</answer>", 0.0),
        ("<answer>-0.0</answer>", 0.0),
        ("<answer>100.00</answer>", 100.0),
        ("<answer>007</answer>", 7.0),
        ("<think></think><answer>50</answer>", 50.0),
        ("<think>Sharp.</think>\n<answer>50</answer>\n", 50.0),
        ("<think>Five < six > four.</think><answer>50</answer>", 50.0),
    ],
)
def test_what_has_the_declared_form_is_read_as_it_stands(text, score):
    assert read(text).score == score
    assert read(text).failure is None
    assert str(read(text).score) != "-0.0"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no_answer"),
        ("73.42", "no_answer"),
        ("<think>Sharp.</think>", "no_answer"),
        ("<ANSWER>5</ANSWER>", "no_answer"),
        ("5</answer>", "no_answer"),
        ("</answer>5<answer>", "no_answer"),
        ("<answer>73.42 points</answer>", "not_a_number"),
        ("<answer>73,42</answer>", "not_a_number"),
        ("<answer>73/100</answer>", "not_a_number"),
        ("<answer>7e1</answer>", "not_a_number"),
        ("<answer>.5</answer>", "not_a_number"),
        ("<answer>5.</answer>", "not_a_number"),
        ("<answer>nan</answer>", "not_a_number"),
        ("<answer></answer>", "not_a_number"),
        ("<answer>\u0665\u0660</answer>", "not_a_number"),
        ('<answer>{"score": 50}</answer>', "not_a_number"),
        ("<answer>```50```</answer>", "not_a_number"),
        ("<answer>50 60</answer>", "not_a_number"),
        ("<answer>101</answer>", "out_of_range"),
        ("<answer>-1</answer>", "out_of_range"),
        ("<answer>50</answer><answer>60</answer>", "many_answers"),
        ("<answer>50</answer></answer>", "many_answers"),
        ("<think>Sharp.<answer>50</answer>", "bad_think"),
        ("Sharp.</think><answer>50</answer>", "bad_think"),
        ("<think>a</think><think>b</think><answer>50</answer>", "bad_think"),
        ("<answer>50</answer><think>Sharp.</think>", "bad_think"),
        ("<think><answer>50</answer></think>", "bad_think"),
        ("</think>Sharp.<think><answer>50</answer>", "bad_think"),
        ("<answer>73.4", "truncated"),
        ("<think>Sharp.</think><answer>73.42</ans", "truncated"),
    ],
)
def test_anything_else_is_a_failure_with_its_reason(text, reason):
    assert read(text).failure == reason
    assert read(text).score is None


@pytest.mark.parametrize(
    "text", ["<answer>50</answer>", "<think> </think><answer>50</answer>", "Sharp.<answer>50</answer>"]
)
def test_a_score_without_reasons_is_a_failure_where_they_are_required(text):
    assert read(text, require_reasons=True).failure == "no_think"
    assert read(text).score == 50
    assert read("<think>Sharp.</think><answer>50</answer>", require_reasons=True).score == 50
    assert read(text, cut=True, require_reasons=True).failure == "truncated"


def test_a_completion_that_was_cut_is_never_read():
    assert read("<answer>50</answer>", cut=True).failure == "truncated"


def test_words_are_those_of_the_reasoning_wherever_it_stands():
    assert read("<think>one two three</think><answer>50</answer>").n_words == 3
    assert read("<think>one two</think> three <answer>50</answer> four").n_words == 4
    assert read("<answer>50</answer>").n_words == 0
    assert read("<think>one two</think> <answer>50").n_words == 2


@pytest.mark.parametrize("think", [None, "", "Sharp and clean.\nWell lit."])
@pytest.mark.parametrize("score", [0, 7.125, 73.4249, 100])
def test_what_is_written_is_read_back(score, think):
    reading = read(write(score, think))
    assert reading.score == pytest.approx(score, abs=0.0051)
    assert reading.think == (think or "")
    assert write(score, think).startswith(prefix(think))


def test_what_could_not_be_read_back_is_not_written():
    with pytest.raises(ValueError, match="outside 0 to 100"):
        write(100.01, None)
    with pytest.raises(ValueError, match="outside 0 to 100"):
        write(float("nan"), None)
    with pytest.raises(ValueError, match="holds one of"):
        write(50, "I say <answer>60</answer>")


def test_targets_follow_the_declared_range_and_direction():
    assert target(0.2, ScoreRange(0.2, 1.0)) == 0
    assert target(5.4, ScoreRange(0, 10)) == 54
    assert target(72, ScoreRange(0, 100, higher_is_better=False)) == 28
    with pytest.raises(ValueError, match="declared 1 to 5"):
        target(5.01, ScoreRange(1, 5))
