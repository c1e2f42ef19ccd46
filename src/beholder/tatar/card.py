"""The card of a TATAR checkpoint, made from its record: what `models show` prints and each row of scores names."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from beholder.errors import UserError
from beholder.imaging.fit import Fit
from beholder.scoring.asked import Asked
from beholder.scoring.card import Card, TaskCard
from beholder.scoring.table import folder_name
from beholder.task import Task
from beholder.tatar.answer import ANSWER, SCALE, THINK
from beholder.tatar.prompts import PROMPTS
from beholder.tatar.record import Record

WEIGHTS = "*.safetensors"
MAX_TOKENS = 512
"""Of a completion with reasons."""

_MEANING: dict[Task, str] = {
    "quality": "Technical quality: sharpness, noise, exposure, colour and compression.",
    "aesthetics": "How beautiful people find the picture: composition, light, subject, style and emotion.",
}


def read_card(folder: Path, asked: Asked) -> Card:
    """The card of a checkpoint for this way of asking; `preprocess` tells mode and prompts apart.

    Reads the weights once, for their digest. Raises `UserError` where the folder is no checkpoint of ours or has no
    weights, or where it learned with other prompts and `asked` does not allow that.
    """
    record = Record.read(folder)
    record.check_prompts(allow_mismatch=asked.allow_prompt_mismatch)
    numbers = ", ".join(f"{name} {value:g}" for name, value in record.numbers.items())
    area = picture_area(folder)
    return Card(
        name=f"tatar:{folder_name(folder)}",
        engine="tatar",
        description=f"A multimodal LLM that scores with reasons: {record.base} after {record.stage.upper()}.",
        version=record.beholder,
        tasks={task: _task_card(record, task) for task in record.tasks},
        preprocess=f"sRGB, EXIF rotation, alpha over white, whole picture at most {area} px in area, aspect kept; "
        f"prompts {PROMPTS.version} ({PROMPTS.digest[:12]}); {_mode(asked, record)}",
        fit_area=area,
        training=f"{record.stage.upper()} with prompts {record.prompt_version} ({record.prompts[:12]}), "
        f"seed {record.seed}. {numbers}".strip(),
        data_licence="as the training sets state it",
        weights_licence="as those of the base model and its training data allow",
        manifest_sha256={data.name: data.sha256 for data in record.data},
        limits=("Its reasons are generated text and may be wrong where its score is right.",),
        weights_file=WEIGHTS,
        weights_sha256=_digest(folder),
    )


def picture_area(folder: Path) -> int:
    """Pixels of a picture at most, as the folder's image processor says; that of `Fit` where its size is fixed."""
    for name in ("processor_config.json", "preprocessor_config.json"):
        if (folder / name).is_file():
            settings = json.loads((folder / name).read_bytes())
            settings = settings.get("image_processor", settings)
            area = (settings.get("size") or {}).get("longest_edge") if "merge_size" in settings else None
            if area is not None:
                return int(area)
    return Fit().area


def _mode(asked: Asked, record: Record) -> str:
    if asked.levels:
        calibrated = "" if record.level_rows else ", not calibrated: training taught none"
        return f"the five level words weighed, without reasons{calibrated}"
    if asked.explain:
        return f"reasons first, after {THINK}, greedy, at most {MAX_TOKENS} tokens, and the number as written"
    return f"the expected number after {ANSWER}, without reasons"


def _task_card(record: Record, task: Task) -> TaskCard:
    learned = [data for data in record.data if data.task == task]
    ranges = {(data.low, data.high) for data in learned}
    return TaskCard(
        meaning=_MEANING[task],
        native_range=ranges.pop() if len(ranges) == 1 else (SCALE.low, SCALE.high),
        trained_on=tuple(f"{data.name}:train" for data in learned),
    )


def _digest(folder: Path) -> str:
    """sha256 over all files of weights in the order of their names; of a single file its own."""
    files = sorted(folder.glob(WEIGHTS))
    if not files:
        raise UserError(f"{str(folder)!r} has no weights ({WEIGHTS}); get or make the checkpoint again")
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            while piece := content.read(1 << 24):
                digest.update(piece)
    return digest.hexdigest()
