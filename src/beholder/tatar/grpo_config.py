"""Recipes of `beholder train tatar-grpo`; defaults are those of our spec, section 6."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Self

from pydantic import Field, model_validator

from beholder.task import TASKS
from beholder.tatar.config import RunConfig, Strict
from beholder.tatar.rewards import Preset
from beholder.tatar.variants import REWARDS, by_raters, ranks_as_ours


class SamplingConfig(Strict):
    """How completions are drawn."""

    temperature: float = Field(default=1.0, gt=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    """0 draws from all tokens; the released code draws from 50."""
    max_tokens: int = Field(default=512, ge=1)
    """Of a completion; one that is longer is cut there and counts as unparsed."""


class GrpoRecipe(RunConfig):
    """Group relative policy optimisation with task-conditioned rewards.

    `model` is the `model` folder of an SFT run, or any image-text-to-text model.
    """

    rewards: str = "beholder"
    """A preset, or what is left of ours when one idea is taken out: see `variants.REWARDS`."""
    require_reasons: bool | None = None
    """Whether an answer without reasons counts as unparsed; null is as the rewards have it: all but `paper` and
    `released_code` require them. A model that was taught scores alone needs false."""
    gt_noise: Literal["constant", "mos_std"] = "constant"
    """How sure the order of two pictures is: the same for all, or by the `score_std` that manifests have for each."""
    reference_queue: int = Field(default=0, ge=0)
    """Pictures of the last four steps that are ranked against too; 32 helps one GPU, whose steps see few pictures."""
    pictures: int = Field(default=16, ge=2)
    """Of one optimiser step, over all devices: half of each task where there are both."""
    group: int = Field(default=8, ge=2)
    """Completions per picture."""
    device_batch: int = Field(default=8, ge=1)
    """Completions per device whose graph is in memory at once."""
    steps: int = Field(default=1000, ge=1)
    warmup_steps: int = Field(default=10, ge=0)
    """Steps in which the learning rate rises; after them it falls in a straight line to 0."""
    beta: float = Field(default=0.001, ge=0)
    """Weight of the KL divergence from the model at the start; 0 keeps no such model in memory."""
    clip: float = Field(default=0.2, gt=0)
    """Probability ratios beyond 1 - clip and 1 + clip give no gradient."""
    loss: Literal["completion", "token"] = "completion"
    """Mean over the tokens of each completion, then over completions; or over all tokens of the step."""
    sampling: SamplingConfig = SamplingConfig()

    @model_validator(mode="after")
    def _known_rewards(self) -> Self:
        if self.rewards not in REWARDS:
            raise ValueError(f"rewards = {self.rewards!r}; known are {', '.join(REWARDS)}")
        return self

    @model_validator(mode="after")
    def _options_are_read(self) -> Self:
        if (self.gt_noise != "constant" or self.reference_queue) and not ranks_as_ours(self.rewards):
            fitting = ", ".join(name for name in REWARDS if ranks_as_ours(name))
            raise ValueError(f"gt_noise and reference_queue are for rewards with thurstone: {fitting}")
        return self

    @property
    def preset(self) -> Preset:
        """The rewards that run."""
        chosen = REWARDS[self.rewards]
        if self.require_reasons is not None:
            chosen = replace(chosen, require_reasons=self.require_reasons)
        return by_raters(chosen) if self.gt_noise == "mos_std" else chosen


def describe(recipe: GrpoRecipe) -> list[str]:
    """The rewards that run: terms, weights and who is compared, a line per task; and whether reasons are required."""
    preset = recipe.preset
    scope = {"all": "all pictures of a step", "dataset": "those of its data set", "device": "those on its device"}
    lines = []
    for task in TASKS:
        terms = (f"{t.weight:g} x {t.name}{' (length-gated)' if t.gated else ''}" for t in preset.terms(task))
        against = f", against {scope[preset.scope]}" if preset.compares(task) else ""
        if preset.compares(task) and recipe.reference_queue:
            against += f" and {recipe.reference_queue} of the steps before"
        if preset.compares(task) and recipe.gt_noise == "mos_std":
            against += ", by how far people agreed"
        lines.append(f"{task}: {' + '.join(terms)}{against}")
    needed = "required, an answer without any counts as unparsed" if preset.require_reasons else "optional"
    return [*lines, f"reasons: {needed}"]
