import numpy as np
import pytest

pytest.importorskip("transformers")

import pictures
import uniqa


@pytest.fixture(scope="module")
def model():
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**tower, "vocab_size": 2000, "bos_token_id": 1998, "eos_token_id": 1999, "pad_token_id": 1999}
    vision = {**tower, "patch_size": 16, "image_size": 32}
    return uniqa.random_model(uniqa.CLIPConfig(projection_dim=16, text_config=text, vision_config=vision))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return pictures.photos(tmp_path_factory.mktemp("photos"), 3, (96, 64))


def test_the_published_shape_is_vit_b_16():
    vision, text = uniqa.VIT_B_16.vision_config, uniqa.VIT_B_16.text_config
    assert (vision.hidden_size, vision.num_hidden_layers, vision.patch_size, vision.image_size) == (768, 12, 16, 224)
    assert (text.hidden_size, text.num_hidden_layers, text.max_position_embeddings) == (512, 12, uniqa.CONTEXT)


def test_ten_crops_depend_on_the_draw_and_not_on_anything_else(model, files):
    first, again, other = (uniqa.TenCrops(model, seed)(files[0]) for seed in (1, 1, 2))
    assert first == again != other
    assert 0.2 <= first <= 1


def test_both_ways_score_the_same_pictures_in_turns(model, files, tmp_path):
    seen = []
    contenders = {"ten": uniqa.TenCrops(model, 1), "ours": uniqa.exported(model, tmp_path, 4, False)}
    noted = {name: lambda path, name=name, score=score: seen.append(name) or score(path)
             for name, score in contenders.items()}  # fmt: skip
    runs = uniqa.take_turns(noted, files)
    assert seen == ["ten", "ours"] * 4, "the first round warms up"
    assert all(run.seconds > 0 and len(run.scores) == 3 for run in runs.values())
    np.testing.assert_allclose(runs["ours"].scores, 100 * runs["ten"].scores, atol=10)
