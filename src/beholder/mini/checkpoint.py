"""A trained beholder-mini as a checkpoint folder: the ONNX graph and the card that says what its numbers mean."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from beholder.data.manifest import Manifest
from beholder.imaging.fit import Fit
from beholder.mini.config import Recipe
from beholder.mini.export import Mini, export_onnx
from beholder.scoring.card import CARD_FILE, Card, TaskCard
from beholder.scoring.onnx import sha256_of
from beholder.task import Task

MEANING: dict[Task, str] = {
    "quality": "Technical quality: sharpness, noise, exposure, colour and compression, as people in a lab rate it.",
    "aesthetics": "How beautiful people find the picture, which is its content as much as its craft.",
}
LIMITS = (
    "A picture is judged as seen at 0.26 megapixels; faults of a larger one that vanish at that size are not seen.",
    "Learned from under two thousand rated photographs: a guide for sorting, not a verdict on one picture.",
    "Photographs only: drawings, screenshots and generated pictures were not in the training data.",
)


def write_checkpoint(model: Mini, recipe: Recipe, manifests: dict[Task, Manifest], folder: Path) -> Card:
    """Export `model` into `folder`; the card goes last, so a folder with a card is whole. Returns the card."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f"{recipe.name}.onnx"
    export_onnx(model, weights)
    splits = "+".join(recipe.data.train_splits)
    tasks = {
        task: TaskCard(
            meaning=MEANING[task],
            level_values=(0.0, 25.0, 50.0, 75.0, 100.0),
            native_range=(manifest.range.low, manifest.range.high),
            trained_on=(f"{manifest.name}:{splits}",),
        )
        for task, manifest in manifests.items()
    }
    fit = Fit()
    card = Card(
        name=recipe.name,
        engine="mini",
        description=f"Kernel machines over {' and '.join(_seen_by(recipe))}, for the CPU.",
        version=version("beholder"),
        tasks=tasks,
        preprocess=f"sRGB, EXIF rotation, alpha over white, whole picture at most {fit.area} px in area, aspect kept",
        fit_area=fit.area,
        training=_training(recipe, manifests),
        data_licence="; ".join(f"{manifest.name}: {manifest.licence}" for manifest in manifests.values()),
        weights_licence="as the licences of its training data allow",
        manifest_sha256={manifest.name: manifest.sha256 for manifest in manifests.values()},
        limits=LIMITS,
        weights_file=weights.name,
        weights_sha256=sha256_of(weights),
    )
    card.write(folder / CARD_FILE)
    return card


def _training(recipe: Recipe, manifests: dict[Task, Manifest]) -> str:
    counts = " and ".join(
        f"{sum(len(manifest.select(split)) for split in recipe.data.train_splits)} pictures of {manifest.name}"
        for manifest in manifests.values()
    )
    encoder = "" if recipe.encoder is None else f", a UniQA encoder ({recipe.encoder})"
    return (
        f"Codebooks of patches learned without labels{encoder}, and kernel heads on {counts}, with the order of "
        "synthetic damage anchored to the mean opinions of KADID-10k. "
        f"Seed {recipe.seed}; all choices by cross-validation on these pictures."
    )


def _seen_by(recipe: Recipe) -> list[str]:
    encoder = [] if recipe.encoder is None else ["a UniQA encoder"]
    return ["picture statistics", "codebooks of patches", *encoder]
