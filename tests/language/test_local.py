import numpy as np
import pytest
from PIL import Image

pytest.importorskip("transformers")

from tiny_vlm import write_tiny_vlm

from beholder.errors import UserError
from beholder.language.ask import Question, Sampling
from beholder.language.local import LocalModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_vlm(tmp_path_factory.mktemp("models") / "tiny-vlm")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, render_picture):
    folder = tmp_path_factory.mktemp("pictures")
    render_picture(0, (64, 48)).save(folder / "scene.png")
    Image.fromarray(np.full((48, 64, 3), 255, np.uint8)).save(folder / "white.png")
    return folder


def model(folder, **options):
    return LocalModel(str(folder), sampling=Sampling(temperature=1.0, max_tokens=300), device="cpu", **options)


def test_a_picture_is_answered_with_text_of_its_own(folder, pictures):
    ask = model(folder).ask
    scene, white = (Question(name, "what is it ?", pictures / f"{name}.png") for name in ("scene", "white"))
    (first,), (again,), (other,) = ask([scene]), ask([scene]), ask([white])
    assert first.status == "ok"
    assert first.texts == again.texts
    assert first.texts != other.texts, "the picture matters"
    assert "<|" not in first.texts[0]
    assert not first.texts[0].startswith("user"), "the prompt is not part of the answer"


def test_each_text_has_a_seed_of_its_own(folder, pictures):
    ask = model(folder).ask
    (both,) = ask([Question("q", "what is it ?", pictures / "scene.png", n_texts=2, seed=5)])
    (second,) = ask([Question("q", "what is it ?", pictures / "scene.png", seed=6)])
    assert both.texts[0] != both.texts[1] == second.texts[0]


def test_without_temperature_the_seed_does_not_matter(folder, pictures):
    greedy = LocalModel(str(folder), sampling=Sampling(0.0, 4), device="cpu")
    errors = {greedy.ask([Question("q", "what", pictures / "scene.png", seed=s)])[0].error for s in range(3)}
    assert len(errors) == 1


def test_a_batch_mixes_pictures_text_and_failures(folder, pictures):
    answers = model(folder, batch=4).ask(
        [
            Question("a", "what is it ?", pictures / "scene.png"),
            Question("b", "x", pictures / "gone.png"),
            Question("c", "what is a good image ?"),
            Question("d", "is it sharp ?", pictures / "white.png"),
        ]
    )
    assert [answer.id for answer in answers] == ["a", "b", "c", "d"]
    assert [answer.status for answer in answers] == ["ok", "unreadable", "ok", "ok"]
    assert [len(answer.texts) for answer in answers] == [1, 0, 1, 1]


def test_padding_does_not_change_an_answer(folder, pictures):
    greedy = LocalModel(str(folder), sampling=Sampling(0.0, 6), device="cpu", batch=2)
    short = Question("s", "what", pictures / "scene.png")
    long = Question("l", "what is it ? a good image ? a bad image ? sharp ?", pictures / "white.png")
    alone, together = greedy.ask([short])[0], greedy.ask([short, long])[0]
    assert (alone.texts, alone.error) == (together.texts, together.error)


def test_a_text_that_hits_the_limit_is_cut_and_not_kept(folder, pictures):
    short = LocalModel(str(folder), sampling=Sampling(1.0, 2), device="cpu")
    (answer,) = short.ask([Question("q", "what is it ?", pictures / "scene.png")])
    assert (answer.texts, answer.status) == ((), "cut")
    assert "--max-tokens" in answer.error


def test_a_model_without_chat_template_is_refused(tmp_path):
    with pytest.raises(UserError, match="no chat template"):
        LocalModel(str(write_tiny_vlm(tmp_path / "base", chat_template=None)))


def test_a_model_that_takes_no_pictures_is_refused(tmp_path):
    from transformers import GPT2Config

    GPT2Config(n_embd=8, n_layer=1, n_head=1).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="can't be loaded as an image-text-to-text model"):
        LocalModel(str(tmp_path))


def test_a_folder_that_holds_no_model_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"Qwen/Qwen2\.5-VL"):
        LocalModel(str(tmp_path))


def test_a_tiny_share_of_the_likelihood_draws_as_without_temperature(folder, pictures):
    question = Question("q", "what is it ?", pictures / "scene.png", seed=3)
    drawn = LocalModel(str(folder), sampling=Sampling(1.0, 300), device="cpu")
    (free,), (narrow,), (greedy,) = (
        drawn.drawing(Sampling(temperature, 12, top_p)).ask([question])
        for temperature, top_p in ((1.0, 1.0), (1.0, 1e-6), (0.0, 1.0))
    )
    assert (narrow.texts, narrow.error) == (greedy.texts, greedy.error)
    assert (free.texts, free.error) != (greedy.texts, greedy.error)
