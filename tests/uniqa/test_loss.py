import math
import os
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as multiprocessing
from torch import nn

from beholder.uniqa.loss import (
    Pair,
    chunked_backward,
    clamp_log_scale,
    contrastive_loss,
    contrastive_loss_of,
    gather,
    global_loss,
)


class Towers(nn.Module):
    """Two small towers with dropout in one, and a scale."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 8))
        self.text = nn.Linear(5, 8)
        self.log_scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, image, text):
        return Pair(self.image(image), self.text(text), self.log_scale)


def batch(rows: int = 12) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {"image": torch.randn(rows, 6, generator=generator), "text": torch.randn(rows, 5, generator=generator)}


def towers(dropout: float = 0.0) -> Towers:
    torch.manual_seed(1)
    return Towers(dropout)


def gradients(model: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def whole_gradient(rows: int = 12) -> tuple[float, torch.Tensor]:
    model = towers()
    loss = global_loss(model(**batch(rows)))
    loss.backward()
    return float(loss), gradients(model)


def test_the_loss_of_the_papers_example() -> None:
    cosine = torch.tensor([[0.30, 0.25, 0.26], [0.24, 0.29, 0.25], [0.25, 0.26, 0.28]])
    assert float(contrastive_loss_of(cosine, 100.0)) == pytest.approx(0.077374, abs=2e-6)


def test_the_loss_does_not_see_the_length_of_features() -> None:
    image, text, scale = torch.randn(4, 8), torch.randn(4, 8), torch.tensor(1.0)
    assert torch.allclose(contrastive_loss(image, text, scale), contrastive_loss(5 * image, text / 3, scale))


def test_sides_of_different_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(4, 8\).*\(3, 8\)"):
        contrastive_loss(torch.randn(4, 8), torch.randn(3, 8), torch.tensor(0.0))


@pytest.mark.parametrize("chunk", [1, 5, 12, 100])
def test_chunks_give_the_gradient_of_the_whole_batch(chunk: int) -> None:
    loss, expected = whole_gradient()
    model = towers()
    found = chunked_backward(lambda part: model(**part), batch(), chunk)
    assert float(found) == pytest.approx(loss, abs=1e-6)
    assert torch.allclose(gradients(model), expected, atol=1e-5)
    assert expected.abs().max() > 1e-2


def test_chunks_replay_dropout() -> None:
    """The second pass must drop what the first dropped: then features, and so their gradient, belong together."""
    seen: list[torch.Tensor] = []
    model = towers(dropout=0.5)

    def encode(part):
        pair = model(**part)
        seen.append(pair.image.detach())
        return pair

    chunked_backward(encode, batch(), 6)
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(seen[1], seen[3])
    assert not torch.allclose(seen[0][:6], seen[1][:6])


def test_only_the_last_chunk_talks_to_other_processes() -> None:
    from contextlib import contextmanager

    quiet: list[str] = []

    @contextmanager
    def no_sync():
        quiet.append("quiet")
        yield

    model = towers()
    chunked_backward(lambda part: model(**part), batch(), 4, no_sync=no_sync)
    assert len(quiet) == 2


def test_a_chunk_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="chunk = 0"):
        chunked_backward(lambda part: towers()(**part), batch(), 0)


def test_the_scale_never_passes_100() -> None:
    scale = nn.Parameter(torch.tensor(9.0))
    clamp_log_scale(scale)
    assert float(scale) == pytest.approx(math.log(100))
    low = nn.Parameter(torch.tensor(1.5))
    clamp_log_scale(low)
    assert float(low) == 1.5


def test_alone_nothing_is_gathered() -> None:
    features = torch.randn(3, 4)
    assert gather(features) is features


def _one_of_two(rank: int, folder: str, chunk: int) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    model = nn.parallel.DistributedDataParallel(towers())
    mine = {name: value[rank * 6 : rank * 6 + 6] for name, value in batch().items()}
    if chunk:
        loss = chunked_backward(lambda part: Pair(*model(**part)), mine, chunk, no_sync=model.no_sync)
    else:
        loss = global_loss(Pair(*model(**mine)))
        loss.backward()
    torch.save((float(loss), gradients(model)), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("chunk", [0, 4])
def test_two_processes_give_the_gradient_of_one(chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "1")
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # a spawned process finds this module by its name
    multiprocessing.start_processes(_one_of_two, (str(tmp_path), chunk), nprocs=2, start_method="spawn")
    loss, expected = whole_gradient()
    for rank in range(2):
        found_loss, found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found_loss == pytest.approx(loss, abs=1e-6)
        assert torch.allclose(found, expected, atol=1e-5)
