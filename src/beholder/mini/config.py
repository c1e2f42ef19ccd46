"""The recipe of a training run: YAML in, checked fields out. An unknown key is an error that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from beholder.data.columns import Split
from beholder.mini.network import TrunkConfig
from beholder.task import TASKS, Task


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(_Strict):
    """What is learned from. Paths are relative to the recipe's working directory."""

    quality: Path
    """Manifest of pictures with quality scores."""
    aesthetics: Path
    """Manifest of pictures with aesthetics scores."""
    natural: tuple[Path, ...] = ()
    """Folders of undamaged pictures without scores, to damage synthetically."""
    priors: Path
    """CSV of mean opinion per distortion family and level, see `data.distortions.read_priors`."""
    train_splits: tuple[Split, ...] = ("train",)
    """Splits of both manifests that are learned from."""
    pick_split: Split = "val"
    """Split that chooses the checkpoint. The split that is reported must not be named here or above."""


class StageConfig(_Strict):
    """One stage of training of the trunk. A batch holds `batch` bundles of pictures, all cut to `crop` x `crop`."""

    steps: int = Field(gt=0)
    batch: int = Field(gt=0)
    """Bundles per step."""
    crop: int = Field(ge=64, le=512)
    """Side of the training crops in pixels, at the picture's own resolution."""
    synthetic_pairs: int = Field(ge=0)
    """Pairs per bundle of one natural crop under one distortion at two levels."""
    quality: int = Field(ge=0)
    """Rated quality crops per bundle."""
    aesthetics: int = Field(ge=0)
    """Rated aesthetics crops per bundle."""
    residual: bool = False
    """Learn on top of the statistics heads, starting from probes that say nothing, instead of alone."""
    order_weight: float = Field(default=4.0, ge=0)
    """Weight of preferring the less damaged of two copies."""
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    eval_steps: int = Field(default=500, gt=0)

    @model_validator(mode="after")
    def _learns_something(self) -> Self:
        if self.synthetic_pairs + self.quality + self.aesthetics == 0:
            raise ValueError("a bundle holds no picture; one of synthetic_pairs, quality, aesthetics must be above 0")
        return self


class HeadConfig(_Strict):
    """One kind of heads on features of whole pictures."""

    folds: int = Field(default=5, ge=2)
    """Heads, each fitted without one fold of the training pictures; all of them ship."""
    members: int = Field(default=4, ge=1)
    """Networks per head; they are averaged inside one graph."""
    hidden: int = Field(default=64, ge=4)
    epochs: int = Field(default=60, ge=1)
    batch: int = Field(default=128, ge=8)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Of the hidden layer."""
    input_dropout: float = Field(default=0.2, ge=0, lt=1)
    """Of the features, drawn anew for every member."""
    pair_weight: float = Field(default=4.0, ge=0)
    """Weight of the order of damaged pairs against the rated pictures."""
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.3, ge=0)


class PairsConfig(_Strict):
    """Damaged pairs that teach the statistics heads the order of damage."""

    count: int = Field(default=1600, ge=1)
    crop: int = Field(default=320, ge=64)


class Recipe(_Strict):
    """A whole run of `beholder train mini`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    seed: int = 0
    data: DataConfig
    trunk: TrunkConfig = TrunkConfig()
    pairs: PairsConfig = PairsConfig()
    heads: dict[Task, HeadConfig]
    """On the statistics alone, fitted before the trunk."""
    wide_heads: dict[Task, HeadConfig]
    """On statistics and learned features together, fitted after the trunk."""
    stages: dict[Literal["pretrain", "finetune"], StageConfig]
    bf16: bool = True
    """Train the trunk under bfloat16 autocast. Scores are always computed in float32."""
    threads: int = Field(default=2, ge=1)
    """CPU threads of the training process."""
    loaders: int = Field(default=0, ge=0)
    """Processes that prepare batches; 0 prepares them in the training process."""

    @model_validator(mode="after")
    def _heads_for_both_tasks(self) -> Self:
        for name, heads in (("heads", self.heads), ("wide_heads", self.wide_heads)):
            if missing := [task for task in TASKS if task not in heads]:
                raise ValueError(f"{name} says nothing about {' and '.join(missing)}; it needs {' and '.join(TASKS)}")
        return self
