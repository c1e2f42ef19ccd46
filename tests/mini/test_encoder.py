import numpy as np
import onnxruntime
import torch
from nano_uniqa import tiny_model

from beholder.mini.config import KernelConfig
from beholder.mini.encoder import Encoder
from beholder.mini.export import Mini, export_onnx
from beholder.mini.features import Features, features_of
from beholder.mini.heads import fit_head
from beholder.task import TASKS


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


def test_a_mini_with_an_encoder_exports_and_hears_it(tmp_path, scenes, books, head_config, render_picture):
    measure = Features(books, Encoder(tiny_model())).eval()
    kernels = {**head_config.kernels, "uniqa": KernelConfig(weight=1.0, width=0.2)}
    config = head_config.model_copy(update={"kernels": kernels})
    rows = features_of(scenes, measure)
    assert rows.shape[1] == measure.places["uniqa"].stop
    unit = np.random.default_rng(0).random((2, len(scenes)), dtype=np.float32)
    heads = {task: fit_head(rows, one, measure.places, None, config) for task, one in zip(TASKS, unit, strict=True)}
    model = Mini(measure, heads).eval()
    export_onnx(model, tmp_path / "toy.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "toy.onnx", providers=["CPUExecutionProvider"])
    for size, n in (((64, 64), 1), ((150, 97), 3)):
        batch = np.stack([np.asarray(render_picture(20 + seed, size)) for seed in range(n)])
        with torch.inference_mode():
            expected = model(torch.from_numpy(batch))
        for ours, theirs in zip(session.run(list(TASKS), {"rgb": batch}), expected, strict=True):
            np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-4)
    with torch.inference_mode():
        deaf = model.heads["quality"](
            torch.from_numpy(rows * (np.arange(rows.shape[1]) < measure.places["uniqa"].start))
        )
        assert (deaf - model.heads["quality"](torch.from_numpy(rows))).abs().max() > 1e-2
