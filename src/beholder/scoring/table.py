"""All models that come with beholder, on one screen, and how any model is named. A new model is one new row."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from beholder.errors import UserError
from beholder.scoring.asked import SCORES_ONLY, Asked
from beholder.scoring.card import CARD_FILE
from beholder.scoring.engines import ENGINES, Checkpoint

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"


@dataclass(frozen=True)
class Row:
    """A model that is known by name."""

    name: str
    folder: Path
    """Checkpoint folder: `card.json` and the weights it names."""
    summary: str
    """One line for a list."""


MODELS = (
    Row(
        name="beholder-mini",
        folder=WEIGHTS / "beholder-mini",
        summary="Quality and aesthetics in milliseconds on a CPU; comes with the package.",
    ),
)

DEFAULT = "beholder-mini"


def resolve(model: str | Path, asked: Asked = SCORES_ONLY) -> Checkpoint:
    """The checkpoint of a model's name, of its folder, or of `ENGINE:FOLDER` for an engine other than `onnx`.

    A name wins over a folder called the same (write `./name`). Raises UserError for an unknown name, listing the known
    ones, and for a folder that is not one of the engine's.
    """
    known = {row.name: row.folder for row in MODELS}
    if str(model) in known:
        if not (known[str(model)] / CARD_FILE).is_file():
            raise UserError(
                f"model {model!r} is not in this installation: {str(known[str(model)] / CARD_FILE)!r} is missing"
            )
        return Checkpoint(known[str(model)], asked=asked)
    engine_name, folder = split_name(model)
    engine = ENGINES[engine_name]
    if (folder / engine.marker).is_file():
        return Checkpoint(folder, engine_name, asked)
    if folder.exists():
        others = [name for name, other in ENGINES.items() if (folder / other.marker).is_file()]
        raise UserError(
            f"{str(model)!r} is not a model: it has no {engine.marker}. "
            + (
                f"It is one of another engine. Try {name_with_engine(folder, others[0])}"
                if others
                else f"A model is a folder with a {CARD_FILE} and the weights that the card names, or one of: "
                f"{', '.join(known)}."
            )
        )
    if engine_name != "onnx":
        raise UserError(f"no folder {str(folder)!r}, so there is no model {str(model)!r}")
    nearest = get_close_matches(str(model), known, n=1)
    raise UserError(
        f"no model named {str(model)!r}, and no such folder. Known models: {', '.join(known)}."
        + (f" Did you mean {nearest[0]!r}?" if nearest else f" Or give a folder with a {CARD_FILE}.")
    )


def split_name(model: str | Path) -> tuple[str, Path]:
    """Engine and folder of a model that is not known by name.

    >>> split_name("tatar:runs/grpo"), split_name("runs/mine")
    (('tatar', PosixPath('runs/grpo')), ('onnx', PosixPath('runs/mine')))
    """
    engine_name, colon, folder = str(model).partition(":")
    return (engine_name, Path(folder)) if colon and engine_name in ENGINES else ("onnx", Path(model))


def folder_name(folder: Path) -> str:
    """What a model in a folder is called: after its folder, or after the run where training put it into `RUN/model`.

    >>> folder_name(Path("/runs/mine")), folder_name(Path("/runs/grpo/model"))
    ('mine', 'grpo')
    """
    whole = folder.resolve()
    return whole.parent.name if whole.name == "model" else whole.name


def name_with_engine(folder: Path, engine_name: str) -> str:
    """Inverse of `split_name`."""
    return str(folder) if engine_name == "onnx" else f"{engine_name}:{folder}"
