"""Made-up voices, faces and lines of text that each show an emotion, as files to be paired."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

EMOTIONS = np.array(list("ADFHNS"))
WORDS = ("furious", "revolting", "scared", "glad", "table", "weeping")
SPEAKERS, FACES, LINES = 8, 12000, 360


def write_items(folder: Path) -> Path:
    """Eight speakers of 30 clips, 12,000 faces, 360 lines; voices and faces of a class lie near one another."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    means = rng.normal(0, 2, (6, 4))
    voice, face = np.arange(SPEAKERS * 30) % 6, np.arange(FACES) % 6
    speaker = np.repeat(np.arange(SPEAKERS), 30)
    own = rng.normal(0, 20, (SPEAKERS, 4))[speaker]
    np.savez(
        folder / "voice_egemaps.npz",
        X=(means[voice] + own + rng.normal(0, 1, (len(voice), 4))).astype(np.float32),
        label=EMOTIONS[voice],
        speaker=speaker,
    )
    np.savez(
        folder / "face_hog.npz",
        X=(means[face] + rng.normal(0, 1, (FACES, 4))).astype(np.float16),
        label=EMOTIONS[face],
        id=np.arange(FACES).astype(str),
    )
    with (folder / "text.csv").open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        writer.writerow(["split", "dialogue", "text", "label"])
        for i in range(LINES):
            split = ("train", "train", "dev", "test")[i // 6 % 4]
            text = f"{WORDS[i % 6]} {rng.choice(['yes', 'no', 'well'])} {rng.choice(WORDS)}"
            writer.writerow([split, i // 6, text, EMOTIONS[i % 6]])
    return folder
