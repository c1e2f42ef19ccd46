"""Metrics of pyiqa over pairs of files, as JSON lines. A script on its own: it needs pyiqa and nothing of ours.

pyiqa pins old packages, so it may live in another Python than beholder. No file is fetched: a metric whose weights are
not on this machine is reported as skipped.

stdin, one JSON object: `metrics`, names; `pairs`, [output, true picture] each; `folders`, [outputs, true pictures] for
metrics that compare folders; `device`. stdout, a line each: {"metric", "index", "value"}, for folders without index;
{"metric", "index", "problem"} for a picture; {"metric", "skipped"}; {"about"} first.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

OF_FOLDERS = ("fid",)

NOT_HERE = "its weights are not on this machine, and nothing is downloaded"


class _Net:
    """Refuses every address, and remembers that there was a wish."""

    asked = False

    @classmethod
    def refuse(cls, *_: object, **__: object) -> Any:
        cls.asked = True
        raise OSError(NOT_HERE)


def main() -> None:
    """Measure metric after metric; what fails is a line, not a stop."""
    job = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # libraries print as they please

    def tell(**line: object) -> None:
        answers.write(json.dumps(line) + "\n")

    os.environ["HF_HUB_OFFLINE"] = "1"  # read when pyiqa is imported
    try:
        import pyiqa  # type: ignore[import-not-found]
        import torch
    except ImportError as error:
        tell(missing=str(error))
        return
    import socket
    from importlib.metadata import version

    socket.getaddrinfo = _Net.refuse  # type: ignore[assignment]  # torch.hub and requests have no offline switch
    tell(about=f"pyiqa {version('pyiqa')}, torch {torch.__version__}")
    for name in job["metrics"]:
        _Net.asked = False
        try:
            metric = pyiqa.create_metric(name, device=job["device"])
            if name in OF_FOLDERS:
                tell(metric=name, value=float(metric(*job["folders"])))
                continue
        except Exception as error:  # noqa: BLE001  # anything at all may be wrong with a foreign metric
            tell(metric=name, skipped=_reason(error))
            continue
        for index, (output, true) in enumerate(job["pairs"]):
            try:
                with torch.inference_mode():
                    value = metric(output, true) if metric.metric_mode == "FR" else metric(output)
                tell(metric=name, index=index, value=float(value))
            except Exception as error:  # noqa: BLE001  # as above
                tell(metric=name, index=index, problem=_reason(error))
                if _Net.asked:
                    break


def _reason(error: Exception) -> str:
    offline = _Net.asked or any(
        "Offline" in kind.__name__ or "LocalEntry" in kind.__name__ for kind in type(error).__mro__
    )
    return NOT_HERE if offline else f"{type(error).__name__}: {error}".splitlines()[0][:200]


if __name__ == "__main__":
    main()
