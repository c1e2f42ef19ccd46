"""Rationales of either form for either task, for the ablation of fast and slow (section 10 of our spec).

    python -m beholder.tatar.forms runs/data/oasis -o runs/reasons/forms --pictures 160

writes `NAME-fast.jsonl`, two sentences as quality has them, and `NAME-slow.jsonl`, a narrative as aesthetics has it,
from the teacher without a model. `beholder data rationales` writes the form that belongs to a set's task, and no other.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from beholder.data.held_out import HeldOut
from beholder.data.manifest import Manifest, read_manifest
from beholder.errors import UserError
from beholder.language.run import Job, run
from beholder.language.template import Template
from beholder.task import Task
from beholder.tatar.judge import Filtered
from beholder.tatar.rated import rated_pictures
from beholder.tatar.rationale import PROMPT_VERSION, SHAPE, rationale_jobs
from beholder.tatar.template import write_rationale

Form = Literal["fast", "slow"]
WRITTEN_AS: Mapping[Form, Task] = {"fast": "quality", "slow": "aesthetics"}
"""The task whose form it is."""


def write_forms(manifest: Manifest, folder: Path, *, n_pictures: int | None = None) -> dict[Form, Path]:
    """A file of rationales per form, about the same `n_pictures` of the train part, drawn by chance; None takes all.

    Rows are of the manifest's task, so training takes them as any others. Raises UserError where a file is of other
    pictures, or the train part has fewer.
    """
    tested = [manifest] if "test" in manifest.column("split") else []
    pictures = rated_pictures(manifest, ["train"], HeldOut(tested))
    if n_pictures is not None:
        if not 0 < n_pictures <= len(pictures):
            raise UserError(
                f"{n_pictures} pictures are wanted, and the train part of {manifest.name} has {len(pictures)}"
            )
        chosen = np.random.default_rng(0).choice(len(pictures), n_pictures, replace=False)
        pictures = [pictures[i] for i in sorted(chosen)]
    files: dict[Form, Path] = {}
    for form, task in WRITTEN_AS.items():
        files[form] = folder / f"{manifest.name}-{form}.jsonl"
        jobs = [_asked_as(job, task) for job in rationale_jobs(pictures, files[form], teacher="template")]
        settings = {"teacher": "template", "prompt_version": PROMPT_VERSION, "form": form, "manifest": manifest.sha256}
        run(jobs, Filtered(Template(write_rationale), None), files[form], SHAPE, settings=settings)
    return files


def _asked_as(job: Job, task: Task) -> Job:
    """The same question in the form of `task`, which the rules of that task must pass."""
    return replace(job, question=replace(job.question, known={**job.question.known, "task": task}))


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: a manifest, and the folder of the two files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--pictures", type=int, help="of the train part; default: all")
    options = parser.parse_args(arguments)
    for file in write_forms(read_manifest(options.manifest), options.out, n_pictures=options.pictures).values():
        print(file)


if __name__ == "__main__":
    main()
