"""Run a checkpoint folder, `card.json` and one ONNX file, on the CPU."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from beholder.errors import UserError
from beholder.imaging.fit import Fit
from beholder.scoring.asked import Asked
from beholder.scoring.card import CARD_FILE, Card, read_card
from beholder.scoring.scorer import Verdict, Verdicts, View
from beholder.task import LEVELS, Task

INPUT = "rgb"
MAX_WEIGHTS_BYTES = 2**31 - 1
"""An ONNX file is one protobuf message, and those end at 2 GiB."""

# How protobuf writes the key of `TensorProto.external_data` that names the file outside the model.
_EXTERNAL_DATA_KEY = b"\n\x08location\x12"

_LOAD_ERRORS = (
    ort_errors.InvalidProtobuf,
    ort_errors.InvalidGraph,
    ort_errors.InvalidArgument,
    ort_errors.NotImplemented,
    ort_errors.Fail,
    ort_errors.RuntimeException,
)


@dataclass(frozen=True)
class OnnxScorer:
    """A `Scorer` on ONNX Runtime's CPU provider.

    The file's contract: one input `rgb`, uint8, (batch, height, width, 3), the first three sizes free; one output per
    task of the card, float32, (batch, 5), level probabilities that sum to 1. The model normalises the pixels itself.
    """

    card: Card
    fit: Fit
    device: str
    session: ort.InferenceSession

    @classmethod
    def from_folder(cls, folder: Path, *, threads: int = 1) -> OnnxScorer:
        """Load and check a checkpoint folder; `threads` are ONNX Runtime's, inside one picture.

        Raises UserError if the card or the weights are missing or damaged, if the weights are not the ones that the
        card describes, or if the model breaks the contract above.
        """
        if threads < 1:
            raise UserError(f"threads = {threads}: a model needs at least 1 thread")
        card = Card.read(folder / CARD_FILE)
        weights = folder / card.weights_file
        _check_weights(weights, card)
        session = _open_session(weights, threads)
        _check_contract(session, card, weights)
        return cls(card=card, fit=Fit(area=card.fit_area), device="cpu", session=session)

    def infer(self, views: Sequence[View], tasks: Sequence[Task]) -> list[Verdicts]:
        """Scores and level probabilities of each view, in order. Views may differ in size.

        Views run one by one: on a CPU a batch of 8 measured no faster than 8 single runs, at twice the memory,
        and so a score can't depend on what else is in the batch, not even in the last bit.
        """
        return [self._infer_one(view, tasks) for view in views]

    def _infer_one(self, view: View, tasks: Sequence[Task]) -> Verdicts:
        if view.dtype != np.uint8 or view.ndim != 3 or view.shape[2] != 3:
            raise ValueError(f"a view is uint8 of shape (height, width, 3); got {view.dtype} of shape {view.shape}")
        outputs = self.session.run(list(tasks), {INPUT: view[np.newaxis]})
        verdicts: Verdicts = {}
        for task, output in zip(tasks, outputs, strict=True):
            if output.shape != (1, len(LEVELS)) or not abs(output.sum() - 1.0) < 1e-3:  # NaN fails this too
                raise UserError(
                    f"model {self.card.name!r} answered {output.tolist()} for {task}; "
                    f"it must give {len(LEVELS)} probabilities that sum to 1. The model is broken: export it again."
                )
            values = self.card.tasks[task].level_values
            assert values is not None, "checked at loading"
            verdicts[task] = Verdict(expected_score(output[0], values), levels=tuple(output[0].tolist()))
        return verdicts


def open_scorer(folder: Path, asked: Asked, threads: int | None) -> OnnxScorer:
    """The scorer of a checkpoint folder, by default on one thread; nothing may be `asked` of it."""
    read_card(folder, asked)
    return OnnxScorer.from_folder(folder, threads=1 if threads is None else threads)


def expected_score(levels: NDArray[np.float32], values: Sequence[float]) -> float:
    """Mean of the level values under (5,) level probabilities, in float64, cut to 0 to 100.

    >>> expected_score(np.array([0, 0, 0.5, 0.5, 0], np.float32), (0, 25, 50, 75, 100))
    62.5
    """
    mean = np.dot(levels.astype(np.float64), values)
    return float(np.clip(mean, 0.0, 100.0))  # float32 probabilities can sum to a hair above 1


def sha256_of(path: Path) -> str:
    """SHA-256 of a file as 64 hex digits, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_weights(weights: Path, card: Card) -> None:
    """The file is there, is the one that the card describes, and is whole in itself."""
    if not weights.is_file():
        raise UserError(f"the card of {card.name!r} names {card.weights_file!r}, but {str(weights)!r} is not there")
    size = weights.stat().st_size
    if not 0 < size <= MAX_WEIGHTS_BYTES:
        raise UserError(f"{str(weights)!r} has {size} bytes; an ONNX file has 1 to {MAX_WEIGHTS_BYTES}")
    found = sha256_of(weights)
    if found != card.weights_sha256:
        raise UserError(
            f"{str(weights)!r} is not the file its card describes: sha256 is {found}, the card says "
            f"{card.weights_sha256} ({size} bytes read). It is truncated, damaged or replaced; get the folder again."
        )
    with weights.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(_EXTERNAL_DATA_KEY) >= 0:
            raise UserError(
                f"{str(weights)!r} keeps weights in another file (ONNX external data), which its sha256 can't vouch "
                "for. Save it as one file: onnx.save(onnx.load(old), new, save_as_external_data=False)."
            )


def _open_session(weights: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    # A memory plan is kept for every picture size ever seen, and is no faster: 96 MB after 1000 sizes, 103 with plans.
    # The arena stays: without it each run asks the system for its buffers again, 129 MB at the peak and slower.
    options.enable_mem_pattern = False
    options.log_severity_level = 3  # errors arrive as exceptions; the rest would land in the user's progress bar
    try:
        return ort.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
    except _LOAD_ERRORS as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{str(weights)!r} can't be loaded by onnxruntime {ort.__version__}: {reason} "
            "The file is truncated, is not ONNX, or needs a newer onnxruntime; export it again or upgrade."
        ) from error


def _check_contract(session: ort.InferenceSession, card: Card, weights: Path) -> None:
    def refuse(found: str, allowed: str) -> UserError:
        return UserError(f"{str(weights)!r} has {found}; a beholder model has {allowed}. Export it again.")

    inputs = session.get_inputs()
    shown = ", ".join(f"{node.name} {node.type} {node.shape}" for node in inputs)
    allowed = f"one input {INPUT} tensor(uint8) [batch, height, width, 3], the first three free"
    if [node.name for node in inputs] != [INPUT]:
        raise refuse(f"the inputs {shown or 'none'}", allowed)
    shape = inputs[0].shape
    free = len(shape) == 4 and not any(isinstance(side, int) for side in shape[:3])
    if inputs[0].type != "tensor(uint8)" or not free or shape[3] != 3:
        raise refuse(f"the input {shown}", allowed)

    if any(head.level_values is None for head in card.tasks.values()):
        raise refuse("a card without level_values", "those of each task on its card")
    outputs = session.get_outputs()
    if {node.name for node in outputs} != set(card.tasks):
        raise refuse(
            f"the outputs {', '.join(node.name for node in outputs)}", f"those of its card, {', '.join(card.tasks)}"
        )
    for node in outputs:
        if node.type != "tensor(float)" or len(node.shape) != 2 or node.shape[1] != len(LEVELS):
            raise refuse(
                f"the output {node.name} {node.type} {node.shape}", f"outputs tensor(float) [batch, {len(LEVELS)}]"
            )
