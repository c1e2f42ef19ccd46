"""What a model is made of, and the table of its sizes. Checked fields; an unknown key is an error that names it.

Paper: AlignVAR, arXiv 2603.00589. Which values are its own and which are ours: docs/alignvar.md.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Decoding = Literal["greedy", "sample", "soft", "mixed"]
"""How codes follow from logits: the likeliest, drawn, the expected one, or expected and likeliest at the last."""

FACTOR = 4
"""HR pixels per LR pixel, the only one there is."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TokeniserConfig(_Strict):
    """A picture as K maps of codes, coarse to fine, over one codebook."""

    kind: Literal["compact", "var"]
    """`compact` is our small autoencoder of stride 4; `var` has the layout of VAR's published one."""
    channels: tuple[int, ...] = Field(min_length=2)
    """Widths from the picture inwards: three for `compact`; one per level for `var`, each level but the last halves."""
    codes: int = Field(ge=2)
    """V: entries of the codebook."""
    code_dim: int = Field(ge=1)
    """C: channels of a code and of the latent."""
    scales: tuple[int, ...] = Field(min_length=2)
    """S_1 to S_K: side of each map of codes. The last is the side of the latent."""
    anchored: bool = False
    """Whether codes only tell what the LR picture lacks: the encoder reads what enlarging it leaves over, the decoder
    adds to the enlarged picture. For a `compact` tokeniser alone, whose latent has the size of its LR picture."""
    phi_last: bool = True
    """Whether the smoothing convolution applies at the last scale as well, as in VAR and not in VARSR."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.scales[0] != 1 or any(a >= b for a, b in pairwise(self.scales)):
            raise ValueError(f"scales = {list(self.scales)}; they start at 1 and grow")
        if self.kind == "compact" and len(self.channels) != 3:
            raise ValueError(f"channels = {list(self.channels)}; a compact tokeniser has three")
        if self.anchored and self.kind != "compact":
            raise ValueError(f"anchored with kind = {self.kind}; only a compact tokeniser can be")
        groups = self.norm_groups
        if wrong := [width for width in self.channels if width % groups]:
            raise ValueError(f"channels = {list(self.channels)}; {wrong[0]} is not a multiple of {groups}")
        return self

    @property
    def norm_groups(self) -> int:
        """Groups of each GroupNorm."""
        return 8 if self.kind == "compact" else 32

    @property
    def stride(self) -> int:
        """HR pixels per side of a latent cell."""
        return 4 if self.kind == "compact" else 2 ** (len(self.channels) - 1)

    @property
    def side(self) -> int:
        """S_K: side of the latent."""
        return self.scales[-1]

    @property
    def tile(self) -> int:
        """Side of the HR picture in pixels."""
        return self.side * self.stride

    @property
    def tokens(self) -> int:
        """Codes of one picture, over all scales."""
        return sum(side * side for side in self.scales)


class TransformerConfig(_Strict):
    """Who predicts the codes of scale k from the LR picture and the scales before."""

    depth: int = Field(ge=1)
    width: int = Field(ge=8)
    heads: int = Field(ge=1)
    adaln: bool = False
    """Norms, gates and shifts follow a condition vector, the embedding of the quality label."""
    labels: int = Field(default=0, ge=0)
    """Quality labels: 0 for none, else 2, of which 0 means a good photo and 1 a poor one."""
    lr_channels: tuple[int, ...] = ()
    """Widths of an LR encoder that enlarges the LR picture to HR size and halves it once per width after the first.
    Empty: an encoder that makes one prefix token of each LR pixel."""
    lr_at_tokens: bool = False
    """Whether each token is also given the mean of the prefix tokens at its place. It learns sooner what lies where;
    with the prefix alone attention has to find that out."""
    drop_path: float = Field(default=0.1, ge=0, lt=1)
    """Chance that the last block is skipped for a sample in training; falls in a straight line to 0 at the first."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.width % self.heads or (self.width // self.heads) % 4:
            raise ValueError(
                f"width = {self.width} over heads = {self.heads}; each head needs a multiple of 4 channels"
            )
        if not self.lr_channels and self.width % 16:
            raise ValueError(f"width = {self.width}; without lr_channels it must be a multiple of 16")
        if self.adaln != (self.labels > 0):
            raise ValueError(f"adaln = {self.adaln} with labels = {self.labels}; the condition of AdaLN is the label")
        return self


class ScaConfig(_Strict):
    """The spatial consistency gate on input tokens."""

    gate: Literal["channel", "scalar", "off"] = "channel"
    """One factor per channel, one per token, or no gate at all."""
    guidance: Literal["laplacian", "random", "zero"] = "laplacian"
    """What the gate sees of the LR picture; `random` and `zero` are for the ablation."""
    blur: float = Field(default=0.8, ge=0)
    """Sigma in LR pixels of a blur before the Laplacian, which also fires on noise; 0 for clean LR pictures."""
    seed: int = Field(default=0, ge=0)
    """Of the `random` guidance, which is a function of this and of the LR picture."""


class HccConfig(_Strict):
    """The hierarchical consistency loss."""

    weight: float = Field(default=1.0, ge=0)
    """Lambda; 0 turns it off."""
    mode: Literal["soft", "straight_through"] = "soft"
    """Accumulate the expected code, or the likeliest with the gradient of the expected one."""
    reduction: Literal["mean", "scales", "sum"] = "mean"
    """Squared norms are means over elements, added up over scales; or the mean over `scales` as well, so that their
    number does not decide what lambda means; or sums over elements as in the equation, means over the batch alone."""
    target: Literal["z", "paper", "fhat"] = "z"
    """Pull towards the encoder's latent, its nearest codes at each scale, or the ground-truth running sum."""
    whiten: bool = True
    """Divide latents by the tokeniser's standard deviation per channel."""
    space: Literal["latent", "pixel"] = "latent"
    """`pixel` compares the decoded last sum with the HR picture instead, by the mean of squares over all pixels;
    `reduction`, `target` and `whiten` are about latents."""


class LossConfig(_Strict):
    """What the transformer learns from. Defaults are those of `nano` and `small`."""

    ce_weight: Literal["token", "scale"] = "scale"
    """Cross-entropy as the mean over tokens, or as the mean of the means per scale."""
    token_noise: float = Field(default=0.1, ge=0, lt=1)
    """Chance that a code of the context is replaced by one of its 8 nearest, so that later scales learn to correct."""
    hcc: HccConfig = HccConfig()


class AlignVarConfig(_Strict):
    """A whole model, and how it is used by default."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    tokeniser: TokeniserConfig
    transformer: TransformerConfig
    sca: ScaConfig = ScaConfig()
    decode: Decoding = "greedy"
    fidelity: float = Field(default=0.0, ge=0, le=1)
    """Strength of the back-projection onto the LR picture after decoding."""

    @model_validator(mode="after")
    def _encoder_meets_the_latent(self) -> Self:
        halvings = len(self.transformer.lr_channels) - 1
        reached = self.tokeniser.tile >> halvings if self.transformer.lr_channels else self.tile
        if reached != self.tokeniser.side:
            raise ValueError(
                f"the LR encoder ends at a side of {reached}, the latent has {self.tokeniser.side}; "
                "change transformer.lr_channels or tokeniser.scales"
            )
        return self

    @property
    def tile(self) -> int:
        """Side of the LR picture in pixels."""
        return self.tokeniser.tile // FACTOR


_TEN_SCALES = (1, 2, 3, 4, 6, 9, 13, 18, 24, 32)

SIZES = {
    "tiny": AlignVarConfig(  # for tests
        name="alignvar-tiny",
        tokeniser=TokeniserConfig(kind="compact", channels=(8, 8, 16), codes=32, code_dim=8, scales=(1, 2, 3, 4)),
        transformer=TransformerConfig(depth=2, width=32, heads=2),
    ),
    "nano": AlignVarConfig(
        name="alignvar-nano",
        tokeniser=TokeniserConfig(
            kind="compact",
            channels=(48, 64, 96),
            codes=1024,
            code_dim=16,
            scales=(1, 2, 3, 4, 6, 8, 12, 16),
            anchored=True,
        ),
        transformer=TransformerConfig(depth=6, width=192, heads=6, lr_at_tokens=True),
        decode="mixed",
        fidelity=0.25,  # 1 in our spec: it puts noise and JPEG blocks of a poor input back, and good ones gain .1 dB
    ),
    "small": AlignVarConfig(
        name="alignvar-small",
        tokeniser=TokeniserConfig(
            kind="compact", channels=(96, 160, 224), codes=1024, code_dim=16, scales=_TEN_SCALES, anchored=True
        ),
        transformer=TransformerConfig(depth=8, width=384, heads=6, lr_at_tokens=True),
        fidelity=0.5,
    ),
    "d24": AlignVarConfig(
        name="alignvar-d24",
        tokeniser=TokeniserConfig(
            kind="var", channels=(160, 160, 320, 320, 640), codes=4096, code_dim=32, scales=_TEN_SCALES
        ),
        transformer=TransformerConfig(
            depth=24,
            width=1536,
            heads=24,
            adaln=True,
            labels=2,
            lr_channels=(32, 128, 256, 512, 1024),
        ),
    ),
}
"""The sizes by the short name that recipes and the command line use."""
