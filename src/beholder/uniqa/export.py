"""A UniQA model as a checkpoint for `beholder score`, without torch: one ONNX graph, texts folded in, and its card."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from copy import copy
from importlib.metadata import version
from pathlib import Path
from typing import cast

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from beholder.errors import UserError
from beholder.imaging.fit import Fit
from beholder.scoring.card import CARD_FILE, Card, TaskCard
from beholder.scoring.onnx import INPUT, MAX_WEIGHTS_BYTES, sha256_of
from beholder.task import Task
from beholder.uniqa.graph import PLACES, VIEWS, Scorer
from beholder.uniqa.model import Uniqa

MEANING: dict[Task, str] = {
    "quality": "Technical quality: sharpness, noise, exposure, colour and compression, as people rate it.",
    "aesthetics": "How beautiful people find the picture: composition, light, colour and subject.",
}
UNADAPTED = "not adapted to ratings: it compares pictures with words, so trust its order and not its values"

NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")

NATIVE_AREA = 2048 * 2048
"""Pixels of a picture at most, for a task that learned at the pictures' own resolution."""

WIDEST = 3
"""Ratio of sides up to which a picture keeps the shorter side that a task learned at."""

MIN_SIDE, MAX_SIDE = 16, 8192
"""Sides of a picture that the graph is made for, in pixels."""

Levels = tuple[float, float, float, float, float]


def export(
    model: Uniqa, out: Path, *, name: str, views: int = VIEWS, int8: bool = False, tasks: Sequence[Task] | None = None
) -> Card:
    """Write `model` to the folder `out` as `{name}.onnx` and `card.json`; the card goes last. Returns the card.

    `views`: squares that are looked at per picture, one of `PLACES`. `int8`: matrices are stored and multiplied in
    eight bits; smaller and faster on many CPUs, and not exactly the same scores. `tasks`: which outputs; all where
    None. Raises UserError for a wrong argument and for a model too large for one ONNX file.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"name {name!r}: allowed are small letters, digits, dots and dashes, e.g. uniqa-koniq")
    if views not in PLACES:
        raise UserError(f"views = {views}; allowed: {', '.join(map(str, PLACES))}")
    model = _only(model, tasks)
    out.mkdir(parents=True, exist_ok=True)
    weights = out / f"{name}.onnx"
    export_onnx(model, weights, views=views, int8=int8)
    card = _card(model, weights, name, views, int8)
    card.write(out / CARD_FILE)
    return card


def export_onnx(model: Uniqa, file: Path, *, views: int, int8: bool = False) -> None:
    """Write the graph of `uniqa.graph.Scorer`: `rgb` in, one output per task; under a temporary name first."""
    size = sum(p.numel() * p.element_size() for name, p in model.encoder.named_parameters() if "text" not in name)
    if size > MAX_WEIGHTS_BYTES * (4 if int8 else 1):
        raise UserError(
            f"the picture side of this model is {size / 2**30:.1f} GiB, and an ONNX file holds 2 GiB at most; try int8"
        )
    height, width = (torch.export.Dim(name, min=MIN_SIDE, max=MAX_SIDE) for name in ("height", "width"))
    example = torch.randint(0, 256, (2, 96, 128, 3), dtype=torch.uint8)
    with torch.inference_mode(False), torch.no_grad():
        program = torch.onnx.export(
            Scorer(model, views).eval(),
            (example,),
            input_names=[INPUT],
            output_names=list(model.config.tasks),
            dynamic_shapes={"rgb_BHW3": {0: torch.export.Dim("batch", min=1, max=1024), 1: height, 2: width}},
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    temporary = file.with_suffix(".tmp.onnx")
    if int8:
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            whole = Path(folder) / "whole.onnx"
            program.save(str(whole), external_data=size > MAX_WEIGHTS_BYTES)
            _quantize(whole, temporary)
    else:
        program.save(str(temporary), external_data=False)
    temporary.replace(file)


def _quantize(source: Path, target: Path) -> None:
    """Matrices of weights to eight bits, one scale per column; activations are scaled as they come."""
    graph = onnx.load(source)
    del graph.graph.value_info[:]  # shapes as torch noted them contradict those that the quantizer infers
    constant = {tensor.name for tensor in graph.graph.initializer}
    nodes = [
        node.name for node in graph.graph.node if node.op_type in ("MatMul", "Gemm") and constant & set(node.input)
    ]
    quantize_dynamic(graph, target, weight_type=QuantType.QInt8, per_channel=True, nodes_to_quantize=nodes)


def _only(model: Uniqa, tasks: Sequence[Task] | None) -> Uniqa:
    """The same model, which knows of some of its tasks only."""
    known = model.config.tasks
    if unknown := [task for task in tasks or () if task not in known]:
        raise UserError(f"this model has no task {unknown[0]!r}; it scores {', '.join(known)}")
    kept = {task: head for task, head in known.items() if not tasks or task in tasks}
    part = copy(model)
    part.config = model.config.model_copy(update={"tasks": kept})
    return part


def _fit_area(model: Uniqa) -> int:
    """Pixels that a picture may have when it comes to the graph: enough for the resolution of each adapted task."""
    shorts = [head.short for task, head in model.config.tasks.items() if task in model.adapters]
    return max([Fit().area, *(NATIVE_AREA if short is None else WIDEST * short**2 for short in shorts)])


def _card(model: Uniqa, weights: Path, name: str, views: int, int8: bool) -> Card:
    config, area = model.config, _fit_area(model)
    zero_shot = [task for task in config.tasks if task not in model.adapters]
    side = config.side
    shrunk = {task: head.short for task, head in config.tasks.items() if head.short is not None}
    short = "".join(f"; for {task} the shorter side at most {pixels} px" for task, pixels in shrunk.items())
    return Card(
        name=name,
        engine="uniqa",
        description="A CLIP that compares pictures with words for five levels (UniQA).",
        version=version("beholder"),
        tasks={
            task: TaskCard(
                meaning=MEANING[task],
                level_values=cast(Levels, model.display_levels(task)),
                native_range=head.native_range,
                trained_on=head.trained_on,
            )
            for task, head in config.tasks.items()
        },
        preprocess=(
            f"sRGB, EXIF rotation, alpha over white, at most {area} px in area, aspect kept{short}; "
            f"then {views} view{'s' if views > 1 else ''} of {side} x {side} px at fixed places"
        ),
        fit_area=area,
        training=config.training or "Not recorded.",
        data_licence=config.data_licence,
        weights_licence=config.weights_licence,
        manifest_sha256=config.manifest_sha256,
        limits=(
            f"A picture is judged by {views} of its parts, {side} px wide; what lies between them is not seen.",
            *(f"{task} is {UNADAPTED}." for task in zero_shot),
            *(["Weights are rounded to eight bits: scores differ a little from those of the model."] if int8 else []),
        ),
        weights_file=weights.name,
        weights_sha256=sha256_of(weights),
    )
