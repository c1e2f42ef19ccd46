"""Scoring with a multimodal LLM: the expected number from token probabilities, beside writing reasons and the number.

    python bench/tatar_score.py                       # a tiny random model of the same architecture, on the CPU
    python bench/tatar_score.py --model tatar:FOLDER  # a real one, where it runs

Both ways score the same pictures with the same loaded model, in one process, after a warm-up of each. How far their
numbers agree is a question for `beholder evaluate`: random weights have nothing to agree on.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from record import Table, at_least, busy_share, publish

from beholder.imaging.open import open_image
from beholder.scoring.asked import Asked
from beholder.scoring.table import split_name
from beholder.task import TASKS, Task
from beholder.tatar.backend import Prompt
from beholder.tatar.card import MAX_TOKENS
from beholder.tatar.config import TinyConfig
from beholder.tatar.folder import Loaded, load, save
from beholder.tatar.record import LearnedFrom, Record
from beholder.tatar.score import open_scorer
from beholder.tatar.tiny import make_tiny

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

LENGTHS: Mapping[Task, int] = {"quality": 70, "aesthetics": 210}
"""Tokens that random weights, which never end, may write: as many as a rationale of 45 and of 135 words takes."""

FASTER = 5.0
"""Times that the expected number has to be faster than writing."""


def main() -> int:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="tatar:FOLDER; a tiny random model if not given")
    parser.add_argument("--batch", type=int, default=4, help="pictures at once")
    parser.add_argument("--repeats", type=int, default=3, help="runs of which the median counts")
    parser.add_argument("--threads", type=int, default=1, help="of torch on the CPU")
    arguments = parser.parse_args()
    busy = busy_share()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = split_name(arguments.model)[1] if arguments.model else random_checkpoint(Path(folder))
        lengths = dict.fromkeys(TASKS, MAX_TOKENS) if arguments.model else LENGTHS
        measured = measure(checkpoint, arguments.batch, arguments.repeats, arguments.threads, lengths)
    number, text = (values["s_per_picture"] for values in measured.values())
    faster = text / number
    rows = [
        [name, f"{values['s_per_picture'] * 1000:.0f} ms", f"{values['tokens']:.0f}"]
        for name, values in measured.items()
    ]
    publish(
        "tatar-score",
        "Scoring one picture for both tasks, without text and with reasons",
        Table(["way", "time per picture", "tokens written per answer"], rows),
        measured={"ways": measured, "faster": faster, "batch": arguments.batch, "repeats": arguments.repeats},
        limits=[at_least("expected number beside reasons, times as fast", faster, FASTER)],
        notes=[
            f"{'A tiny model of random weights' if arguments.model is None else arguments.model}, {arguments.batch} "
            f"pictures of examples/ at once, {arguments.threads} torch thread(s), median of {arguments.repeats}."
        ],
        busy_before=busy,
    )
    return 0


def random_checkpoint(folder: Path) -> Path:
    """A checkpoint of random weights that says it learned both tasks."""
    start = load(make_tiny(folder / "start", TinyConfig(max_side=224)))
    data = tuple(LearnedFrom(name="nothing", task=task, low=0, high=100, n=1, sha256="0" * 64) for task in TASKS)
    record = Record(stage="sft", base="random", data=data, seed=0)
    return save(folder / "random", Loaded(start.model, start.processor, record))


def measure(checkpoint: Path, batch: int, repeats: int, threads: int, lengths: Mapping[Task, int]) -> dict[str, Any]:
    """Per way of scoring: seconds per picture (both tasks), and mean number of tokens written per answer."""
    scorer = open_scorer(checkpoint, Asked(), threads)
    views = [open_image(path, fit=scorer.fit).rgb for path in sorted(EXAMPLES.glob("*.jpg"))[:batch]]
    prompts = {task: [Prompt(Image.fromarray(view), scorer.chat(task)) for view in views] for task in TASKS}
    tokenizer = scorer.processor.tokenizer

    def number() -> list[int]:
        scorer.infer(views, TASKS)
        return [0]

    def reasons() -> list[int]:
        written = [(task, each) for task in TASKS for each in scorer.backend.write(prompts[task], lengths[task])]
        return [lengths[task] if each.cut else len(tokenizer(each.text)["input_ids"]) for task, each in written]

    found = {}
    for name, way in (("expected number", number), ("reasons, then the number", reasons)):
        n_tokens = way()  # warms up
        seconds = statistics.median(timed(way) for _ in range(repeats))
        found[name] = {"s_per_picture": seconds / len(views), "tokens": statistics.mean(n_tokens)}
    return found


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    raise SystemExit(main())
