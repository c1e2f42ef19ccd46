import numpy as np
import torch
from nano_uniqa import tiny_model

from beholder.mini.config import KernelConfig
from beholder.mini.encoder import Encoder
from beholder.mini.features import Features, features_of
from beholder.mini.heads import fit_head


def test_the_block_is_the_tower_on_the_whole_and_on_its_quarters():
    model = tiny_model()
    side = model.config.side
    rgb = torch.rand(3, 3, 2 * side, 2 * side) * 255
    with torch.inference_mode():
        found = Encoder(model)(rgb)
        whole = torch.nn.functional.interpolate(rgb, scale_factor=0.5, mode="area")
        corners = [rgb[:, :, y : y + side, x : x + side] for y in (0, side) for x in (0, side)]
        seen = [model.encode_image(model.normalise(view / 255)) for view in (whole, *corners)]
        unit = [feature / feature.norm(dim=1, keepdim=True) for feature in seen]
    torch.testing.assert_close(found[:, : model.width], unit[0])
    torch.testing.assert_close(found[:, model.width :], torch.stack(unit[1:]).mean(dim=0))


def test_a_head_hears_the_encoder(scenes, books, head_config):
    measure = Features(books, Encoder(tiny_model())).eval()
    kernels = {**head_config.kernels, "uniqa": KernelConfig(weight=1.0, width=0.2)}
    rows = features_of(scenes, measure)
    assert rows.shape[1] == measure.places["uniqa"].stop
    unit = np.random.default_rng(0).random(len(scenes), dtype=np.float32)
    head = fit_head(rows, unit, measure.places, None, head_config.model_copy(update={"kernels": kernels}))
    with torch.inference_mode():
        deaf = head(torch.from_numpy(rows * (np.arange(rows.shape[1]) < measure.places["uniqa"].start)))
        assert (deaf - head(torch.from_numpy(rows))).abs().max() > 1e-2
