"""A vision-language model in this process: any image-text-to-text model of `transformers`, by name or folder."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, Self

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from beholder.errors import UserError
from beholder.imaging.fit import Fit
from beholder.imaging.open import open_image
from beholder.imaging.status import ImageError
from beholder.language.ask import Answer, AskError, Question, Sampling, finished


class LocalModel:
    """Answers with a Hugging Face model. Weights are read from safetensors only, and no code of a repository is run.

    A name is looked up in the local cache, then on the hub; a folder needs no network. With a temperature above 0 a
    text depends on its question's seed and, where `batch` is above 1, on the questions it shares a batch with.
    Raises `UserError` where there is no such model, it takes no pictures, or it has no chat template.
    """

    def __init__(
        self,
        model: str,
        *,
        sampling: Sampling | None = None,
        batch: int = 1,
        device: str | None = None,
        fit: Fit | None = None,
    ) -> None:
        self.name = f"local:{model.rstrip('/').rpartition('/')[2]}"
        self.batch = batch
        self.concurrency = 1
        self._sampling, self._fit = sampling or Sampling(), fit or Fit()
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            self._processor: Any = AutoProcessor.from_pretrained(model)  # type: ignore[no-untyped-call]
            loaded: Any = AutoModelForImageTextToText.from_pretrained(model, dtype="auto", use_safetensors=True)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(
                f"{model!r} can't be loaded as an image-text-to-text model: {reason} "
                "Allowed: a folder or hub name of such a model, e.g. Qwen/Qwen2.5-VL-3B-Instruct"
            ) from error
        tokenizer = getattr(self._processor, "tokenizer", None)
        if tokenizer is None or not (getattr(self._processor, "chat_template", None) or tokenizer.chat_template):
            raise UserError(f"{model!r} has no chat template, so it can't be asked. Try its instruction-tuned version")
        tokenizer.padding_side = "left"  # generation goes on from the right end of every row
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        self._tokenizer = tokenizer
        self._model = loaded.to(device).eval()
        ends = loaded.generation_config.eos_token_id
        self._ends = set(ends if isinstance(ends, list) else [tokenizer.eos_token_id if ends is None else ends])

    def drawing(self, sampling: Sampling) -> Self:
        """The same model, in memory once, whose texts are drawn otherwise. Not for use at the same time."""
        twin = copy(self)
        twin._sampling = sampling
        return twin

    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """As `Backend.ask`."""
        found: dict[str, Answer] = {}
        chats: list[tuple[Question, list[dict[str, Any]]]] = []
        for question in questions:
            try:
                chats.append((question, self._chat(question)))
            except ImageError as error:
                found[question.id] = Answer(question.id, status=error.status, error=str(error))
        texts: dict[str, list[str]] = {question.id: [] for question, _ in chats}
        for i in range(max((question.n_texts for question, _ in chats), default=0)):
            asked = [(question, chat) for question, chat in chats if i < question.n_texts and question.id not in found]
            if not asked:
                break
            seed = asked[0][0].seed + i
            for (question, _), (text, is_cut) in zip(
                asked, self._generate([chat for _, chat in asked], seed), strict=True
            ):
                try:
                    texts[question.id].append(finished(text, cut=is_cut))
                except AskError as error:
                    found[question.id] = Answer(question.id, status=error.status, error=str(error))
        return [found.get(question.id) or Answer(question.id, tuple(texts[question.id])) for question in questions]

    def stop(self) -> None:
        """As `Backend.stop`: there is nothing to repeat."""

    def _chat(self, question: Question) -> list[dict[str, Any]]:
        content: list[dict[str, Any]] = [{"type": "text", "text": question.prompt}]
        if question.picture is not None:
            image = Image.fromarray(open_image(question.picture, fit=self._fit).rgb)
            content.insert(0, {"type": "image", "image": image})
        return [{"role": "user", "content": content}]

    @torch.inference_mode()
    def _generate(self, chats: list[list[dict[str, Any]]], seed: int) -> list[tuple[str, bool]]:
        """Text of each chat, and whether it was cut at the token limit."""
        inputs = self._processor.apply_chat_template(
            chats,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        ).to(self._model.device)
        options: dict[str, Any] = {"do_sample": False}
        if self._sampling.temperature > 0:  # top_k 0: no limit beside those of `Sampling`, whatever the model's default
            limits = {"temperature": self._sampling.temperature, "top_p": self._sampling.top_p, "top_k": 0}
            options = {"do_sample": True, **limits}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            tokens = self._model.generate(
                **inputs,
                **options,
                max_new_tokens=self._sampling.max_tokens,
                pad_token_id=self._tokenizer.pad_token_id,
            )
        new = tokens[:, inputs["input_ids"].shape[1] :]
        texts = self._processor.batch_decode(new, skip_special_tokens=True)
        return [(text, not self._ends & set(row)) for text, row in zip(texts, new.tolist(), strict=True)]
