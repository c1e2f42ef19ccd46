"""How the codebook learns: moving averages of the vectors that each code stood for, over all scales at once.

Once per step for the whole pyramid rather than once per scale: the 1x1 scale has a handful of vectors, and an average
that they move as much as the finest scale's thousands collapses. Needs the extra `train`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from vector_quantize_pytorch import VectorQuantize

from beholder.alignvar.tokeniser import Tokeniser, TokeniserOutput


class EmaCodebook(nn.Module):
    """The averages behind a tokeniser's codebook. Its `state_dict` is what resuming needs."""

    def __init__(self, tokeniser: Tokeniser, *, decay: float = 0.99, dead_below: float = 1.0) -> None:
        """A code whose average count per step falls below `dead_below` restarts as a vector of the current batch.
        Codes start with a count of 1, so those that the first batches leave unused restart at once."""
        super().__init__()
        config = tokeniser.config
        self.vq = VectorQuantize(
            dim=config.code_dim, codebook_size=config.codes, decay=decay, threshold_ema_dead_code=dead_below
        )
        book = tokeniser.pyramid.codebook.detach().float()
        self.vq._codebook.embed.data.copy_(book[None])
        self.vq._codebook.embed_avg.data.copy_(book[None])

    @torch.no_grad()
    def update(self, tokeniser: Tokeniser, output: TokeniserOutput) -> None:
        """Move the codebook of `tokeniser` by one batch. Call it after the backward pass of that batch."""
        vectors = torch.cat(output.residuals, dim=1)
        self.vq.update_indices(vectors, torch.cat(output.indices, dim=1))
        tokeniser.pyramid.codebook.copy_(self.vq.codebook)

    def used(self) -> Tensor:
        """Scalar in [0, 1]: the share of codes with a tenth of the average count or more."""
        count: Tensor = self.vq._codebook.cluster_size
        return (count >= 0.1 * count.mean()).float().mean()
