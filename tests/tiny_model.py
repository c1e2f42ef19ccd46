"""A checkpoint of a few kilobytes with random weights: the whole contract of a model, in milliseconds, offline.

Any test may `from tiny_model import write_tiny_checkpoint`; `tests` is on pytest's path.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from beholder.scoring.card import Card, Measured, TaskCard
from beholder.scoring.onnx import sha256_of
from beholder.task import TASKS, Task

LEVEL_VALUES = (0.0, 25.0, 50.0, 75.0, 100.0)


def tiny_model(tasks: Sequence[str] = TASKS, seed: int = 0, batch: str | int = "batch") -> ModelProto:
    """3 x 3 convolution, ReLU, mean over the picture, and per task a linear layer with softmax."""
    rng = np.random.default_rng(seed)
    channels = 6

    def tensor(name: str, values: np.ndarray) -> TensorProto:
        return numpy_helper.from_array(values.astype(np.float32), name)

    weights = [
        tensor("white", np.array(255.0)),
        tensor("kernel", rng.normal(size=(channels, 3, 3, 3))),
    ]
    nodes = [
        helper.make_node("Cast", ["rgb"], ["rgb_float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["rgb_float", "white"], ["rgb_unit"]),
        helper.make_node("Transpose", ["rgb_unit"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernel"], ["edges"], strides=[2, 2]),
        helper.make_node("Relu", ["edges"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
    ]
    for task in tasks:
        weights.append(tensor(f"{task}_linear", rng.normal(size=(channels, 5))))
        nodes.append(helper.make_node("MatMul", ["features", f"{task}_linear"], [f"{task}_logits"]))
        nodes.append(helper.make_node("Softmax", [f"{task}_logits"], [task], axis=-1))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("rgb", TensorProto.UINT8, [batch, "height", "width", 3])],
        [helper.make_tensor_value_info(task, TensorProto.FLOAT, [batch, 5]) for task in tasks],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write_tiny_checkpoint(
    folder: Path, *, tasks: Sequence[Task] = TASKS, seed: int = 0, model: ModelProto | None = None, **card: object
) -> Path:
    """Write `card.json` and `tiny.onnx` into `folder`; `card` overrides fields of the card. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "tiny.onnx"
    weights.write_bytes((model or tiny_model(tasks, seed)).SerializeToString())
    fields: dict[str, object] = {
        "name": "tiny",
        "engine": "test",
        "description": "Random weights, for tests.",
        "version": "1",
        "tasks": {
            task: TaskCard(
                meaning=f"Random {task}.", level_values=LEVEL_VALUES, native_range=(1, 5), trained_on=("nothing:train",)
            )
            for task in tasks
        },
        "preprocess": "sRGB, at most 128 x 128 pixels of area",
        "fit_area": 128 * 128,
        "training": "None.",
        "data_licence": "CC0-1.0",
        "weights_licence": "Apache-2.0",
        "manifest_sha256": {"nothing": "0" * 64},
        "measured": tuple(
            Measured(data="nothing:test", task=task, metric="srcc", value=0.5, low=0.4, high=0.6, n=100)
            for task in tasks
        ),
        "limits": ("Knows nothing.",),
        "weights_file": weights.name,
        "weights_sha256": sha256_of(weights),
    }
    Card.model_validate(fields | card).write(folder / "card.json")
    return folder
