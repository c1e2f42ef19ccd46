import json
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from beholder.errors import UserError
from beholder.language.ask import Answer, HopelessError, Question
from beholder.language.run import GIVE_UP_AFTER, Job, Shape, meta_file, run

SHAPE = Shape(id="image_id", texts="captions")


class Clerk:
    """Answers from a table of statuses, `ok` where it has none; remembers what it was asked."""

    def __init__(self, statuses=(), batch=1, concurrency=1, seconds=lambda name: 0.0):
        self.name, self.batch, self.concurrency = "clerk", batch, concurrency
        self.statuses, self.seconds = dict(statuses), seconds
        self.asked, self.batches, self.stopped = [], [], False
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def ask(self, questions):
        with self._lock:
            self.asked += [question.id for question in questions]
            self.batches.append(len(questions))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(max(self.seconds(question.id) for question in questions))
        with self._lock:
            self.at_once -= 1
        return [self.answer(question) for question in questions]

    def answer(self, question):
        status = self.statuses.get(question.id, "ok")
        if status == "hopeless":
            raise HopelessError("the key is wrong")
        if status == "ok":
            return Answer(question.id, (f"about {question.id}",))
        return Answer(question.id, ("half a",), status, f"{question.id} went wrong")

    def stop(self):
        self.stopped = True


def jobs(n, refused=()):
    return [
        Job(
            Question(f"p{i}", "What?"),
            {"path": f"{i}.png"},
            Answer(f"p{i}", status="held_out", error="test") if i in refused else None,
        )
        for i in range(n)
    ]


def rows(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def go(out, clerk, n=5, settings=None, **options):
    return run(jobs(n), clerk, out, SHAPE, settings=settings or {"seed": 0}, **options)


def test_a_row_per_job_in_their_order_whatever_finishes_first(tmp_path):
    clerk = Clerk(concurrency=4, seconds=lambda name: 0.2 if name == "p0" else 0.01)
    counts = go(tmp_path / "out.jsonl", clerk, n=9)
    assert counts == {"ok": 9}
    found = rows(tmp_path / "out.jsonl")
    assert [row["image_id"] for row in found] == [f"p{i}" for i in range(9)]
    assert found[3] == {
        "image_id": "p3", "path": "3.png", "captions": ["about p3"], "status": "ok", "error": None
    }  # fmt: skip
    assert 2 <= clerk.most_at_once <= 4


def test_a_failed_row_keeps_no_text(tmp_path):
    counts = go(tmp_path / "out.jsonl", Clerk({"p2": "cut", "p3": "unreadable"}))
    assert counts == {"ok": 3, "cut": 1, "unreadable": 1}
    bad = rows(tmp_path / "out.jsonl")[2]
    assert (bad["captions"], bad["status"], bad["error"]) == ([], "cut", "p2 went wrong")


def test_a_question_that_must_not_be_asked_is_not(tmp_path):
    clerk = Clerk()
    counts = run(jobs(3, refused={1}), clerk, tmp_path / "out.jsonl", SHAPE, settings={})
    assert counts == {"ok": 2, "held_out": 1}
    assert clerk.asked == ["p0", "p2"]


def test_batches_are_as_large_as_the_back_end_likes(tmp_path):
    clerk = Clerk(batch=2)
    go(tmp_path / "out.jsonl", clerk)
    assert clerk.batches == [2, 2, 1]


def test_a_second_run_asks_only_what_has_no_row(tmp_path):
    out = tmp_path / "out.jsonl"
    go(out, Clerk({"p1": "timeout"}))
    lines = out.read_text().splitlines(keepends=True)
    out.write_text("".join(lines[:3]) + lines[3][:20])  # as kill -9 or a full disk leaves it
    clerk = Clerk()
    assert go(out, clerk) == {"ok": 4, "timeout": 1}
    assert clerk.asked == ["p3", "p4"]
    assert [row["image_id"] for row in rows(out)] == [f"p{i}" for i in range(5)]


def test_retry_failed_asks_the_failed_ones_again(tmp_path):
    out = tmp_path / "out.jsonl"
    go(out, Clerk({"p1": "timeout", "p4": "empty"}))
    clerk = Clerk({"p4": "empty"})
    assert go(out, clerk, retry_failed=True) == {"ok": 4, "empty": 1}
    assert clerk.asked == ["p1", "p4"]
    assert [row["image_id"] for row in rows(out)] == [f"p{i}" for i in range(5)]


def test_overwrite_starts_anew(tmp_path):
    out = tmp_path / "out.jsonl"
    go(out, Clerk(), settings={"seed": 0})
    clerk = Clerk()
    go(out, clerk, settings={"seed": 1}, overwrite=True)
    assert len(clerk.asked) == 5
    assert json.loads(meta_file(out).read_text()) == {"settings": {"seed": 1}, "rows": {"ok": 5}}


def test_texts_of_two_kinds_never_share_a_file(tmp_path):
    out = tmp_path / "out.jsonl"
    go(out, Clerk(), settings={"model": "a", "seed": 0})
    before = out.read_bytes()
    with pytest.raises(UserError, match="made with model = 'a', now it is 'b'"):
        go(out, Clerk(), settings={"model": "b", "seed": 0})
    with pytest.raises(UserError, match="rows of other pictures"):
        go(out, Clerk(), n=3, settings={"model": "a", "seed": 0})
    meta_file(out).unlink()
    with pytest.raises(UserError, match="doesn't say of which run"):
        go(out, Clerk(), settings={"model": "a", "seed": 0})
    assert out.read_bytes() == before


def test_a_file_that_is_no_such_file_is_left_alone(tmp_path):
    out = tmp_path / "out.jsonl"
    out.write_text("dear diary\n")
    with pytest.raises(UserError, match=r"out\.jsonl line 1 is not JSON"):
        go(out, Clerk())
    assert out.read_text() == "dear diary\n"
    with pytest.raises(UserError, match=r"\.jsonl"):
        go(tmp_path / "out.csv", Clerk())


def test_the_same_id_twice_is_refused(tmp_path):
    with pytest.raises(UserError, match="'p0' is asked about twice"):
        run(jobs(1) + jobs(1), Clerk(), tmp_path / "out.jsonl", SHAPE, settings={})


def test_what_was_in_flight_is_kept_when_the_run_becomes_hopeless(tmp_path):
    out = tmp_path / "out.jsonl"
    clerk = Clerk({"p2": "hopeless"}, concurrency=3, seconds=lambda name: 0.3 if name == "p1" else 0.0)
    with pytest.raises(HopelessError, match="key is wrong"):
        go(out, clerk, n=50)
    assert clerk.stopped
    found = [row["image_id"] for row in rows(out)]
    assert {"p0", "p1"} <= set(found)
    assert "p2" not in found
    assert len(found) < 20
    assert go(out, Clerk(), n=50) == {"ok": 50}


def test_a_model_that_always_fails_is_given_up(tmp_path):
    out = tmp_path / "out.jsonl"
    clerk = Clerk({f"p{i}": "unavailable" for i in range(3, 99)})
    with pytest.raises(HopelessError, match="20 answers in a row failed, the last one: unavailable, p22 went wrong"):
        go(out, clerk, n=99)
    assert len(clerk.asked) == len(rows(out)) == 3 + GIVE_UP_AFTER
    assert go(out, Clerk(), n=99, retry_failed=True) == {"ok": 99}


def test_broken_pictures_are_no_reason_to_give_up(tmp_path):
    clerk = Clerk({f"p{i}": "unreadable" for i in range(60)})
    assert go(tmp_path / "out.jsonl", clerk, n=60) == {"unreadable": 60}


def test_progress_counts_rows_of_before_and_of_now(tmp_path):
    out = tmp_path / "out.jsonl"
    go(out, Clerk({"p0": "timeout"}))
    seen = []
    go(out, Clerk({"p0": "timeout"}), retry_failed=True, on_progress=seen.append)
    assert [(p.n_done, p.n_total, p.n_new, p.n_failed) for p in seen] == [(4, 5, 0, 0), (5, 5, 1, 1)]


SLOW_RUN = """
    import sys, time
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from test_run import Clerk, go
    clerk = Clerk(concurrency=2, seconds=lambda name: 0.02)
    go(Path(sys.argv[1]), clerk, n=400)
"""


@pytest.fixture
def slow_run(tmp_path):
    """A run of 400 questions in another process, well on its way."""
    out = tmp_path / "out.jsonl"
    code = textwrap.dedent(SLOW_RUN.format(tests=str(Path(__file__).parent)))
    process = subprocess.Popen([sys.executable, "-c", code, str(out)], stderr=subprocess.PIPE)
    while not out.exists() or out.read_bytes().count(b"\n") < 20:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    yield out, process
    process.kill()
    process.communicate()


def test_a_killed_run_goes_on_where_it_was(slow_run):
    out, process = slow_run
    process.send_signal(signal.SIGKILL)
    process.wait()
    n_before = out.read_bytes().count(b"\n")
    assert 20 <= n_before < 400
    clerk = Clerk()
    assert go(out, clerk, n=400) == {"ok": 400}
    assert len(clerk.asked) == 400 - n_before
    assert [row["image_id"] for row in rows(out)] == [f"p{i}" for i in range(400)]
    assert all(row["captions"] == [f"about {row['image_id']}"] for row in rows(out))


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks there")
def test_two_runs_never_write_one_file(slow_run):
    out, process = slow_run
    with pytest.raises(UserError, match="another run is writing"):
        go(out, Clerk(), n=400)
    assert process.poll() is None


def test_ctrl_c_keeps_what_was_in_flight(slow_run):
    out, process = slow_run
    process.send_signal(signal.SIGINT)
    process.wait()
    assert process.returncode != 0
    found = rows(out)
    assert 20 <= len(found) < 400
    assert len({row["image_id"] for row in found}) == len(found)
    numbers = [int(row["image_id"][1:]) for row in found]
    assert numbers == sorted(numbers), "put in order at the end"
