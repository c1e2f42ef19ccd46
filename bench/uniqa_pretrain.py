"""Pre-training with and without chunks: seconds and peak memory of a step at several batch sizes.

    python bench/uniqa_pretrain.py [--width 256] [--layers 6] [--steps 3]

Each row is a process of its own, so that its peak resident memory is its own. Random pictures and tokens: what is
measured is the model, not the loading. The chunked gradient is that of the whole batch (`tests/uniqa/test_loss.py`).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from record import RESULTS, Table, busy_share, publish, script

RUNS = ((64, 0), (64, 16), (256, 0), (256, 16))
"""Batch and chunk; 0 is the whole batch at once."""


def step_of(batch: int, chunk: int, width: int, layers: int, steps: int) -> dict[str, float]:
    """Seconds of the fastest of some steps, and the peak memory in MB beyond what the process held before them."""
    import torch

    from beholder.uniqa.loss import Pair, chunked_backward, global_loss
    from beholder.uniqa.nano import NanoConfig
    from beholder.uniqa.pretrain import Contrast, nano_model

    torch.set_num_threads(1)
    config = NanoConfig(side=112, patch=16, width=width, layers=layers, text_width=width // 2, text_layers=layers // 2)
    model = Contrast(nano_model(config, ["a good image", "a bad image"], seed=0))
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    rgb = torch.randint(256, (batch, config.side, config.side, 3), dtype=torch.uint8)
    tokens = torch.randint(4, 200, (batch, config.context))
    tokens[:, -1] = 3
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        if chunk:
            chunked_backward(lambda part: Pair(*model(**part)), {"rgb": rgb, "tokens": tokens}, chunk)
        else:
            global_loss(Pair(*model(rgb, tokens))).backward()
        optimiser.step()
        optimiser.zero_grad()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"seconds": min(seconds), "peak_mb": peak * 1024 / 1e6, "parameters": parameters}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--one", type=int, nargs=2, metavar=("BATCH", "CHUNK"), help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    if given.one:
        print(json.dumps(step_of(*given.one, given.width, given.layers, given.steps)))
        return 0
    busy = busy_share()
    found = []
    for batch, chunk in RUNS:
        line = [sys.executable, __file__, "--one", str(batch), str(chunk), "--width", str(given.width)]
        line += ["--layers", str(given.layers), "--steps", str(given.steps)]
        said = subprocess.run(line, capture_output=True, text=True, check=True).stdout
        found.append({"batch": batch, "chunk": chunk, **json.loads(said.splitlines()[-1])})
    rows = [
        [f"{run['batch']}, {'whole' if not run['chunk'] else 'chunks of ' + str(run['chunk'])}",
         f"{run['seconds']:.2f}", f"{run['peak_mb']:.0f}"]
        for run in found
    ]  # fmt: skip
    publish(
        "uniqa-pretrain",
        f"One step of contrastive pre-training, {found[0]['parameters'] / 1e6:.1f} million parameters, one CPU thread",
        Table(["batch", "s per step", "peak memory, MB"], rows),
        measured={"runs": found, "width": given.width, "layers": given.layers, "steps": given.steps},
        notes=["Peak resident memory beyond what the process held before its first step, optimiser included."],
        busy_before=busy,
        folder=given.results,
    )
    return 0


if __name__ == "__main__":
    script(main)
