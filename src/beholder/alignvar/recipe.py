"""The recipes of the three trainings: YAML in, checked fields out. An unknown key is an error that names it.

Defaults are those of sections 8 and 12 of our spec for `nano` and `small`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from beholder.alignvar.config import FACTOR, AlignVarConfig, Decoding, LossConfig, ScaConfig
from beholder.alignvar.config import SIZES as MODELS
from beholder.alignvar.degrade import Preset

Size = Literal["tiny", "nano", "small", "d24"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PhotosConfig(_Strict):
    """Which photos are learned from. Paths are relative to the folder that the command runs in."""

    folders: tuple[Path, ...] = Field(min_length=1)
    """Folders of photos, searched to any depth."""
    held_out: Path
    """Text file of names, one a line, of photos in these folders that only choose checkpoints."""


class CropsConfig(_Strict):
    """How crops are drawn from photos. All are mirrored at random."""

    halved: float = Field(default=0.5, ge=0, le=1)
    """Share of crops from a copy at half the size, averaged by area: it has no trace of the photo's own JPEG."""
    rescale: tuple[float, float] = (0.6, 1.0)
    """Range of a further factor on the size, drawn per crop."""
    turned: bool = True
    """Turned by quarters at random, too."""

    @model_validator(mode="after")
    def _shrinks(self) -> Self:
        if not 0 < self.rescale[0] <= self.rescale[1] <= 1:
            raise ValueError(f"rescale = {list(self.rescale)}; it is a range within (0, 1]")
        return self


class OptimiserConfig(_Strict):
    """AdamW with a warm-up in a straight line and a cosine to zero."""

    learning_rate: float = Field(gt=0)
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = Field(default=0.05, ge=0)
    """Of matrices and convolutions; norms, biases and embeddings of one dimension have none."""
    max_grad_norm: float = Field(default=2.0, gt=0)
    warmup_steps: int = Field(default=50, ge=0)


class _Run(_Strict):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    size: Size
    photos: PhotosConfig
    crops: CropsConfig = CropsConfig()
    batch: int = Field(ge=1)
    """Crops per step, over all processes."""
    steps: int = Field(ge=1)
    """Steps of the whole run. With `--max-minutes` the schedule ends with the time, if that comes first."""
    optimiser: OptimiserConfig
    ema: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the averaged weights, which are what is measured and saved; 0: the last weights themselves."""
    seed: int = Field(default=0, ge=0)
    eval_steps: int = Field(default=200, ge=1)
    """Steps from one look at the held-out crops, and checkpoint, to the next."""
    degradation: dict[Preset, float] = {"bicubic": 0.5, "realesrgan-mild": 0.5}
    """Preset -> share of the crops that it makes LR pictures of."""
    margin: int = Field(default=16, ge=0, multiple_of=FACTOR)
    """Pixels around the HR crop that are degraded with it, at most: so blocks of JPEG start anywhere in the LR tile."""
    crops_per_photo: int = Field(default=4, ge=1)
    """Held-out crops of each held-out photo."""
    bf16: bool = False
    """Most arithmetic in bfloat16, where the processor has instructions for it; else in float32, and a line says so."""
    compile: bool = False
    """Have `torch.compile` make the training step faster; its first step takes a minute or two."""
    threads: int = Field(default=2, ge=1)
    """CPU threads of the training process."""
    loaders: int = Field(default=0, ge=0)
    """Processes that draw and degrade crops; 0: the training process itself."""

    @model_validator(mode="after")
    def _shares_are_whole(self) -> Self:
        if not self.degradation or min(self.degradation.values()) < 0 or abs(sum(self.degradation.values()) - 1) > 1e-6:
            raise ValueError(f"degradation = {dict(self.degradation)}; shares are at least 0 and sum to 1")
        return self

    @property
    def model(self) -> AlignVarConfig:
        """The model of this size."""
        return MODELS[self.size]


class AdversaryConfig(_Strict):
    """A patch discriminator with hinge loss beside the tokeniser (section 3)."""

    weight: float = Field(default=0.1, gt=0)
    start: float = Field(default=0.4, ge=0, lt=1)
    """Share of the run after which it takes part."""
    width: int = Field(default=64, ge=8)


class TokeniserRecipe(_Run):
    """A run of `beholder train alignvar-tokenizer`."""

    drop_scales: float = Field(default=0.1, ge=0, lt=1)
    """Chance per batch that some of the finest scales are left out, so that coarse ones carry meaning."""
    blend_steps: int = Field(default=300, ge=0)
    """Steps over which the continuous latent that reaches the decoder is blended out."""
    codebook_decay: float = Field(default=0.99, gt=0, lt=1)
    adversary: AdversaryConfig | None = None

    @model_validator(mode="after")
    def _degradation_is_seen(self) -> Self:
        if {"degradation", "margin"} & self.model_fields_set and not self.model.tokeniser.anchored:
            raise ValueError(f"the tokeniser of size {self.size} sees no LR pictures; leave out degradation and margin")
        return self


class AlignVarRecipe(_Run):
    """A run of `beholder train alignvar`: the transformer, with a tokeniser that is frozen."""

    tokeniser: Path
    """Folder that `train alignvar-tokenizer` left, or a model folder whose tokeniser is used."""
    sca: ScaConfig = ScaConfig()
    loss: LossConfig = LossConfig()
    start: Path | None = None
    """Model folder whose weights training starts from, such as `beholder convert alignvar` makes of VAR's."""

    @property
    def model(self) -> AlignVarConfig:
        """The model of this size, with the gate of this recipe."""
        return MODELS[self.size].model_copy(update={"sca": self.sca})


class DecoderRecipe(_Run):
    """A run of `beholder train alignvar-decoder`: the decoder on predicted codes, all else frozen."""

    trained: Path
    """Model folder that `train alignvar` left."""
    decode: Decoding | None = None
    """How codes follow from logits, here and from then on by default; null: as in the model folder."""
    crops_kept: int = Field(default=2048, ge=1)
    """Crops whose codes are predicted, once, before the first step; the run goes round them. Predicting takes several
    times as long as the decoder's own step."""
    gmsd: float = Field(default=0.0, ge=0)
    """Weight of the gradient magnitude similarity deviation, beside L1 and the differences between neighbours."""
