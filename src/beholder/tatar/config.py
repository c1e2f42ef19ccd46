"""Recipes of TATAR: YAML in, checked fields out, without torch. An unknown key is refused; GRPO's are `grpo_config`.

Defaults are the settings of our spec (sections 5 and 6), so a recipe says what it does otherwise. Paths are relative
to the working directory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from beholder.task import Task

Share = Annotated[float, Field(ge=0, le=1)]

HEAD_WIDTH = 32
"""Channels per attention head, in both towers; both widths are multiples of it."""
PATCH = 14
MERGE = 2
"""Patches per side that become one visual token."""


class Strict(BaseModel):
    """Frozen, and no key that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TinyConfig(Strict):
    """Sizes of the tiny model, see `tiny.make_tiny`."""

    width: int = Field(default=128, ge=HEAD_WIDTH, multiple_of=HEAD_WIDTH)
    layers: int = Field(default=4, ge=1)
    vision_width: int = Field(default=64, ge=HEAD_WIDTH, multiple_of=HEAD_WIDTH)
    vision_layers: int = Field(default=2, ge=1)
    max_side: int = Field(default=112, ge=PATCH * MERGE, multiple_of=PATCH * MERGE)
    """A larger picture is shrunk to the area of a square with this side, in pixels; 112 gives 16 visual tokens."""
    vocabulary: int = Field(default=1024, ge=300)
    """Tokens at most: special ones, tags, 256 bytes, and the commonest pieces of the texts."""
    context: int = Field(default=1024, ge=256)
    """Tokens of a chat at most."""


class DataConfig(Strict):
    """One rated set; its `train` part is learned from."""

    manifest: Path
    """Declares task and range; a score outside it is an error."""
    rationales: Path | None = None
    """What `beholder data rationales` wrote about it; only its pictures are used. Null learns to give scores alone."""


class LoraConfig(Strict):
    """Low-rank adapters beside all linear layers of the language model; everything else stays as it is."""

    rank: int = Field(default=64, ge=1)
    alpha: int = Field(default=128, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)


class OptimiserConfig(Strict):
    """AdamW with a linear warm-up."""

    learning_rate: float | None = Field(default=None, gt=0)
    """Null is the rule of the spec: SFT 1e-5, with LoRA 1e-4; GRPO 1e-6, with LoRA 1e-5."""
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Longer gradients are shortened to this."""


class RunConfig(Strict):
    """What every training has."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    model: str | TinyConfig
    """An image-text-to-text model by folder or hub name, or the sizes of a tiny one from scratch."""
    pixels: tuple[int, int] | None = None
    """Smallest and largest area of a picture as the model sees it; null keeps what its processor says."""
    data: tuple[DataConfig, ...] = Field(min_length=1)
    held_out: tuple[Path, ...] = ()
    """Manifests whose test pictures must not be among the pictures; one that is ends the run before its first step."""
    lora: LoraConfig | None = None
    """Null trains all weights."""
    optimiser: OptimiserConfig = OptimiserConfig()
    seed: int = Field(default=42, ge=0)
    bf16: bool = True
    """bfloat16 autocast over float32 weights; with LoRA the frozen weights are bfloat16 too."""
    checkpointing: bool = True
    """Compute activations again in the backward pass instead of keeping them: less memory, more time."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of each process."""
    loaders: int = Field(default=0, ge=0)
    """Processes that prepare batches; 0 prepares them in the training process."""
    save_steps: int = Field(default=50, ge=1)
    """Steps between checkpoints, from which a stopped run goes on."""

    @model_validator(mode="after")
    def _pixels_in_order(self) -> Self:
        if self.pixels is not None and not 0 < self.pixels[0] <= self.pixels[1]:
            raise ValueError(f"pixels = {list(self.pixels)}; needed are a smallest and a largest area, in this order")
        return self

    @model_validator(mode="after")
    def _each_set_once(self) -> Self:
        names = [data.manifest for data in self.data]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"data names {twice} twice")
        return self


class SftRecipe(RunConfig):
    """Supervised fine-tuning on rationales and scores."""

    quality_share: float = Field(default=0.5, gt=0, lt=1)
    """Chance that a drawn picture is one of quality, until every picture of both tasks was seen `epochs` times."""
    think_dropout: dict[Task, Share] = {}
    """Chance per task that an answer is learned without its think block; 0 for a task that is not named."""
    level_rows: float = Field(default=0.1, ge=0, lt=1)
    """Share of the draws that teach to name the level word of a picture, which `beholder score --levels` weighs."""
    epochs: int = Field(default=1, ge=1)
    batch: int = Field(default=128, ge=1)
    """Pictures per optimiser step over all processes."""
    device_batch: int = Field(default=8, ge=1)
    """Pictures per process whose graph is in memory at once."""
    warmup: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps in which the learning rate rises; after it follows a cosine to 0."""
