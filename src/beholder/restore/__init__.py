"""Larger pictures: everything around a model that enlarges tiles.

| module | what it knows |
|---|---|
| `run` | `upscale`: from inputs and options to finished files and a row per picture |
| `one` | one file to one finished file, or to the reason why not |
| `rows` | what came of a run |
| `upscaler` | the model behind `--model`; the one place that knows an engine |
| `options` | what can be asked of an enlargement, checked |
| `in_memory` | one picture in memory to another: Pillow, NumPy, torch |
| `names` | which pictures, and what their outputs are called |
| `reader` | originals read in a process of its own, within a time limit |
| `original` | a file's pixels as they are stored, with profile and EXIF |
| `enlarge` | one picture, band of rows by band of rows |
| `tiles` | overlapping tiles, blended |
| `finish` | colour fix and fidelity: what is taken from the input again |
| `resample` | resizing a stream of rows |
| `transparent` | what lies under transparency |
| `encode`, `png` | the output file, whole or not at all |
"""

from beholder.restore.upscaler import Upscaler

__all__ = ["Upscaler"]
