"""What `evaluate restoration` found, as two files: `pictures.parquet`, a row per picture, and `restoration.json`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from beholder.batch.files import replacing
from beholder.errors import UserError
from beholder.evaluate.bootstrap import Estimate

RESTORATION_FILE = "restoration.json"
PICTURES_FILE = "pictures.parquet"


@dataclass(frozen=True)
class Metric:
    """A column of the rows, and how it is read."""

    title: str
    higher_is_better: bool | None
    """None: neither, as of a ratio that should be 1."""
    places: int
    pyiqa: str | None = None
    """Its name in pyiqa where it comes from there; those are learned and need weights."""
    of_folders: bool = False
    """One number for all pictures, so no column and no interval."""


METRICS: dict[str, Metric] = {
    "psnr": Metric("PSNR-Y, dB", True, 2),
    "ssim": Metric("SSIM-Y", True, 4),
    "ms_ssim": Metric("MS-SSIM", True, 4),
    "gmsd": Metric("GMSD", False, 4),
    "high_frequency": Metric("high frequencies", None, 3),
    "lr_consistency": Metric("LR consistency, dB", True, 2),
    "lpips": Metric("LPIPS", False, 4, pyiqa="lpips"),
    "dists": Metric("DISTS", False, 4, pyiqa="dists"),
    "niqe": Metric("NIQE", False, 3, pyiqa="niqe"),
    "musiq": Metric("MUSIQ", True, 2, pyiqa="musiq"),
    "maniqa": Metric("MANIQA", True, 4, pyiqa="maniqa"),
    "clipiqa": Metric("CLIPIQA", True, 4, pyiqa="clipiqa"),
    "fid": Metric("FID", False, 2, pyiqa="fid", of_folders=True),
}
"""Every metric by name, in the order of tables."""

LEARNED = tuple(name for name, metric in METRICS.items() if metric.pyiqa is not None)

PICTURES = pa.schema(
    [
        ("path", pa.string()),  # of the true picture, below its folder
        ("output", pa.string()),
        ("input", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("status", pa.string()),  # `ok`, or why nothing could be measured
        ("error", pa.string()),
        ("problems", pa.string()),  # why single numbers are missing though the status is `ok`
        *((name, pa.float64()) for name, metric in METRICS.items() if not metric.of_folders),
    ]
)
"""Columns of `pictures.parquet`, one row per true picture."""

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Measured(Estimate):
    """The mean of a metric over pictures; `problem` also says what the mean leaves out."""

    n: int
    """Pictures in it."""


class Restoration(BaseModel):
    """A folder of restored pictures beside the true ones."""

    model_config = _STRICT

    format: Literal["restoration-1"] = "restoration-1"
    outputs: str
    truth: str
    inputs: str | None
    """Names of the folders."""
    truth_sha256: str
    """Over names and content of the true pictures."""
    border: int
    """Pixels left out on each side for PSNR, SSIM and high frequencies."""
    n_total: int
    """True pictures."""
    n_measured: int
    n_extra: int
    """Outputs that belong to no true picture; nothing is measured of them."""
    failures: dict[str, int]
    """Status to number of rows without numbers."""
    metrics: dict[str, Measured]
    skipped: dict[str, str]
    """Metric to the reason why it was not measured at all."""
    resamples: int
    seed: int
    versions: dict[str, str]
    pictures_sha256: str = ""
    """Of `pictures.parquet` beside it; set by `write`."""

    def write(self, folder: Path, pictures: pa.Table) -> Restoration:
        """Write both files into `folder` (made if missing), each whole or not at all, `restoration.json` last."""
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / PICTURES_FILE) as temporary:
            pq.write_table(pictures.cast(PICTURES), temporary, compression="zstd")
            digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
        written = self.model_copy(update={"pictures_sha256": digest})
        with replacing(folder / RESTORATION_FILE) as temporary:
            temporary.write_text(written.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return written


def read_restoration(folder: Path) -> Restoration:
    """The `restoration.json` of a folder. Raises UserError where there is none or it is not valid."""
    file = folder / RESTORATION_FILE
    if not file.is_file():
        raise UserError(f"{file} does not exist. Make it with `beholder evaluate restoration OUTPUTS --truth FOLDER`")
    try:
        return Restoration.model_validate_json(file.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(key) for key in first["loc"]) or "the file"
        raise UserError(f"{file} is not a result of `beholder evaluate restoration`: {where}: {first['msg']}") from None


def read_pictures(folder: Path) -> pa.Table:
    """The rows of a result, in `PICTURES`. Raises UserError if the two files don't belong together."""
    result = read_restoration(folder)
    file = folder / PICTURES_FILE
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != result.pictures_sha256:
        raise UserError(f"{file} is not the file that {RESTORATION_FILE} was made from; run the evaluation again")
    return pq.read_table(file, schema=PICTURES)
