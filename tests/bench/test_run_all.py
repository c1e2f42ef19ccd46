import sys

import run_all

SHA = "a" * 64


def result(commit="abc", sha=SHA):
    return {"commit": commit, "measured": {"model": {"weights_sha256": sha}}}


def test_only_results_of_this_commit_and_these_weights_are_done():
    assert run_all.is_done(result(), SHA, "abc")
    assert not run_all.is_done(result(commit="old"), SHA, "abc")
    assert not run_all.is_done(result(sha="b" * 64), SHA, "abc")
    assert not run_all.is_done(result(commit="abc+changes"), SHA, "abc+changes")
    assert not run_all.is_done(None, SHA, "abc")


def test_a_script_that_fails_does_not_stop_the_others(tmp_path, tiny_model, monkeypatch, capfd):
    lines = {"startup": [sys.executable, "-c", "raise SystemExit(1)"], "memory": [sys.executable, "-c", "print(5)"]}
    monkeypatch.setattr(run_all, "lines_of", lambda given: lines)
    assert run_all.main(["--model", str(tiny_model), "--results", str(tmp_path)]) == run_all.FAILED
    shown = capfd.readouterr().out
    assert "5" in shown
    assert "FAILED  startup" in shown


def test_a_broken_promise_is_told_last(tmp_path, tiny_model, monkeypatch, capfd):
    from record import Table, at_most, publish

    publish("speed", "t", Table(["a"], []), measured={}, limits=[at_most("x", 3, 2)], busy_before=0, folder=tmp_path)
    monkeypatch.setattr(run_all, "lines_of", lambda given: {"speed": [sys.executable, "-c", "pass"]})
    assert run_all.main(["--model", str(tiny_model), "--results", str(tmp_path)]) == run_all.BROKEN_PROMISE
    assert "MISSED  speed: x is 3, at most 2" in capfd.readouterr().out
