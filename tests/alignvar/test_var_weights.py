import plain_var
import pytest
import torch

from beholder.alignvar.config import SIZES, AlignVarConfig, TokeniserConfig, TransformerConfig
from beholder.alignvar.folder import load
from beholder.alignvar.tokeniser import Tokeniser
from beholder.alignvar.transformer import AlignVar
from beholder.alignvar.var_weights import convert, load_tokeniser_weights, load_transformer_weights
from beholder.cli import main
from beholder.errors import UserError

CONFIG = AlignVarConfig(
    name="alignvar-d2",
    tokeniser=TokeniserConfig(
        kind="var",
        channels=plain_var.WIDTHS,
        codes=plain_var.CODES,
        code_dim=plain_var.CODE_DIM,
        scales=plain_var.SCALES,
    ),
    transformer=TransformerConfig(depth=2, width=32, heads=2, adaln=True, labels=2, lr_channels=(8, 16, 16)),
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("var")
    torch.save(plain_var.tokeniser_tensors(), folder / "vae.pth")
    torch.save(plain_var.transformer_tensors(2, 32, 2, 3), folder / "var.pth")
    return folder / "vae.pth", folder / "var.pth"


@pytest.fixture(scope="module")
def converted(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "model"
    reports = convert(*files, out, config=CONFIG)
    return load(out), *reports


def test_the_tokeniser_computes_what_vars_formulas_do(converted):
    tensors, tokeniser = plain_var.tokeniser_tensors(), converted[0].tokeniser
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    z = plain_var.encode(tensors, x)
    torch.testing.assert_close(tokeniser.encode(x), z, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(tokeniser.decode(z), plain_var.decode(tensors, z), atol=1e-4, rtol=1e-4)
    assert torch.equal(tokeniser.pyramid.codebook, tensors["quantize.embedding.weight"])
    for i in range(4):
        name = f"quantize.quant_resi.qresi_ls.{i}.weight"
        assert torch.equal(tokeniser.pyramid.phi[i].weight, tensors[name])


def test_blocks_and_head_compute_what_vars_formulas_do(converted):
    tensors, model = plain_var.transformer_tensors(2, 32, 2, 3), converted[0].model
    generator = torch.Generator().manual_seed(2)
    x, condition = torch.randn(2, 5, 32, generator=generator), torch.randn(2, 32, generator=generator)
    still = torch.stack([torch.ones(5, 8), torch.zeros(5, 8)])  # no rotation
    ours = expected = x
    for i, block in enumerate(model.blocks):
        ours = block(ours, condition, still, [ours.shape[1]], None)
        expected = plain_var.block(tensors, f"blocks.{i}", expected, condition[:, None], heads=2)
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)
    logits = plain_var.head(tensors, expected, condition[:, None])
    torch.testing.assert_close(model._logits(expected, condition), logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model.level.weight, tensors["lvl_embed.weight"])
    torch.testing.assert_close(model.word.weight, tensors["word_embed.weight"])


def test_the_report_says_what_was_loaded_dropped_and_new(converted):
    _, tokeniser, transformer = converted
    assert tokeniser.dropped == ("quantize.ema_vocab_hit_SV",)
    assert tokeniser.new == ("latent_std",)
    assert {"class_emb.weight", "pos_start", "pos_1LC"} < set(transformer.dropped)
    assert {name.split(".")[0] for name in transformer.new} == {"lr_encoder", "gate", "positions", "label"}
    assert {name.split(".")[0] for name in transformer.loaded} == {
        "word", "level", "blocks", "head_modulation", "head",
    }  # fmt: skip
    assert len(transformer.loaded) + len(transformer.new) == len(converted[0].model.state_dict())


def test_a_converted_model_runs_and_says_that_it_is_not_trained(converted):
    model = converted[0]
    assert "start for training" in model.facts["training"]
    assert len(model.facts["source_sha256"]["var.pth"]) == 64
    logits, _ = model.model.begin(torch.rand(1, 3, 4, 4))
    assert logits.shape == (1, 1, 16)


def test_d24_takes_every_tensor_of_var_d24(monkeypatch):
    """By names and shapes, on `meta`: two gigabytes of zeros would say no more."""
    monkeypatch.setattr(plain_var, "CODE_DIM", 32)
    monkeypatch.setattr(plain_var, "CODES", 4096)
    monkeypatch.setattr(plain_var, "WIDTHS", (160, 160, 320, 320, 640))
    with torch.device("meta"):
        model, state = AlignVar(SIZES["d24"]), plain_var.transformer_tensors(24, 1536, 24, 10)
        tokeniser, tokeniser_state = Tokeniser(SIZES["d24"].tokeniser), plain_var.tokeniser_tensors()
    report = load_transformer_weights(model, state)
    assert len(report.loaded) == 24 * 12 + 7
    assert len(load_tokeniser_weights(tokeniser, tokeniser_state).loaded) == len(tokeniser.state_dict()) - 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("head.weight"), "1 tensors are missing: head.weight"),
        (lambda t: t.update({"shared_ada_lin.1.weight": torch.zeros(1)}), "no place: shared_ada_lin"),
        (lambda t: t.update({"lvl_embed.weight": torch.zeros(9, 32)}), r"level.weight for one: \[9, 32\], \[3, 32\]"),
    ],
)
def test_weights_of_another_size_are_refused(change, message):
    tensors = plain_var.transformer_tensors(2, 32, 2, 3)
    change(tensors)
    with pytest.raises(UserError, match=message):
        load_transformer_weights(AlignVar(CONFIG), tensors)


def test_the_command_ends_in_one_line_where_files_are_not_weights(files, tmp_path, capsys):
    broken = tmp_path / "broken.pth"
    broken.write_bytes(files[0].read_bytes()[:1000])
    out = tmp_path / "out"
    line = ["convert", "alignvar", "--tokenizer", str(broken), "--transformer", str(files[1]), "-o", str(out)]
    assert main(line) == 1
    assert "broken.pth" in capsys.readouterr().err
    line[3] = str(tmp_path / "none.pth")
    assert main(line) == 1
    assert "is not a file" in capsys.readouterr().err
    assert not out.exists()
