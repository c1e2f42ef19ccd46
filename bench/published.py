"""Pictures per second of published metrics from pyiqa, as JSON lines on stdout. Run by `speed.py`; needs only pyiqa.

pyiqa pins old packages, so it lives in an environment of its own: `speed.py --pyiqa-python ENV/bin/python`.
No file is fetched: a metric whose parameters are not on this machine is reported as skipped.

    ENV/bin/python bench/published.py NAMES SECONDS PICTURE...      NAMES as niqe,brisque,piqe
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version

os.environ["HF_HUB_OFFLINE"] = "1"  # read when pyiqa is imported

NO_DOWNLOAD = "a measurement does not download"


def measure(score: Callable[[str], object], paths: Sequence[str], limit_s: float) -> tuple[int, float]:
    """Pictures scored and seconds, stopped after `limit_s`; one warm-up picture is not counted."""
    score(paths[0])
    start = time.perf_counter()
    n = 0
    while n < len(paths) and time.perf_counter() - start < limit_s:
        score(paths[n])
        n += 1
    return n, time.perf_counter() - start


def main() -> None:
    """Measure each metric in turn; a failure of one is a line, not a stop."""
    names, limit_s, *paths = sys.argv[1:]
    import socket

    import pyiqa  # type: ignore[import-not-found]
    import torch

    def refuse(*_: object, **__: object) -> None:
        raise OSError(NO_DOWNLOAD)

    socket.getaddrinfo = refuse  # type: ignore[assignment]  # torch.hub and requests have no offline switch
    torch.set_num_threads(2)
    about = f"pyiqa {version('pyiqa')}, torch {torch.__version__}"
    for name in names.split(","):
        try:
            metric = pyiqa.create_metric(name, device="cpu")
            n, seconds = measure(metric, paths, float(limit_s))
        except Exception as error:  # noqa: BLE001  # anything at all may be wrong with a foreign metric
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            reason = "its parameters would have to be downloaded" if NO_DOWNLOAD in reason else reason
            print(json.dumps({"name": name, "skipped": reason[:200], "about": about}))
            continue
        print(json.dumps({"name": name, "n": n, "seconds": seconds, "about": about}), flush=True)


if __name__ == "__main__":
    main()
