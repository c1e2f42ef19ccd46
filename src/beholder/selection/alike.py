"""Near-duplicates among pictures that people chose to keep: copies, re-saved ones, shots of one scene.

`data.leaks` knows how two pictures of a rated set belong together. Here the same comparison has another price: there a
false pair costs nothing and a missed one a leak, here a false pair loses a picture. So the threshold is higher.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from beholder.batch.workers import usable_cpus
from beholder.data.leaks import cluster, find_twins
from beholder.data.scenes import SIDE
from beholder.imaging.fit import Fit
from beholder.imaging.open import open_image
from beholder.imaging.sources import is_elsewhere
from beholder.imaging.status import ImageError

NEAR_DUPLICATE = 0.2
"""Agreement from which two pictures count as one. Of pairs of photos above it about 9 in 10 were rightly called shots
of one scene, and between it and `data.scenes.SAME_SCENE` most were not; that judgement is told there."""

_FIT = Fit(area=4 * SIDE**2)  # twice the side, so that the last step has something to average


def group_alike(paths: Sequence[str], threshold: float = NEAR_DUPLICATE) -> tuple[list[int], dict[int, str]]:
    """For each picture the number of its group, and why some could not be opened; those are alone in theirs.

    A group is everything that pairs connect, so its first and last need not be alike themselves. Agreement as in
    `data.scenes.Pair`, 1 for byte copies, which are looked for among files of a disk only. Memory: 12 kB a picture.
    """
    small = np.zeros((len(paths), SIDE, SIDE, 3), dtype=np.uint8)
    failed: dict[int, str] = {}
    with ThreadPoolExecutor(usable_cpus()) as pool:
        for i, found in enumerate(pool.map(_thumbnail, paths)):
            if isinstance(found, str):
                failed[i] = found
            else:
                small[i] = found
    twins = find_twins([None if is_elsewhere(path) else Path(path) for path in paths], small, failed, threshold)
    width = len(str(len(paths)))
    names = [f"{i:0{width}d}" for i in range(len(paths))]  # `cluster` names a group after the first in sorting order
    return [int(name) for name in cluster(names, twins)], failed


def _thumbnail(path: str) -> NDArray[np.uint8] | str:
    try:
        rgb = open_image(path, fit=_FIT).rgb
    except ImageError as error:
        return str(error)
    return np.asarray(Image.fromarray(rgb).resize((SIDE, SIDE), Image.Resampling.BOX))
