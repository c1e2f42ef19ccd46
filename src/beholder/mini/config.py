"""The recipe of a training run: YAML in, checked fields out. An unknown key is an error that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from beholder.data.columns import Split
from beholder.data.distortions import FAMILIES
from beholder.task import TASKS, Task

Block = Literal["statistics", "texture", "colour", "uniqa"]
BLOCKS: tuple[Block, ...] = ("statistics", "texture", "colour")
"""Of every model; `uniqa` comes with an encoder."""
BOOKS: tuple[Block, ...] = ("texture", "colour")
"""Blocks that are codebooks."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(_Strict):
    """What is learned from. Paths are relative to the recipe's working directory."""

    quality: Path
    """Manifest of pictures with quality scores."""
    aesthetics: Path
    """Manifest of pictures with aesthetics scores."""
    natural: tuple[Path, ...] = ()
    """Folders of undamaged pictures without scores, damaged synthetically beside the rated ones."""
    priors: Path
    """CSV of mean opinion per distortion family and level, see `data.distortions.read_priors`."""
    train_splits: tuple[Split, ...] = ("train",)
    """Splits of both manifests that are learned from. The split that is reported must not be named here."""


class CodebookConfig(_Strict):
    """One codebook of prototype patches, learned without labels."""

    plane: Literal["luma", "rgb"]
    halvings: int = Field(ge=0, le=3)
    """How often the picture is halved before the codebook looks at it."""
    taps: int = Field(ge=3, le=8)
    """Side of a patch in pixels."""
    stride: int = Field(ge=1, le=8)
    """Pixels from patch to patch when a picture is described."""
    words: int = Field(ge=2, le=512)
    """Prototypes."""
    floor: float = Field(gt=0)
    """Contrast, in grey levels of 0-255, under which a patch counts as flat."""
    patches: int = Field(default=60, ge=1)
    """Patches of each picture that prototypes are learned from."""

    @model_validator(mode="after")
    def _fits_the_smallest_picture(self) -> Self:
        if 64 >> self.halvings < self.taps:
            raise ValueError(f"a picture of 64 px halved {self.halvings} times holds no patch of {self.taps} px")
        return self


class KernelConfig(_Strict):
    """How one block of features tells two pictures apart: weight * exp(-width * mean squared difference)."""

    weight: float = Field(gt=0)
    width: float = Field(gt=0)


class HeadConfig(_Strict):
    """The head of one task: a sum of kernels over landmark pictures, read as five levels."""

    kernels: dict[Block, KernelConfig]
    ridge: float = Field(gt=0)
    """Weight of the squared norm of the fitted function."""
    correlation_weight: float = Field(default=0.0, ge=0)
    """Weight of the correlation with the true scores against cross-entropy."""
    pair_weight: float = Field(default=0.0, ge=0)
    """Weight of the order of damaged pairs against the rated pictures; 0: no pairs."""
    pair_landmarks: int = Field(default=0, ge=0)
    """Damaged pictures that are landmarks beside the rated ones, so that damage beyond any rated one is told apart."""
    steps: int = Field(default=120, ge=1)
    """L-BFGS steps at most."""
    folds: int = Field(default=5, ge=2)
    """Folds of the cross-validation over training pictures."""


class PairsConfig(_Strict):
    """Damaged pairs that teach the order of damage."""

    count: int = Field(default=4800, ge=1)
    least_margins: dict[str, float] = {}
    """Unit score that a level of a family must cost at least, for families whose opinion scores hardly fall."""

    @field_validator("least_margins")
    @classmethod
    def _of_known_families(cls, margins: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(set(margins) - set(FAMILIES)):
            raise ValueError(f"least_margins names {', '.join(unknown)}; the families are {', '.join(FAMILIES)}")
        return margins


class Recipe(_Strict):
    """A whole run of `beholder train mini`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    seed: int = 0
    data: DataConfig
    texture: tuple[CodebookConfig, ...] = Field(min_length=1)
    colour: tuple[CodebookConfig, ...] = Field(min_length=1)
    encoder: Path | None = None
    """Folder of a UniQA model, as `train uniqa` leaves it, whose picture tower is one more block of features."""
    pairs: PairsConfig = PairsConfig()
    heads: dict[Task, HeadConfig]
    threads: int = Field(default=2, ge=1)
    """CPU threads of the training process."""

    @model_validator(mode="after")
    def _heads_for_both_tasks(self) -> Self:
        if missing := [task for task in TASKS if task not in self.heads]:
            raise ValueError(f"heads says nothing about {' and '.join(missing)}; it needs {' and '.join(TASKS)}")
        return self

    @model_validator(mode="after")
    def _a_kernel_per_block(self) -> Self:
        blocks = [*BLOCKS, *(["uniqa"] if self.encoder is not None else [])]
        for task, head in self.heads.items():
            if missing := [block for block in blocks if block not in head.kernels]:
                raise ValueError(f"kernels of {task} say nothing about {' and '.join(missing)}")
            if "uniqa" in head.kernels and self.encoder is None:
                raise ValueError(f"kernels of {task} name uniqa, but the recipe has no encoder")
        return self
