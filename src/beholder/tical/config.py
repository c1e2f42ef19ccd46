"""Every choice of the engine, by name. Defaults are the published idea as far as the paper's abstract tells.

What the abstract leaves open is our decision; VARIANTS names the settings that our measurements compare.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_STAGES = 3

Task = Literal["classification", "regression"]
PseudoSource = Literal["anchors", "head", "blend", "attribution"]


class TicalConfig(BaseModel):
    """One way to learn. An unknown key is an error that names it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Task = "classification"
    label_edges: tuple[float, ...] = (-2.5, -1.5, -0.5, 0.5, 1.5, 2.5)
    """Of regression: where the classes meet that anchors, pseudo labels and unimodal heads know. MOSI's by default."""

    space: Literal["hyperbolic", "euclidean"] = "hyperbolic"
    """Where distances to anchors are measured."""
    curvature: float = Field(default=1.0, gt=0)
    """c of a Poincaré ball of curvature -c."""
    learn_curvature: bool = False
    """Whether c is learned, from there. Something learned has to depend on it: `head="distance"` or `anchor_weight`."""
    r_max: float = Field(default=2.0, gt=0)
    """Longest tangent vector before it is lifted into the ball."""
    hidden: int = Field(default=64, ge=1)
    embed_dim: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    encoder: Literal["full", "pooled", "linear"] = "full"
    """Features to embedding: a perceptron for vectors and a transformer for sequences; the perceptron for both, of
    sequences on the mean of their steps; one linear map, on that mean."""

    standardize_by: str | None = None
    """What a grouping is called, such as speaker, within which features are standardised before all else, without
    labels: opt-in, for what is told of a sample then depends on the others of its group. Of tables it is `group`."""
    head: Literal["linear", "distance"] = "linear"
    """Of a unimodal head: linear on the embedding, or minus the distance to a learned prototype per class."""

    inner_folds: int = Field(default=3, ge=2)
    """Folds by group of the confidence that anchors are chosen by."""
    confidence: Literal["out_of_fold", "in_sample"] = "out_of_fold"
    """Of whether a training sample shows its class; `in_sample`, by a regression that saw it, is an ablation."""
    anchors_per_class: int = Field(default=64, ge=1)
    tau: float = Field(default=0.5, ge=0, lt=1)
    """Quantile of a class's own confidences that an anchor reaches."""
    anchor_refresh: Literal["epoch", "once", "never"] = "epoch"
    """Whether anchors are embedded anew after each epoch, only once, after the warm-up, or not in training: then
    pseudo labels and consistency are reported, but nothing learns from them, and the network is not told them."""
    n_near: int = Field(default=5, ge=1)
    """Nearest anchors of a class whose mean distance is the distance to the class."""

    pseudo_source: PseudoSource = "anchors"
    """Where pseudo unimodal labels come from: distances to anchors; the unimodal head; both; `attribution`."""
    prior_bias: bool = True
    """Whether distances to anchors get a fitted bias per class."""
    temperature: Literal["fit"] | Annotated[float, Field(gt=0)] = "fit"
    """Of the softmax over distances to anchors: fitted to the labels, or this number."""
    attribution_ridge: float = Field(default=0.02, gt=0)
    """Penalty on how far the heads of `attribution` go from heads of shared labels."""
    typicality: Literal["rank", "frechet", "radius_in", "radius_out", "none"] = "rank"
    """Rank of the distance to the pseudo label's anchors; to the mean of its class; from the origin, either sign;
    always 1."""
    typicality_reference: Literal["class", "anchors"] = "class"
    """The rank is among all samples that are told as their class, or among anchors, which are unusually good."""
    agreement: Literal["jsd", "overlap"] = "jsd"
    """Of two pseudo labels: 1 - Jensen-Shannon divergence in bits, or the chance that both show one class."""
    eps: float = Field(default=0.25, gt=0)
    """Weight of the mean consistency of the training part in each sample's."""

    stages: Literal["network", "curriculum", "groups", "none"] = "network"
    """Perception, interaction and integration; the same learned one after the other, a third of the epochs each;
    `groups`: by consistency, the lowest third of samples is told by the first stage, the next by the second, the
    highest by the third; or one plain `fusion`."""
    fusion: Literal["concat", "late", "gated", "tensor", "decoupled"] = "concat"
    """How modalities meet where `stages` is `none`; `decoupled` has losses of its own."""
    unimodal_targets: Literal["pseudo", "shared", "given", "none"] = "pseudo"
    """What unimodal heads learn: pseudo labels blended with the shared one; the shared one; the caller's; nothing."""
    unimodal_weight: float = Field(default=0.5, ge=0)
    pair_weight: float = Field(default=0.5, ge=0)
    anchor_weight: float = Field(default=0.0, ge=0)
    """Of a loss that draws embeddings to the anchors of their class."""
    consistency_weight: Literal["none", "down", "up"] = "none"
    """Whether samples of low consistency count less, or more, in the fused loss."""

    modality_dropout: float = Field(default=0.1, ge=0, lt=1)
    epochs: int = Field(default=15, ge=1)
    warmup_epochs: int = Field(default=4, ge=1)
    """Epochs on shared labels before pseudo labels exist."""
    batch_size: int = Field(default=256, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    patience: int | None = Field(default=None, ge=1)
    """Epochs without a better one after which training stops; None: never."""
    validation_fraction: float = Field(default=0.125, gt=0, lt=1)
    """Share of the training groups that chooses the epoch, where the caller holds out none."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    threads: int = Field(default=1, ge=1)
    """torch's, while it is trained."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the network is trained. A trained one is asked on the CPU, so its folder needs no GPU."""

    @model_validator(mode="after")
    def _edges_make_classes(self) -> Self:
        if len(self.label_edges) < 2 or list(self.label_edges) != sorted(set(self.label_edges)):
            raise ValueError("label_edges must be two numbers or more, each larger than the one before")
        if not all(map(math.isfinite, self.label_edges)):
            raise ValueError("label_edges must be finite: the outer classes have no other end anyway")
        return self

    @model_validator(mode="after")
    def _every_choice_has_an_effect(self) -> Self:
        if self.learn_curvature and self.space == "euclidean":
            raise ValueError("learn_curvature needs space 'hyperbolic'; a Euclidean one has no curvature")
        if self.learn_curvature and self.head == "linear" and not self.anchor_weight:
            raise ValueError("learn_curvature needs head 'distance' or an anchor_weight above 0: nothing else learns c")
        if self.learn_curvature and self.anchor_refresh != "epoch":
            raise ValueError("learn_curvature needs anchor_refresh 'epoch': c moves, and anchors have to move with it")
        if self.anchor_weight and self.anchor_refresh == "never":
            raise ValueError("anchor_weight needs anchor_refresh 'epoch' or 'once': it learns from anchors")
        if self.head == "distance" and self.stages == "none" and self.fusion == "decoupled":
            raise ValueError("head 'distance' is not for the fusion 'decoupled', which has linear heads of its own")
        if self.stages == "groups" and self.anchor_refresh == "never":
            raise ValueError("stages 'groups' needs anchor_refresh 'epoch' or 'once': it learns from consistency")
        if self.stages == "curriculum" and self.epochs < _STAGES:
            raise ValueError(f"stages 'curriculum' needs {_STAGES} epochs, one for each")
        if self.stages == "curriculum" and (self.unimodal_targets == "none" or not self.unimodal_weight):
            raise ValueError(
                "stages 'curriculum' needs unimodal_targets and a unimodal_weight: its first stage is them"
            )
        return self

    @property
    def reads_anchors(self) -> bool:
        """Whether anything depends on anchors; what does not need them has none."""
        return self.pseudo_source in ("anchors", "blend") or self.typicality != "none" or self.anchor_weight > 0

    def stages_learned(self, epoch: int) -> int:
        """How many of the three stages are learned in an epoch, counted from 1."""
        return _STAGES if self.stages != "curriculum" else 1 + (epoch - 1) * _STAGES // self.epochs


_PLAIN: dict[str, Any] = {"pseudo_source": "head", "typicality": "none"}

VARIANTS: dict[str, dict[str, Any]] = {
    "published": {},
    "attribution": {"pseudo_source": "attribution", "agreement": "overlap", "typicality": "none"},
    "attribution-typicality": {"pseudo_source": "attribution", "agreement": "overlap"},
    "attribution-jsd": {"pseudo_source": "attribution", "typicality": "none"},
    "euclidean": {"space": "euclidean"},
    "no-typicality": {"typicality": "none"},
    "no-bias": {"prior_bias": False},
    "no-stages": {"stages": "none"},
    "head": {"pseudo_source": "head", "typicality": "none"},
    "blend": {"pseudo_source": "blend"},
    "shared": {"unimodal_targets": "shared"},
    "concat": {"stages": "none", "unimodal_targets": "shared", **_PLAIN},
    "late": {"stages": "none", "fusion": "late", "unimodal_targets": "shared", **_PLAIN},
    "gated": {"stages": "none", "fusion": "gated", "unimodal_targets": "shared", **_PLAIN},
    "tensor": {"stages": "none", "fusion": "tensor", "unimodal_targets": "shared", **_PLAIN},
    "dmd-like": {"stages": "none", "fusion": "decoupled", "unimodal_targets": "shared", **_PLAIN},
    "true-labels": {"stages": "none", "unimodal_targets": "given", **_PLAIN},
}
"""Settings by name: the published idea, ours, what each part contributes, and baselines with the same encoders."""
