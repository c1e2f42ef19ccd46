"""`egemaps`: the 88 functionals of eGeMAPSv02, by openSMILE, which is not free for commercial use."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from beholder.extract.limits import ExtractError
from beholder.extract.sound import read_sound


class Config(BaseModel):
    """Settings of `egemaps`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: int | None = Field(default=None, ge=8_000, le=48_000)
    """Hz that sound is resampled to; None: as it is."""


def measure(source: Path, config: Config) -> NDArray[np.float64]:
    """(88,) of a sound file, in openSMILE's order and units. Raises ExtractError where it can't be read."""
    sound = read_sound(source, config.rate)
    values = _smile().process_signal(sound.samples, sound.rate).to_numpy()[0].astype(np.float64)
    if not np.isfinite(values).all():
        raise ExtractError(f"{source} gives eGeMAPS numbers that are not finite; is it silent, or too short?")
    out: NDArray[np.float64] = values
    return out


@lru_cache(maxsize=1)
def _smile() -> Any:
    import opensmile

    return opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.Functionals
    )
