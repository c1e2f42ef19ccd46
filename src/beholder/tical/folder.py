"""A trained model as a folder: `config.json`, `model.safetensors`, `card.json`. No pickle.

Everything that a prediction depends on is an array in one safetensors file: the network, scaler, anchors, attribution.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from beholder import __version__
from beholder.errors import UserError
from beholder.tical.anchors import AnchorSpace
from beholder.tical.attribution import Attribution
from beholder.tical.classifier import TicalClassifier
from beholder.tical.config import TicalConfig
from beholder.tical.fitted import Epoch, Fit
from beholder.tical.inputs import Kind, Scaler
from beholder.tical.network import Network
from beholder.tical.regressor import TicalRegressor
from beholder.tical.state import Reference

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "card.json"

Model = TicalClassifier | TicalRegressor

LIMITS = (
    "Emotion as observers name it, not as it is felt. Acted or scripted data unless the data say otherwise. "
    "Not for decisions about people."
)


def save(model: Model, folder: Path, *, card: dict[str, Any] | None = None) -> None:
    """Write a fitted model; `card` adds what it was trained on and how accurate it is. Raises UserError where
    `folder` holds something."""
    check_new(folder)
    config = {
        "settings": model.config.model_dump(),
        "modalities": {m: asdict(kind) for m, kind in model.modalities_.items()},
        "classes": [name.item() for name in model.classes_],
        "prior": model.fit_.reference.prior,
        "epoch": model.fit_.epoch,
        "history": [asdict(one) for one in model.fit_.history],
        "fallback": model.fit_.fallback,
        "anchor_ids": {m: ids.tolist() for m, ids in model.anchor_ids_.items()},
        "temperature": {m: space.temperature for m, space in model.fit_.reference.anchors.items()},
    }
    settings = _as_json(config)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f".{folder.name}.tmp-{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        save_file(_tensors(model), unfinished / WEIGHTS)
        digests = {
            "weights_sha256": sha256((unfinished / WEIGHTS).read_bytes()).hexdigest(),
            "config_sha256": sha256(settings).hexdigest(),
        }
        facts = {"engine": "tical", "beholder": __version__, **digests, "limits": LIMITS, **(card or {})}
        (unfinished / CONFIG).write_bytes(settings)
        (unfinished / CARD).write_bytes(_as_json(facts))
        unfinished.replace(folder)  # an empty folder gives way
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _as_json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def check_new(folder: Path) -> None:
    """Raises UserError where `folder` holds something."""
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty; name a new folder")


def load(folder: str | Path) -> Model:
    """A model that `save` wrote. Raises UserError for a folder that is incomplete, damaged or changed."""
    folder = Path(folder)
    if missing := [name for name in (CONFIG, WEIGHTS, CARD) if not (folder / name).is_file()]:
        raise UserError(f"{folder} has no {missing[0]}; a model of beholder emotion has {CONFIG}, {WEIGHTS} and {CARD}")
    try:
        written = (folder / CONFIG).read_bytes()
        config = json.loads(written)
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        settings = TicalConfig(**config["settings"])
        if sha256((folder / WEIGHTS).read_bytes()).hexdigest() != card["weights_sha256"]:
            raise UserError(f"{folder / WEIGHTS} is not the file that {CARD} describes; copy the folder again")
        if card.get("config_sha256", sha256(written).hexdigest()) != sha256(written).hexdigest():
            # A folder of an earlier version has no such entry.
            raise UserError(f"{folder / CONFIG} is not the file that {CARD} describes; copy the folder again")
        stored = load_file(folder / WEIGHTS)
        return _rebuilt(settings, config, stored)
    except (ValueError, LookupError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{folder} is damaged: {type(error).__name__} {error}; copy the folder again") from error


def _tensors(model: Model) -> dict[str, Tensor]:
    fit = model.fit_
    out = {f"network.{name}": value for name, value in fit.network.state_dict().items()}
    arrays: dict[str, NDArray[Any]] = {}
    for m in model.modalities_:
        arrays |= {f"mean.{m}": model.scaler_.mean[m], f"sd.{m}": model.scaler_.sd[m]}
    for m, space in fit.reference.anchors.items():
        arrays |= {f"anchors.{m}.rows": space.rows, f"anchors.{m}.classes": space.classes}
        arrays[f"anchors.{m}.bias"] = space.bias
        arrays |= {f"anchors.{m}.reference.{k}": scores for k, scores in enumerate(space.reference)}
        out[f"anchors.{m}.points"] = space.points
        if space.means is not None:
            out[f"anchors.{m}.means"] = space.means
    if (attribution := fit.reference.attribution) is not None:
        for m in model.modalities_:
            arrays |= {f"attribution.{m}.weight": attribution.weight[m], f"attribution.{m}.bias": attribution.bias[m]}
        for i, table in enumerate(attribution.follows_first.values()):
            arrays[f"attribution.pair.{i}"] = table
    out |= {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    return {name: tensor.contiguous() for name, tensor in out.items()}


def _rebuilt(settings: TicalConfig, config: dict[str, Any], stored: dict[str, Tensor]) -> Model:
    modalities = {m: Kind(**kind) for m, kind in config["modalities"].items()}
    classes = config["classes"]
    array = {name: tensor.numpy() for name, tensor in stored.items()}
    network = Network(settings, modalities, len(classes))
    prefix = "network."
    network.load_state_dict({n.removeprefix(prefix): t for n, t in stored.items() if n.startswith(prefix)})
    anchors = {
        m: AnchorSpace(
            stored[f"anchors.{m}.points"],
            array[f"anchors.{m}.rows"],
            array[f"anchors.{m}.classes"],
            array[f"anchors.{m}.bias"],
            config["temperature"][m],
            tuple(array[f"anchors.{m}.reference.{k}"] for k in range(len(classes))),
            stored.get(f"anchors.{m}.means"),
        )
        for m in config["temperature"]
    }
    attribution = None
    if settings.pseudo_source == "attribution":
        names = list(modalities)
        pairs = [(m, n) for i, m in enumerate(names) for n in names[i + 1 :]]
        attribution = Attribution(
            {m: array[f"attribution.{m}.weight"] for m in names},
            {m: array[f"attribution.{m}.bias"] for m in names},
            {pair: array[f"attribution.pair.{i}"] for i, pair in enumerate(pairs)},
        )
    kind = TicalRegressor if settings.task == "regression" else TicalClassifier
    model: Model = kind(settings.model_dump(exclude={"seed"}), seed=settings.seed)
    model.scaler_ = Scaler({m: array[f"mean.{m}"] for m in modalities}, {m: array[f"sd.{m}"] for m in modalities})
    # A folder of an earlier version names no anchors, and has no history.
    model.anchor_ids_ = {m: np.array(ids) for m, ids in config.get("anchor_ids", {}).items()}
    model.classes_, model.modalities_ = np.array(classes), modalities
    reference = Reference(anchors, attribution, config["prior"])
    history = tuple(Epoch(**one) for one in config.get("history", []))
    model.fit_ = Fit(network.eval(), reference, config["fallback"], config["epoch"], {}, history)
    return model
