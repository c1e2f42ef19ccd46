"""What stands between a model and the tiles that it is given."""

import pytest
import torch

from beholder.errors import UserError
from beholder.restore.upscaler import in_halves


def run_of(most: int, called: list[int]):
    """A model that has memory for `most` tiles at once, and asks for what no machine has for more."""

    def run(tiles):
        called.append(len(tiles))
        if len(tiles) > most:
            torch.empty(2**56, dtype=torch.uint8)
        return 2 * tiles

    return run


def test_where_memory_is_short_tiles_are_done_in_halves() -> None:
    tiles, called = torch.arange(7.0)[:, None, None, None].expand(7, 3, 4, 4), []
    assert torch.equal(in_halves(run_of(2, called), tiles), 2 * tiles)
    assert called == [7, 3, 1, 2, 4, 2, 2]


def test_one_tile_that_does_not_fit_is_told() -> None:
    with pytest.raises(UserError, match=r"one tile of 4 px takes more memory than cpu has free$"):
        in_halves(run_of(0, []), torch.zeros(3, 3, 4, 4))


def test_another_error_is_no_lack_of_memory() -> None:
    def broken(tiles):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        in_halves(broken, torch.zeros(2, 3, 4, 4))
