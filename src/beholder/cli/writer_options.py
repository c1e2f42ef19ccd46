"""Options that `data caption` and `data rationales` have in common: who writes, about which pictures, how patiently."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Pictures = Annotated[Path, typer.Argument(metavar="MANIFEST", help="A manifest's folder, or its CSV or Parquet file.")]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="JSON lines, one per picture.")]
Model = Annotated[str | None, typer.Option(help="Name at the endpoint; for local a folder or a Hugging Face name.")]
BaseUrl = Annotated[str | None, typer.Option(help="OpenAI-compatible address, e.g. http://localhost:8000/v1.")]
TestManifests = Annotated[
    list[Path] | None,
    typer.Option(
        envvar="BEHOLDER_TEST_MANIFESTS",
        help="Its test pictures are refused, as the manifest's own are. Repeatable.",
        show_default=False,
    ),
]
Batch = Annotated[
    int | None, typer.Option(min=1, help="Pictures at a time, local only. Default: 1.", show_default=False)
]
Timeout = Annotated[
    float | None, typer.Option(min=0.1, metavar="SECONDS", help="Silence of the endpoint. Default: 120.")
]
Attempts = Annotated[int | None, typer.Option(min=1, help="Per text. Default: 6.", show_default=False)]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Ask again what failed in FILE.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Write all rows anew.")]
