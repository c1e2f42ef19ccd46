"""Contrastive pre-training on the unified set, on the Hugging Face `Trainer` (spec, section 4).

Left out, and why: the fp16 weights with fp32 updates of the published script; bfloat16 autocast over float32 weights
does the same without loss scaling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, Sampler, SequentialSampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from beholder.errors import UserError
from beholder.training.lines import show_lines
from beholder.uniqa.config import OptimiserConfig, PretrainRecipe
from beholder.uniqa.crops import Pictures, centre_crop, random_crop
from beholder.uniqa.folder import ModelConfig, TaskConfig
from beholder.uniqa.loss import Pair, chunked_backward, clamp_log_scale, global_loss
from beholder.uniqa.model import Uniqa
from beholder.uniqa.nano import NanoConfig, nano_clip
from beholder.uniqa.prompts import DEFAULT_GROUPS
from beholder.uniqa.texts import UnifiedSet


class Contrast(nn.Module):
    """What is trained: the whole encoder of a model, pictures and texts in, a pair of features out."""

    def __init__(self, model: Uniqa) -> None:
        super().__init__()
        self.model = model
        model.encoder.requires_grad_(True)
        if hasattr(model.encoder, "logit_bias"):  # of SigLIP's own loss; a softmax does not see it
            model.encoder.logit_bias.requires_grad_(False)

    def forward(self, rgb: Tensor, tokens: Tensor) -> Pair:
        """`rgb` uint8 (B, S, S, 3), `tokens` int64 (B, L)."""
        pixels = self.model.normalise(rgb.permute(0, 3, 1, 2).float() / 255)
        image, text = self.model.encode_image(pixels), self.model.encode_tokens(tokens)
        return Pair(image, text, self.model.encoder.logit_scale)


class Draws(Dataset[dict[str, Any]]):
    """Item i of a run: a picture, one crop and one of its texts, drawn with seed (seed, i) alone.

    Each epoch is a permutation cut to whole batches, so no batch holds a picture twice, and any process, worker or
    resumed run draws the same item i.
    """

    def __init__(self, unified: UnifiedSet, pixels: Pictures, recipe: PretrainRecipe, side: int) -> None:
        if len(unified) < recipe.batch:
            raise UserError(
                f"batch = {recipe.batch} needs as many different pictures and the set has {len(unified)}; "
                f"try batch: {len(unified)} or less"
            )
        self.unified, self.pixels, self.recipe, self.side = unified, pixels, recipe, side
        self.per_epoch = len(unified) // recipe.batch * recipe.batch
        self.steps = recipe.steps or (recipe.epochs or 1) * self.per_epoch // recipe.batch
        self._epoch, self._order = -1, np.arange(0)

    def __len__(self) -> int:
        return self.steps * self.recipe.batch

    def row(self, index: int) -> int:
        """Row of the picture in the unified set that item `index` shows."""
        epoch, place = divmod(index, self.per_epoch)
        if epoch != self._epoch:
            rng = np.random.default_rng((self.recipe.seed, 0, epoch))
            self._epoch, self._order = epoch, rng.permutation(len(self.unified))
        return int(self._order[place])

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.row(index)
        rng = np.random.default_rng((self.recipe.seed, 1, index))
        picture, rgb = self.unified.pictures[row], self.pixels[row]
        if "quality" in picture.tasks and rng.random() < self.recipe.native_crop:
            crop = random_crop(rgb, self.side, rng, mirror=False)
        else:
            crop = centre_crop(rgb, self.side)
        return {"rgb": torch.from_numpy(crop), "text": picture.draw(rng)}


def collate(items: Sequence[dict[str, Any]], tokenize: Callable[[Sequence[str]], Tensor]) -> dict[str, Tensor]:
    """Crops stacked, texts tokenised to the longest."""
    return {
        "rgb": torch.stack([item["rgb"] for item in items]),
        "tokens": tokenize([item["text"] for item in items]),
    }


class _ClampScale(TrainerCallback):
    """exp(logit_scale) <= 100 after every step."""

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        model = kwargs["model"]
        clamp_log_scale(getattr(model, "module", model).model.encoder.logit_scale)


class ContrastTrainer(Trainer):
    """`Trainer` with the loss of all processes, in chunks if `chunk` > 0, and its own order and decay."""

    def __init__(self, *, chunk: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.chunk = chunk

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        """Contrastive loss of the global batch."""
        return global_loss(Pair(*model(**inputs)))

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """One backward pass; with `chunk`, through one chunk of graph at a time."""
        if not self.chunk:
            loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
            return loss
        model.train()
        return chunked_backward(
            lambda part: Pair(*model(**part)),
            self._prepare_inputs(inputs),
            self.chunk,
            backward=self.accelerator.backward,
            no_sync=lambda: self.accelerator.no_sync(model),
        )

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Matrices only: no norms, biases, class token, logit scale."""
        return [name for name, parameter in model.named_parameters() if parameter.ndim >= 2]

    def _get_train_sampler(self, *_: Any) -> Sampler[int]:
        return SequentialSampler(cast(Draws, self.train_dataset))  # `Draws` is a permutation already


def start_model(recipe: PretrainRecipe, texts: Sequence[str]) -> Uniqa:
    """The encoder that pre-training starts from, with zero-shot heads for both tasks."""
    if isinstance(recipe.encoder, NanoConfig):
        return nano_model(recipe.encoder, texts, recipe.seed)
    return Uniqa.from_encoder(recipe.encoder)


def nano_model(config: NanoConfig, texts: Sequence[str], seed: int) -> Uniqa:
    """A nano encoder from scratch with zero-shot heads for both tasks."""
    encoder, tokenizer = nano_clip(config, texts, seed)
    tasks = {task: TaskConfig(groups=groups) for task, groups in DEFAULT_GROUPS.items()}
    return Uniqa(encoder, ModelConfig(encoder=encoder.config.to_dict(), side=config.side, tasks=tasks), tokenizer)


def make_trainer(recipe: PretrainRecipe, model: Uniqa, unified: UnifiedSet, pixels: Pictures, out: Path) -> Trainer:
    """A trainer ready to run; `pixels` are those of `unified`, in its order. Nothing is learned yet.

    Raises UserError where the batch does not divide among the processes or is larger than the set.
    """
    draws = Draws(unified, pixels, recipe, model.config.side)
    arguments = TrainingArguments(
        output_dir=str(out),
        max_steps=draws.steps,
        **optimiser_arguments(recipe.optimiser),
        bf16=recipe.bf16,
        use_cpu=not torch.cuda.is_available(),
        seed=recipe.seed,
        save_strategy="steps",
        save_steps=recipe.save_steps,
        save_total_limit=2,
        logging_steps=max(1, min(50, draws.steps // 20)),
        disable_tqdm=True,
        dataloader_num_workers=recipe.loaders,
        dataloader_persistent_workers=recipe.loaders > 0,
        dataloader_drop_last=True,
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,
        report_to=[],
    )
    if arguments.n_gpu > 1:  # the Trainer would split batches in one process, and the loss would see the parts alone
        raise UserError(
            f"{arguments.n_gpu} GPUs are visible to one process; start it with `accelerate launch -m beholder ...` to "
            "use them all, or with CUDA_VISIBLE_DEVICES=0 to use one"
        )
    share, rest = divmod(recipe.batch, arguments.world_size)
    if rest:
        raise UserError(f"batch = {recipe.batch} does not divide among {arguments.world_size} processes")
    arguments.per_device_train_batch_size = share
    return ContrastTrainer(
        model=Contrast(model),
        args=arguments,
        train_dataset=draws,
        data_collator=lambda items: collate(items, model.tokenize),
        callbacks=[_ClampScale()],
        chunk=recipe.chunk,
    )


def optimiser_arguments(config: OptimiserConfig) -> dict[str, Any]:
    """The `TrainingArguments` of an optimiser."""
    return {
        "optim": "adamw_torch",
        "learning_rate": config.learning_rate,
        "adam_beta1": config.betas[0],
        "adam_beta2": config.betas[1],
        "adam_epsilon": config.eps,
        "weight_decay": config.weight_decay,
        "lr_scheduler_type": "cosine",
        "warmup_steps": config.warmup_steps,
        "max_grad_norm": config.max_grad_norm,
    }


def pretrain(
    recipe: PretrainRecipe,
    unified: UnifiedSet,
    out: Path,
    *,
    pixels: Pictures | None = None,
    model: Uniqa | None = None,
) -> Uniqa:
    """The whole run. A stopped one in `out` goes on from its last checkpoint; the model is left in `out/model`.

    `pixels`: the pictures of `unified`, if they are in memory already; `model`: where to start, if not where the
    recipe says.
    """
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    if pixels is None:
        pixels = Pictures([picture.path for picture in unified.pictures], keep=recipe.keep_decoded)
    model = start_model(recipe, unified.texts()) if model is None else model
    trainer = make_trainer(recipe, model, unified, pixels, out / "checkpoints")
    last = get_last_checkpoint(trainer.args.output_dir) if Path(trainer.args.output_dir).is_dir() else None  # type: ignore[no-untyped-call, arg-type]
    show_lines(trainer)
    trainer.train(resume_from_checkpoint=last)
    model.cpu().eval()
    model.encoder.requires_grad_(False)
    model.refresh_text()
    if trainer.is_world_process_zero():
        model.save(out / "model")
    return model
