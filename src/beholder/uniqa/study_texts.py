"""The texts of the study: template captions of both tasks, people's comments, and noise planted among them.

The only human comments at hand that come with pictures are one caption each, so noise has to be made: chatter that
could stand under any picture, and captions of other pictures. Purification sees them all and is told nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from beholder.data.manifest import Manifest
from beholder.errors import UserError
from beholder.language.rows import Row, read_rows, write_rows
from beholder.language.run import run
from beholder.language.template import Template
from beholder.task import Task
from beholder.uniqa.caption import SHAPE, caption_jobs, write_caption
from beholder.uniqa.config import StudyRecipe
from beholder.uniqa.purify import judge, row_of
from beholder.uniqa.similarity import Tfidf, closest

CHATTER = (
    "nice one",
    "Great shot, thanks for sharing!",
    "I like it.",
    "Wow, love this so much!",
    "Not sure what to say about this one.",
    "Good luck in the challenge.",
    "Have a look at my page too, and tell me what you think of it.",
    "First comment!",
    "Is this yours?",
    "My sister has one just like that at home.",
)
"""Comments that say nothing about the picture they stand under."""

TEXT_FILES = ("quality", "aesthetics", "comments", "purified")
"""Files of texts, `NAME.jsonl`."""


def write_texts(recipe: StudyRecipe, manifests: Mapping[Task, Manifest], out: Path) -> dict[str, Path]:
    """Write, or read back, all texts of the training parts; the file of each of `TEXT_FILES`."""
    files = {name: out / f"{name}.jsonl" for name in TEXT_FILES}
    for task, manifest in manifests.items():
        jobs = caption_jobs(manifest, files[task], captioner="template", n_captions=recipe.n_captions, seed=recipe.seed)
        settings = {"manifest": manifest.sha256, "n_captions": recipe.n_captions, "seed": recipe.seed}
        run(jobs, Template(write_caption), files[task], SHAPE, settings=settings)
    captions = [row for row in read_rows(files["aesthetics"]) if row["status"] == "ok"]
    comments = with_noise(true_comments(manifests["aesthetics"]), recipe.noise_comments, recipe.seed)
    encoder = Tfidf(
        [text for row in captions for text in row["captions"]] + [t for ts in comments.values() for t in ts]
    )

    def judged(row: Row, keep: int) -> Row:
        found = judge(
            comments[row["image_id"]], row["captions"], lambda texts, known: closest(encoder, texts, known), k=keep
        )
        return row_of(row["image_id"], row["path"], row["level"], found)

    described = [row for row in captions if row["image_id"] in comments]
    write_rows(
        [{**row, "captioner": "people", "captions": comments[row["image_id"]]} for row in described], files["comments"]
    )
    write_rows([judged(row, recipe.keep) for row in described], files["purified"])
    return files


def true_comments(manifest: Manifest) -> dict[str, str]:
    """What a person wrote about each training picture, by its path in the manifest."""
    if "text" not in manifest.table.column_names:
        raise UserError(f"{manifest.name} has no column 'text' of comments; the study purifies these")
    part = manifest.select("train")
    return {name: text for name, text in zip(part.column("path"), part.column("text"), strict=True) if text}


def with_noise(comments: Mapping[str, str], count: int, seed: int) -> dict[str, list[str]]:
    """Each true comment among `count` planted ones, in random order: chatter and captions of others, half and half."""
    rng = np.random.default_rng(seed)
    names = sorted(comments)
    mixed = {}
    for name in names:
        others = [comments[other] for other in names if other != name]
        planted = [_one(CHATTER if i % 2 == 0 else others, rng) for i in range(count)]
        texts = [comments[name], *planted]
        mixed[name] = [texts[i] for i in rng.permutation(len(texts))]
    return mixed


def _one(texts: Sequence[str], rng: np.random.Generator) -> str:
    return texts[int(rng.integers(len(texts)))]
