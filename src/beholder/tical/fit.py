"""Training: Hugging Face's Trainer, and one callback that looks at the anchors anew after each epoch."""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from beholder.errors import UserError
from beholder.tical.anchors import AnchorSpace, Rows, choose_anchors, in_sample, out_of_fold, place_anchors
from beholder.tical.attribution import Attribution, fit_attribution
from beholder.tical.config import TicalConfig
from beholder.tical.decoupled import parted_losses
from beholder.tical.fitted import Epoch, Fit, Material
from beholder.tical.geometry import lift
from beholder.tical.inputs import kind_of, missing, pooled
from beholder.tical.network import Network
from beholder.tical.state import FIRST_PRIOR, Array, Assessment, Reference, assess, conditions, embed, forward, tensors


@dataclass
class _Rows(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Training rows. The tables of the last four change from epoch to epoch."""

    x: list[Tensor]
    present: Tensor
    y: Tensor
    target: Tensor
    targets: Tensor
    """(n, M, K) of unimodal heads; NaN where nothing is to be learned."""
    gates: Tensor
    consistency: Tensor
    typicality: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def __getitems__(self, rows: list[int]) -> dict[str, Any]:
        return {
            "x": [one[rows] for one in self.x],
            "rows": torch.tensor(rows),
            **{
                name: getattr(self, name)[rows]
                for name in ("present", "y", "target", "targets", "gates", "consistency", "typicality")
            },
        }


class _Learner(nn.Module):
    """The network and its loss, as Trainer wants them."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.parts: dict[str, list[float]] = {}
        self.stages = 3
        self.anchors: list[AnchorSpace] = []
        """Per modality, as they lie; none before the first look at them."""

    def forward(
        self,
        x: list[Tensor],
        rows: Tensor,
        present: Tensor,
        y: Tensor,
        target: Tensor,
        targets: Tensor,
        gates: Tensor,
        consistency: Tensor,
        typicality: Tensor,
    ) -> dict[str, Tensor]:
        config = self.network.config
        kept = _drop(present, config.modality_dropout)
        out = self.network(x, kept, gates * _both(kept), consistency, typicality)
        weight = {"none": torch.ones_like(consistency), "down": 0.5 + 0.5 * consistency, "up": 1 - 0.5 * consistency}
        w = weight[config.consistency_weight]
        parts = {}
        if self.stages >= 3:
            parts["fused"] = (w / w.mean() * _fused_loss(out.fused, target, config)).mean()
        known = kept.bool() & ~targets.isnan().any(dim=2)
        spaces = list(out.parted.logits.values()) if out.parted else [out.unimodal]
        for m, told in enumerate(zip(*spaces, strict=True)):
            if config.unimodal_weight and config.unimodal_targets != "none" and known[:, m].any():
                mine = known[:, m]
                losses = [_cross_entropy(logits[mine], targets[mine, m]).sum() / len(y) for logits in told]
                parts[f"unimodal_{m}"] = config.unimodal_weight * torch.stack(losses).mean()
        for p, logits in enumerate(out.pairs):
            if config.pair_weight and self.stages >= 2:
                parts[f"pair_{p}"] = config.pair_weight * _cross_entropy(logits, y).mean()
        for m, space in enumerate(self.anchors if config.anchor_weight else ()):
            c = self.network.curvature
            pulled = space.pull(lift(out.h[m], config, c), y, rows.cpu().numpy(), config, c)
            parts[f"anchor_{m}"] = config.anchor_weight * (pulled * kept[:, m]).mean()
        if out.parted:
            parts |= parted_losses(out.parted, y, kept)
        for name, part in parts.items():
            self.parts.setdefault(name, []).append(part.item())
        # A batch of a curriculum may have nothing that is known of single modalities.
        return {"loss": torch.stack(list(parts.values())).sum() if parts else 0 * out.fused.sum()}


def train(
    material: Material,
    groups: Mapping[str, NDArray[np.generic]],
    config: TicalConfig,
    validation: Material | None = None,
) -> Fit:
    """Fit everything, from nothing but standardised data, config and its seed. Sets the seeds of torch and numpy.

    `groups` (n,) per modality stay on one side where confidence is told. `validation` chooses the epoch; where there is
    none, a part of `material` is held out for it, whole groups of the first modality. The network that is left is on
    the CPU. Raises UserError where `device` is not there.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("setting device = 'cuda': torch finds no GPU that it can use here; 'cpu' always works")
    with _threads(config.threads):
        return _train(material, groups, config, validation)


@contextmanager
def _threads(n: int) -> Iterator[None]:
    """torch's threads, which are those of the whole process, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train(
    material: Material, groups: Mapping[str, NDArray[np.generic]], config: TicalConfig, validation: Material | None
) -> Fit:
    torch.manual_seed(config.seed)
    learn = np.arange(len(material.y))
    if validation is None:
        learn, validate = _split(next(iter(groups.values())), config)
        own = {m: group[learn] for m, group in groups.items()}
        state = _Training(material.take(learn), own, material.take(validate), config)
    else:
        state = _Training(material, groups, validation, config)
    # Trainer wants a folder even where it is told to save nothing.
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=config.epochs,
            per_device_train_batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            lr_scheduler_type="constant",
            seed=config.seed,
            use_cpu=config.device == "cpu",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
        )
        trainer = Trainer(
            model=state.learner, args=arguments, train_dataset=state.rows, data_collator=_as_is, callbacks=[state]
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    fit = state.best()
    anchors = {m: replace(space, rows=learn[space.rows]) for m, space in fit.reference.anchors.items()}
    return replace(fit, reference=replace(fit.reference, anchors=anchors))


class _Training(TrainerCallback):  # type: ignore[misc]
    """One training: refreshes what consistency is read from, and remembers the epoch that validation likes best."""

    def __init__(
        self, learn: Material, groups: Mapping[str, NDArray[np.generic]], validate: Material, config: TicalConfig
    ) -> None:
        self.config, self.learn, self.validate = config, learn, validate
        n, k = learn.y.shape
        self.labels: Rows = learn.y.argmax(axis=1)
        self.pooled = pooled(learn.x)
        known = self.pooled if config.reads_anchors else {}
        if config.confidence == "in_sample":
            self.confidence = {m: in_sample(x, self.labels, k) for m, x in known.items()}
        else:
            self.confidence = {
                m: out_of_fold(x, self.labels, k, groups[m], config.inner_folds) for m, x in known.items()
            }
        self.chosen = {m: choose_anchors(p, self.labels, config) for m, p in self.confidence.items()}
        self.attribution: Attribution | None = None
        if config.pseudo_source == "attribution":
            self.attribution = fit_attribution(self.pooled, learn.y, ridge=config.attribution_ridge)
        self.learner = _Learner(Network(config, {m: kind_of(x) for m, x in learn.x.items()}, k))
        given, present = tensors(learn.x)
        pairs = math.comb(len(given), 2)
        shared = torch.from_numpy(learn.y).float()
        self.learner.stages = config.stages_learned(1)
        self.rows = _Rows(
            given,
            present,
            shared,
            learn.target,
            self._first_targets(shared),
            torch.full((n, pairs), FIRST_PRIOR) * _both(present),
            torch.full((n,), FIRST_PRIOR),
            torch.ones_like(present),
        )
        self.prior = FIRST_PRIOR
        self.reference: Reference | None = None
        self._best: tuple[float, int, dict[str, Tensor], Reference] | None = None
        self.history: list[Epoch] = []
        self.means: dict[str, float] = {}

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        epoch = round(state.epoch)
        self.means = {name: float(np.mean(values)) for name, values in self.learner.parts.items()}
        self.learner.parts.clear()
        stages, self.learner.stages = self.learner.stages, self.config.stages_learned(epoch + 1)
        if epoch < min(self.config.warmup_epochs, self.config.epochs):
            return
        if self.reference is None or self.config.anchor_refresh != "once":
            trained = self._refresh()
        else:
            trained = self._assess_learned(self.reference)
        assert self.reference is not None
        found = assess(self.learner.network, self.reference, self.validate.x)
        means = (_mean(one.consistency.value) for one in (trained, found))
        if stages < self.config.stages_learned(self.config.epochs):  # what all together tell is not learned yet
            self.history.append(Epoch(epoch, None, *means))
            self.learner.train()
            return
        logits = forward(self.learner.network, self.validate.x, found, self.reference.prior).fused
        score = float(_fused_loss(logits, self.validate.target, self.config).mean())
        self.history.append(Epoch(epoch, score, *means))
        if self._best is None or score < self._best[0]:
            weights = copy.deepcopy(self.learner.network.state_dict())
            self._best = (score, epoch, weights, self.reference)
        if self.config.patience is not None and epoch - self._best[1] >= self.config.patience:
            control.should_training_stop = True
        self.learner.train()

    def best(self) -> Fit:
        """The chosen epoch."""
        assert self._best is not None
        _, epoch, weights, reference = self._best
        self.learner.network.load_state_dict(weights)
        fallback = {m: which for m, (_, _, which) in self.chosen.items()}
        network = self.learner.network.cpu().eval()
        return Fit(network, reference, fallback, epoch, self.means, tuple(self.history))

    def _assess_learned(self, reference: Reference) -> Assessment:
        """The samples learned from, none of them its own anchor."""
        return assess(self.learner.network, reference, self.learn.x, np.arange(len(self.learn.y)))

    def _refresh(self) -> Assessment:
        """Anchors where they lie now, and what they say of the samples learned from."""
        network, learn = self.learner.network, self.learn
        points, _ = embed(network, learn.x)
        anchors = {
            m: place_anchors(
                points[m],
                ~missing(learn.x[m]),
                rows,
                classes,
                self.labels,
                self.confidence[m],
                network.measured,
            )
            for m, (rows, classes, _) in self.chosen.items()
        }
        found = self._assess_learned(Reference(anchors, self.attribution, self.prior))
        if not np.isnan(found.consistency.value).all():
            self.prior = float(np.nanmean(found.consistency.value))
        self.reference = Reference(anchors, self.attribution, self.prior)
        if self.config.anchor_refresh == "never":
            return found
        self.learner.anchors = list(anchors.values())
        told = conditions(found, self.prior, self.config)
        self.rows.gates, self.rows.consistency, self.rows.typicality = told
        if self.config.stages == "groups" and not np.isnan(found.consistency.value).all():
            thirds = np.nanquantile(found.consistency.value, [1 / 3, 2 / 3])
            network.cuts.copy_(torch.from_numpy(thirds))
        if self.config.unimodal_targets == "pseudo":
            self.rows.targets = self._pseudo_targets(found)
        return found

    def _first_targets(self, shared: Tensor) -> Tensor:
        if self.config.unimodal_targets == "given":
            assert self.learn.unimodal_y is not None
            stacked = np.stack([self.learn.unimodal_y[m] for m in self.learn.x], axis=1)
            return torch.from_numpy(stacked).float()
        return shared[:, None].expand(-1, len(self.learn.x), -1)

    def _pseudo_targets(self, found: Assessment) -> Tensor:
        """(1 - C) q + C y; with attribution the posterior of what the modality shows, given the label."""
        if self.attribution is not None:
            posterior = self.attribution.posterior(self.pooled, self.learn.y)
            return torch.from_numpy(np.stack([posterior[m] for m in self.learn.x], axis=1)).float()
        c = np.nan_to_num(found.consistency.value, nan=self.prior)[:, None]
        blended = [(1 - c) * q + c * self.learn.y for q in found.pseudo.values()]
        return torch.from_numpy(np.stack(blended, axis=1)).float()


def _split(groups: NDArray[np.generic], config: TicalConfig) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from and rows that choose the epoch, whole groups each."""
    names = np.unique(groups)
    shuffled = np.random.default_rng(config.seed).permutation(names)
    held = shuffled[: max(1, round(config.validation_fraction * len(names)))]
    inside = np.isin(groups, held)
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def _mean(consistency: Array) -> float | None:
    return None if np.isnan(consistency).all() else float(np.nanmean(consistency))


def _drop(present: Tensor, chance: float) -> Tensor:
    """Some modalities taken away at random, never the last one of a sample."""
    kept = present * (torch.rand_like(present) >= chance)
    return torch.where(kept.any(dim=1, keepdim=True), kept, present)


def _both(present: Tensor) -> Tensor:
    """(B, P): whether both of a pair are present."""
    m = present.shape[1]
    both = [present[:, i] * present[:, j] for i in range(m) for j in range(i + 1, m)]
    return torch.stack(both, dim=1) if both else present.new_zeros(len(present), 0)


def _fused_loss(fused: Tensor, target: Tensor, config: TicalConfig) -> Tensor:
    """(B,): cross-entropy, or of a number the distance from it (L1)."""
    if config.task == "regression":
        return (fused - target).abs()[:, 0]
    return _cross_entropy(fused, target)


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return -(target * torch.log_softmax(logits, dim=1)).sum(dim=1)


def _as_is(batch: Any) -> dict[str, Any]:
    """`_Rows` gives a batch, not a list of rows, as one batch already."""
    out: dict[str, Any] = batch
    return out
