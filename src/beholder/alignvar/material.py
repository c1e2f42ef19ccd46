"""What a run learns from and is judged by, after its recipe: training crops without end, and fixed held-out ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from beholder.alignvar.crops import Crops, Judged, Photos, held_out_crops, read_photos
from beholder.alignvar.learn import Recipe


@dataclass(frozen=True)
class Material:
    """Photos of a recipe, cut and degraded as it says."""

    recipe: Recipe
    photos: Photos
    judged: Judged

    def crops(self, n: int) -> Crops:
        """`n` training items."""
        recipe = self.recipe
        return Crops(
            self.photos.train,
            recipe.model.tokeniser.tile,
            recipe.crops,
            length=n,
            seed=recipe.seed,
            shares=recipe.degradation,
            margin=recipe.margin,
        )


def read_material(recipe: Recipe, photos: Photos | None, on_line: Callable[[str], None]) -> Material:
    """`photos`: those of the recipe, if they are in memory already. Raises UserError as `read_photos` does."""
    side = recipe.model.tokeniser.tile
    photos = read_photos(recipe.photos, side) if photos is None else photos
    on_line(f"{len(photos.train)} photos to learn from, {len(photos.held_out)} held out, {photos.too_small} too small")
    return Material(
        recipe, photos, held_out_crops(photos.held_out, side, recipe.crops_per_photo, list(recipe.degradation))
    )
