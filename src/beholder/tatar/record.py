"""What a TATAR checkpoint says of itself in `tatar.json`, read without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from beholder import __version__
from beholder.errors import UserError
from beholder.task import ScoreRange, Task
from beholder.tatar.prompts import PROMPTS

RECORD_FILE = "tatar.json"
FORMAT: Final = "beholder-tatar-1"

Stage = Literal["sft", "grpo"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LearnedFrom(_Strict):
    """One data set that a checkpoint learned from."""

    name: str
    task: Task
    low: float
    """Ends of its declared range of native scores."""
    high: float
    higher_is_better: bool = True
    n: int = Field(ge=1)
    """Pictures."""
    sha256: str
    """Of its manifest, see `data.manifest.Manifest.sha256`."""

    @property
    def range(self) -> ScoreRange:
        """The declared range."""
        return ScoreRange(self.low, self.high, self.higher_is_better)


class Record(_Strict):
    """`tatar.json`."""

    format: Literal["beholder-tatar-1"] = FORMAT
    stage: Stage
    base: str
    """Model that training started from, as its recipe names it."""
    prompts: str = PROMPTS.digest
    """Digest of the prompts it was asked with."""
    prompt_version: str = PROMPTS.version
    data: tuple[LearnedFrom, ...] = Field(min_length=1)
    seed: int
    level_rows: float = Field(default=0.0, ge=0, lt=1)
    """Share of SFT that taught level words; without any, levels are weighed but not calibrated."""
    beholder: str = __version__
    numbers: dict[str, float] = {}
    """What training counted and measured, e.g. `steps` and `loss`."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks it was trained for, each once."""
        return tuple(dict.fromkeys(data.task for data in self.data))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a folder's `tatar.json`. Raises UserError where there is none, or naming the first wrong field."""
        file = folder / RECORD_FILE
        try:
            return cls.model_validate_json(file.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(
                f"{str(folder)!r} is not a TATAR checkpoint: it has no {RECORD_FILE}. "
                "Allowed: a folder that `beholder train tatar-sft` or `tatar-grpo` wrote"
            ) from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise UserError(f"{str(file)!r} can't be used: {where}: {first['msg']}") from None

    def check_prompts(self, *, allow_mismatch: bool = False) -> None:
        """Raises UserError where the model learned with other prompts than those it would be asked with now."""
        if self.prompts != PROMPTS.digest and not allow_mismatch:
            raise UserError(
                f"the checkpoint learned with prompts {self.prompts[:12]} (version {self.prompt_version}), and this "
                f"beholder asks with {PROMPTS.digest[:12]} (version {PROMPTS.version}), so scores would differ. "
                f"Use beholder {self.beholder}, train again, or pass --allow-prompt-mismatch"
            )
