"""Recipes of `beholder train uniqa`: YAML in, checked fields out. `kind` decides what runs; an unknown key is refused.

Defaults are the published settings (spec, sections 4 and 6), so a recipe says what it does otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from beholder.task import Task
from beholder.uniqa.nano import NanoConfig

Method = Literal["adapter", "probe", "finetune"]
"""What learns on top of the encoder: the adapter of the paper, ridge regression on its features, or everything."""

Prompts = tuple[str, ...]
"""Names of prompt groups, see `prompts.GROUPS`."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TextsConfig(_Strict):
    """Which pictures and texts are learned from. Paths are relative to the working directory."""

    files: tuple[Path, ...] = Field(min_length=1)
    """JSON lines of captions and of purified comments."""
    image_root: Path | None = None
    """Where relative picture paths start; the folder of each file by default."""
    held_out: tuple[Path, ...] = ()
    """Manifests whose val and test pictures must not be among the pictures; one that is ends the run."""


class OptimiserConfig(_Strict):
    """AdamW with a linear warm-up and a cosine to 0."""

    learning_rate: float = Field(default=5e-6, gt=0)
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = Field(default=1e-6, gt=0)
    weight_decay: float = Field(default=0.2, ge=0)
    """Decoupled; on matrices only: not on norms, biases, the class token and the logit scale."""
    warmup_steps: int = Field(default=200, ge=0)
    max_grad_norm: float = Field(default=0.0, ge=0)
    """Longer gradients are shortened to this; 0 leaves them."""


class _Run(_Strict):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    seed: int = Field(default=123, ge=0)
    bf16: bool = True
    """bfloat16 autocast over float32 weights while training. Scores are always computed in float32."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of each process."""
    loaders: int = Field(default=0, ge=0)
    """Processes that prepare batches; 0 prepares them in the training process."""


class PretrainRecipe(_Run):
    """Contrastive pre-training of a dual encoder."""

    kind: Literal["pretrain"]
    texts: TextsConfig
    encoder: str | NanoConfig
    """A CLIP or SigLIP of the Hugging Face hub or in a folder, or the sizes of a nano one from scratch."""
    batch: int = Field(default=1024, ge=2)
    """Pictures per step over all processes."""
    chunk: int = Field(default=0, ge=0)
    """Pictures per process whose graph is in memory at once; 0 holds all. The gradient is the same."""
    epochs: int | None = Field(default=5, ge=1)
    steps: int | None = Field(default=None, ge=1)
    """Instead of `epochs`, which must then be null."""
    native_crop: float = Field(default=0.5, ge=0, le=1)
    """Chance that a picture with quality texts is cropped at its native size; all others are seen whole."""
    optimiser: OptimiserConfig = OptimiserConfig()
    save_steps: int = Field(default=500, ge=1)
    """Steps between checkpoints, from which a stopped run goes on."""
    keep_decoded: bool = False
    """Keep decoded pictures in memory: for small sets that are read many times."""

    @model_validator(mode="after")
    def _epochs_or_steps(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give epochs or steps, and set the other to null")
        return self


class ViewConfig(_Strict):
    """Which pixels are seen while an adapter learns, and afterwards."""

    crop_short: int | None = Field(default=None, ge=32)
    """Shrink the shorter side to this before a random training crop; null keeps native pixels."""
    grid_short: int | None = Field(default=None, ge=32)
    """Shrink the shorter side to this before the grid of crops that scores a picture; null keeps native pixels."""


class LearnConfig(_Strict):
    """How a method learns from labels."""

    method: Method = "adapter"
    prompts: Prompts = Field(default=("quality",), min_length=1)
    features: Literal["online", "grid"] = "online"
    """`online` encodes a random crop per step; `grid` encodes the scoring crops once and learns on these."""
    epochs: int | None = Field(default=None, ge=1)
    """Null is the rule of section 6: 50 up to 2,000 pictures, 20 up to 20,000, then 10."""
    batch: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=2e-4, gt=0)
    encoder_learning_rate: float = Field(default=5e-6, gt=0)
    """Of the encoder, where `method` is `finetune`."""
    hold_out: float = Field(default=0.1, ge=0, lt=0.5)
    """Share of the training part, by group, that chooses the epoch; 0 keeps the last epoch."""

    @model_validator(mode="after")
    def _features_fit_the_method(self) -> Self:
        if self.method == "probe" and self.features == "online":
            raise ValueError("a probe is solved in one go on fixed features; set features: grid")
        if self.method == "finetune" and self.features == "grid":
            raise ValueError("fine-tuning changes the features; set features: online")
        return self


class _Labelled(_Run):
    model: Path
    """Checkpoint folder of a pre-trained or converted model."""
    manifest: Path
    view: ViewConfig = ViewConfig()
    test_share: float = Field(default=0.2, gt=0, lt=0.5)
    """Of a random split."""


class AdaptRecipe(_Labelled):
    """One adapter per repeat, each measured once on a test part that it never saw; median and IQR over repeats."""

    kind: Literal["adapt"]
    learn: LearnConfig = LearnConfig()
    split: Literal["official", "random"] = "official"
    """`official` uses the manifest's test part in every repeat; `random` draws one by group in each."""
    repeats: int = Field(default=10, ge=1)


class FewLabelRecipe(_Labelled):
    """The few-label protocol: adapters from a handful of labels, one test part for all draws, and zero-shot."""

    kind: Literal["few_label"]
    labels: tuple[int, ...] = (50, 100, 200)
    draws: int = Field(default=10, ge=1)
    prompts: dict[str, Prompts] = {
        "single": ("quality",),
        "ensemble": ("quality", "sharpness", "noise", "grade"),
    }
    learn: LearnConfig = LearnConfig(hold_out=0.0)
    """Its `prompts` are those of each row; nothing is held out, so that N labels are N labels."""

    @model_validator(mode="after")
    def _labels_are_labels(self) -> Self:
        if not self.labels or min(self.labels) < 2:
            raise ValueError(f"labels = {list(self.labels)}; each needs at least 2")
        if self.learn.hold_out:
            raise ValueError("learn.hold_out must be 0: every one of the N labels is learned from")
        return self


class StudyData(_Strict):
    """One task of the study."""

    manifest: Path
    view: ViewConfig = ViewConfig()
    single: Prompts = ("quality",)
    ensemble: Prompts = ("quality", "sharpness", "noise", "grade")
    adapter: dict[Literal["few", "all"], LearnConfig]
    """How the adapter learns from few and from all labels; the probe has no settings of its own."""
    finetune: dict[Literal["few", "all"], LearnConfig]

    @model_validator(mode="after")
    def _methods(self) -> Self:
        for method, configs in (("adapter", self.adapter), ("finetune", self.finetune)):
            if set(configs) != {"few", "all"}:
                raise ValueError(f"{method} needs settings for few and for all; it has {', '.join(configs) or 'none'}")
            if wrong := [config.method for config in configs.values() if config.method != method]:
                raise ValueError(f"{method} has method {wrong[0]}; it must be {method}")
            if configs["few"].hold_out:
                raise ValueError(f"{method}.few.hold_out must be 0: every one of the N labels is learned from")
        return self


class StudyRecipe(_Run):
    """What pre-training, purification, the adapter and the prompts give, from scratch at small scale, over seeds."""

    kind: Literal["study"]
    data: dict[Task, StudyData]
    n_captions: int = Field(default=3, ge=1)
    """Template captions per picture and task."""
    noise_comments: int = Field(default=4, ge=1)
    """Comments that say nothing about the picture, planted beside each true one; purification has to find them."""
    keep: int = Field(default=2, ge=1)
    """Comments per picture that purification keeps."""
    encoder: NanoConfig
    optimiser: OptimiserConfig
    batch: int = Field(default=64, ge=2)
    steps: int = Field(ge=1)
    """Of every pre-training, whatever its data."""
    native_crop: float = Field(default=0.5, ge=0, le=1)
    labels: tuple[int, ...] = (50, 100, 200)
    """Label counts beside all of them."""
    seeds: tuple[int, ...] = Field(min_length=2)
    processes: int = Field(default=2, ge=1)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if missing := {"quality", "aesthetics"} - set(self.data):
            raise ValueError(f"data says nothing about {' and '.join(sorted(missing))}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds = {list(self.seeds)}; each counts once")
        return self


Recipe = Annotated[PretrainRecipe | AdaptRecipe | FewLabelRecipe | StudyRecipe, Field(discriminator="kind")]

RECIPE: TypeAdapter[PretrainRecipe | AdaptRecipe | FewLabelRecipe | StudyRecipe] = TypeAdapter(Recipe)
