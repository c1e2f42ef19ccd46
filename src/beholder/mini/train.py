"""Train beholder-mini: learn codebooks without labels, describe every picture, fit one head per task.

What takes long, the description of the pictures, is kept in the run's folder and read back if nothing it depends on has
changed; so a stopped run goes on, and a recipe with other heads is fitted in a minute.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from inspect import getsource
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from rich.progress import track

from beholder.data import distortions
from beholder.data.distortions import read_priors
from beholder.data.manifest import Manifest
from beholder.mini import codebook, damage, encoder, features, statistics
from beholder.mini.codebook import Codebook, learn_codebook
from beholder.mini.config import Block, CodebookConfig, Recipe
from beholder.mini.damage import DamagedPair, draw_pairs, render
from beholder.mini.data import Pixels, Rated, load_natural, load_rated
from beholder.mini.encoder import Encoder
from beholder.mini.export import Mini
from beholder.mini.features import Features, Rows, as_planes, features_of
from beholder.mini.heads import Pairs, fit_head
from beholder.mini.lessons import cross_validate
from beholder.task import TASKS, Task
from beholder.uniqa.model import Uniqa


@dataclass(frozen=True)
class Pictures:
    """Everything a run looks at, decoded."""

    rated: dict[Task, Rated]
    natural: tuple[Pixels, ...]
    """Undamaged pictures without scores."""


def load_pictures(recipe: Recipe, manifests: dict[Task, Manifest]) -> Pictures:
    """Decode the training splits of both manifests and the natural folders."""
    rated = {task: load_rated(manifests[task], recipe.data.train_splits) for task in TASKS}
    return Pictures(rated, load_natural(recipe.data.natural))


def learn_books(recipe: Recipe, pictures: Pictures) -> dict[Block, list[Codebook]]:
    """The codebooks of a recipe, from all training pictures; no score is looked at."""
    seen = [rgb for rated in pictures.rated.values() for rgb in rated.pixels]
    blocks: dict[Block, Sequence[CodebookConfig]] = {"texture": recipe.texture, "colour": recipe.colour}
    return {
        block: [
            learn_codebook(map(as_planes, seen), config, recipe.seed) for config in track(configs, f"{block} codebooks")
        ]
        for block, configs in blocks.items()
    }


def train_mini(recipe: Recipe, manifests: dict[Task, Manifest], out: Path) -> Mini:
    """The whole run, from decoded pictures to the assembled model.

    Leaves `cross-validation-<task>.parquet` in `out`: `path` and `<task>` (0-100), each score from a head that saw
    neither the picture nor its group. Only the choice of heads is judged so: codebooks have seen all these pictures,
    without scores. A UniQA encoder may have read texts of their levels: then these scores flatter, and only pictures
    that its texts left out can judge the model.
    """
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    pictures = load_pictures(recipe, manifests)
    tower = None if recipe.encoder is None else Encoder(Uniqa.load(recipe.encoder))
    measure = Features(learn_books(recipe, pictures), tower).eval()
    key = hashlib.sha256(b"".join(t.numpy().tobytes() for t in measure.state_dict().values())).hexdigest()

    def described(name: str, of: Sequence[str], shown: Iterable[Pixels], count: int) -> Rows:
        seen = track(shown, f"{name} pictures", count)
        return _kept(out / f"features-{name}.npy", [key, *of], lambda: features_of(seen, measure))

    drawn, groups, sources = _drawn_pairs(recipe, pictures)
    shown = repr([replace(pair, margin=0.0) for pair in drawn])  # other margins need no other pictures
    worn = described("damaged", [shown], render(drawn, sources), 2 * len(drawn))
    pairs = Pairs(worn.reshape(len(drawn), 2, -1), np.array([pair.margin for pair in drawn], np.float32), groups)
    heads = {}
    for task, rated in pictures.rated.items():
        rows = described(task, rated.paths, rated.pixels, len(rated))
        config, taught = recipe.heads[task], pairs if task == "quality" else None
        unseen = cross_validate(rows, rated.unit, rated.groups, measure.places, taught, config)
        table = pa.table({"path": rated.paths, task: 100.0 * unseen})
        pq.write_table(table, out / f"cross-validation-{task}.parquet")
        heads[task] = fit_head(rows, rated.unit, measure.places, taught, config)
    return Mini(measure, heads).eval()


def _drawn_pairs(
    recipe: Recipe, pictures: Pictures
) -> tuple[list[DamagedPair], tuple[str | None, ...], Sequence[Pixels]]:
    """The damage to learn from, the group of each pair's picture, and the pictures: rated ones, then natural ones."""
    rated = pictures.rated["quality"]
    sources = rated.pixels + pictures.natural
    pairs = draw_pairs(len(sources), read_priors(recipe.data.priors), recipe.pairs, recipe.seed)
    groups = (*rated.groups, *(None for _ in pictures.natural))
    return pairs, tuple(groups[pair.picture] for pair in pairs), sources


def _kept(file: Path, key: Sequence[str], make: Callable[[], Rows]) -> Rows:
    """The array in `file` if it was made for `key` by today's code, else a new one, which is kept."""
    stamp = file.with_suffix(".sha256")
    code = "".join(getsource(module) for module in (statistics, codebook, encoder, features, damage, distortions))
    digest = hashlib.sha256("\n".join([*key, code]).encode()).hexdigest()
    if file.is_file() and stamp.is_file() and stamp.read_text() == digest:
        return np.asarray(np.load(file, allow_pickle=False))
    made = make()
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, made, allow_pickle=False)
    stamp.write_text(digest)
    return made
