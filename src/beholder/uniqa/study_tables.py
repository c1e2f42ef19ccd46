"""Tables of the study, from its stored rows only: mean over seeds, and differences paired by seed, with t intervals.

The intervals say how much another seed would change a number: another start, order, draw of labels. The pictures that
are measured on stay the same, so they do not say how it would be on others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from beholder.batch.files import replacing
from beholder.data.columns import Split
from beholder.task import TASKS, Task
from beholder.uniqa.study import ARMS, FINETUNED, Row


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and its 95 % t interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """Raises ValueError for fewer than two values."""
        n = len(values)
        if n < 2:
            raise ValueError(f"{n} seeds; an interval over seeds needs at least 2")
        mean = float(np.mean(values))
        half = float(student.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
        return cls(mean, mean - half, mean + half)

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Setting:
    """Everything of a row but its seed, split and value."""

    arm: str
    task: Task
    method: str
    prompts: str
    labels: int | None


class Found:
    """SRCC by setting and seed on one split."""

    def __init__(self, rows: Iterable[Row], split: Split) -> None:
        self.values: dict[Setting, dict[int, float]] = {}
        self.n: dict[Task, int] = {}
        for row in rows:
            if row.split == split:
                setting = Setting(row.arm, row.task, row.method, row.prompts, row.labels)
                self.values.setdefault(setting, {})[row.seed] = row.srcc
                self.n[row.task] = row.n
        self.split = split

    def labels(self) -> list[int | None]:
        """Label counts that something was learned from, ascending; all of them last."""
        counts = {setting.labels for setting in self.values if setting.labels != 0}
        return [*sorted(count for count in counts if count is not None), *([None] if None in counts else [])]

    def mean(self, setting: Setting) -> Interval:
        """Over all seeds."""
        return Interval.of(list(self.values[setting].values()))

    def difference(self, setting: Setting, base: Setting) -> Interval:
        """`setting` less `base`, seed by seed, over the seeds that have both."""
        ours, theirs = self.values[setting], self.values[base]
        return Interval.of([ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())])


Table = dict[str, object]
"""As `evaluate.tables.render_stored` reads it."""


def study_tables(rows: Sequence[Row], split: Split = "test") -> dict[str, Table]:
    """All tables of the study by name, from the rows of at least two seeds."""
    found = Found(rows, split)
    return {
        "uniqa-study-pretraining": _pretraining(found, ("unified", "quality", "aesthetics", "none"), "unified"),
        "uniqa-study-purification": _pretraining(found, ("unified", "unpurified"), "unified"),
        "uniqa-study-methods": _methods(found),
        "uniqa-study-prompts": _prompts(found),
    }


def write_tables(rows: Sequence[Row], folder: Path, split: Split = "test") -> list[Path]:
    """Write each table as `NAME.json`, which `beholder.evaluate.tables` puts into documents."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, table in study_tables(rows, split).items():
        with replacing(folder / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
        files.append(folder / f"{name}.json")
    return files


def _pretraining(found: Found, arms: Sequence[str], base: str) -> Table:
    """Adapters and zero-shot scores on several pre-trainings, and how far each is behind `base`."""
    lines = []
    for task in TASKS:
        settings = [("zero-shot", "ensemble", 0), *(("adapter", "single", labels) for labels in found.labels())]
        for method, prompts, labels in settings:
            reference = Setting(base, task, method, prompts, labels)
            cells = [f"{task}, {_name(labels)}", str(found.mean(reference))]
            for arm in arms:
                if arm != base:
                    other = Setting(arm, task, method, prompts, labels)
                    cells += [str(found.mean(other)), str(found.difference(reference, other))]
            lines.append(cells)
    columns = ["task, labels", base]
    for arm in arms:
        columns += [arm, f"{base} − {arm}"] if arm != base else []
    return _table(found, columns, lines, "adapter on the frozen encoder; 0 labels: zero-shot with the prompt ensemble")


def _methods(found: Found) -> Table:
    """Adapter, probe and fine-tuning by number of labels."""
    lines = []
    for arm in FINETUNED:
        for task in TASKS:
            for labels in found.labels():
                each = {m: Setting(arm, task, m, "single", labels) for m in ("adapter", "probe", "finetune")}
                lines.append(
                    [
                        f"{arm}, {task}, {_name(labels)}",
                        *(str(found.mean(setting)) for setting in each.values()),
                        str(found.difference(each["adapter"], each["probe"])),
                        str(found.difference(each["adapter"], each["finetune"])),
                    ]
                )
    columns = ["pre-training, task, labels", "adapter", "probe", "finetune", "adapter − probe", "adapter − finetune"]
    return _table(found, columns, lines, "probe: ridge regression on the frozen features; finetune: image tower too")


def _prompts(found: Found) -> Table:
    """Zero-shot with one prompt group and with several."""
    lines = []
    for arm in ARMS:
        for task in TASKS:
            single, ensemble = (Setting(arm, task, "zero-shot", prompts, 0) for prompts in ("single", "ensemble"))
            difference = found.difference(ensemble, single)
            lines.append([f"{arm}, {task}", str(found.mean(single)), str(found.mean(ensemble)), str(difference)])
    return _table(found, ["pre-training, task", "single", "ensemble", "ensemble − single"], lines, "zero-shot")


def _table(found: Found, columns: list[str], rows: list[list[str]], what: str) -> Table:
    seeds = max(len(values) for values in found.values.values())
    sizes = ", ".join(f"{n} {task}" for task, n in found.n.items())
    caption = (
        f"SRCC on the {found.split} part ({sizes} pictures), {what}. Mean of {seeds} seeds with its 95 % t interval; "
        "differences are paired by seed."
    )
    return {"table": {"columns": columns, "rows": rows}, "caption": caption}


def _name(labels: int | None) -> str:
    return "all labels" if labels is None else f"{labels} labels"
