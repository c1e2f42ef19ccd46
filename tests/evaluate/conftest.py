from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_model import write_tiny_checkpoint

from beholder.data.columns import make_table
from beholder.data.manifest import Manifest, write_manifest
from beholder.task import ScoreRange

MOS_1_TO_5 = ScoreRange(1.0, 5.0)
MakeManifest = Callable[..., Manifest]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny model with both heads."""
    return write_tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def make_manifest(tmp_path: Path) -> MakeManifest:
    """`make_manifest(path=[...], score=[...], ...)` writes a manifest into `tmp_path / "set"` and gives it back.

    Quality on a MOS scale of 1 to 5, split by row, all of it test, unless told otherwise; pictures lie in the folder.
    """

    def make(*, score_range: ScoreRange = MOS_1_TO_5, split_by: str = "row", **columns: Any) -> Manifest:
        columns = {"split": ["test"] * len(columns["path"])} | columns
        folder = (tmp_path / "set").resolve()
        manifest = Manifest(
            name="toy",
            task="quality",
            range=score_range,
            split_by=split_by,
            licence="own work",
            source="rendered by the test",
            image_root=folder,
            table=make_table(columns, score_range, lambda row: f"row {row + 1}"),
        )
        write_manifest(manifest, folder)
        return manifest

    return make
