"""A model behind an OpenAI-compatible chat endpoint: a cloud service, or vLLM, llama.cpp, Ollama on your own machine.

Repeated are only failures that may pass: no connection, no answer in time, 429 and 5xx. The pause doubles, with
jitter, and is never shorter than the server's `Retry-After`. Other refusals are final for the question; a wrong key
(401) or an unknown address or model (404) ends the run, because it would be the same for every picture.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from typing import Any

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_random_exponential,
)

from beholder.errors import UserError
from beholder.imaging.fit import Fit
from beholder.imaging.status import ImageError
from beholder.language.ask import Answer, AskError, HopelessError, Question, Sampling, finished
from beholder.language.picture import data_url

BASE_URL, API_KEY = "OPENAI_BASE_URL", "OPENAI_API_KEY"

LONGEST_PAUSE_S = 300.0
"""A server that asks for a longer pause than this is `unavailable`: a later run with --retry-failed is better."""


@dataclass(frozen=True)
class Patience:
    """How long a question may take."""

    timeout_s: float = 120.0
    """Seconds that the server may stay silent, in one attempt."""
    attempts: int = 6
    first_pause_s: float = 1.0
    """Doubled after every attempt; the pause is drawn between 0 and that, so that many clients don't come at once."""
    longest_pause_s: float = 60.0
    """Limit of that doubling."""


class _PassingError(AskError):
    """A failure that may pass."""

    def __init__(self, status: str, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(status, message)
        self.retry_after_s = retry_after_s


class Endpoint:
    """Asks the chat endpoint at `base_url`, by default `$OPENAI_BASE_URL`, with the key in `$OPENAI_API_KEY`, if any.

    The key is sent to that address only, never stored, never printed; redirects are not followed. Raises `UserError`
    where there is no address, or one that is not http(s).
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        *,
        sampling: Sampling | None = None,
        patience: Patience | None = None,
        concurrency: int = 8,
        fit: Fit | None = None,
    ) -> None:
        address = base_url or os.environ.get(BASE_URL)
        if not address:
            raise UserError(
                f"no endpoint: give --base-url or set {BASE_URL}, e.g. http://localhost:8000/v1 for a vLLM server"
            )
        if not address.startswith(("http://", "https://")):
            raise UserError(
                f"endpoint {address!r} is not an http:// or https:// address, e.g. http://localhost:8000/v1"
            )
        self.name = f"endpoint:{model}"
        self.batch = 1
        self.concurrency = concurrency
        self._model, self._fit = model, fit or Fit()
        self._sampling, self._patience = sampling or Sampling(), patience or Patience()
        self._stopped = Event()
        key = os.environ.get(API_KEY)
        self._url = address.rstrip("/") + "/chat/completions"
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=self._patience.timeout_s,
            limits=httpx.Limits(max_connections=concurrency),
        )

    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """As `Backend.ask`."""
        return [self._answer(question) for question in questions]

    def stop(self) -> None:
        """As `Backend.stop`: pauses end at once, and an attempt that is on its way is the last."""
        self._stopped.set()

    def _answer(self, question: Question) -> Answer:
        try:
            content = self._content(question)
            texts = tuple(self._text(content, question.seed + i) for i in range(question.n_texts))
        except (ImageError, AskError) as error:
            return Answer(question.id, status=error.status, error=str(error))
        return Answer(question.id, texts)

    def _content(self, question: Question) -> list[dict[str, Any]]:
        text = {"type": "text", "text": question.prompt}
        if question.picture is None:
            return [text]
        return [{"type": "image_url", "image_url": {"url": data_url(question.picture, self._fit)}}, text]

    def _text(self, content: list[dict[str, Any]], seed: int) -> str:
        payload = {
            "model": self._model,
            "messages": [{"role": "user", "content": content}],
            "temperature": self._sampling.temperature,
            "max_tokens": self._sampling.max_tokens,
            "seed": seed,
        }
        if self._sampling.top_p < 1:  # some services refuse it beside a temperature, so it isn't sent unasked
            payload["top_p"] = self._sampling.top_p
        patience = self._patience
        backoff = wait_random_exponential(multiplier=patience.first_pause_s, max=patience.longest_pause_s)

        def pause(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after_s if isinstance(error, _PassingError) else 0.0
            return asked + backoff(state)

        attempts = Retrying(
            stop=stop_after_attempt(patience.attempts) | stop_when_event_set(self._stopped),
            sleep=sleep_using_event(self._stopped),
            wait=pause,
            retry=retry_if_exception_type(_PassingError),
            reraise=True,
        )
        return read_text(attempts(self._post, payload))

    def _post(self, payload: dict[str, Any]) -> httpx.Response:
        try:
            response = self._client.post(self._url, json=payload)
        except httpx.TimeoutException:
            raise _PassingError("timeout", f"no answer within {self._patience.timeout_s:g} s") from None
        except httpx.TransportError as error:
            raise _PassingError("unavailable", f"no connection to {self._url}: {error}") from None
        if response.is_success:
            return response
        said = f"{self._url} answered {response.status_code}: {' '.join(response.text.split())[:300] or 'no reason'}"
        if response.status_code == 429 or response.status_code >= 500:
            wished_s = retry_after_s(response.headers.get("retry-after"))
            if wished_s > LONGEST_PAUSE_S:
                raise AskError("unavailable", f"{said}; it asks for a pause of {wished_s:.0f} s")
            raise _PassingError("unavailable", said, wished_s)
        if response.status_code == 401:
            raise HopelessError(f"{said}. Try a valid key in {API_KEY}")
        if response.status_code == 404:
            raise HopelessError(f"{said}. Try another --base-url (most end in /v1) or --model")
        raise AskError("refused", said)


def read_text(response: httpx.Response) -> str:
    """The text of a chat completion. Raises `AskError` for everything that is none."""
    try:
        choice = response.json()["choices"][0]
        text, reason = choice["message"]["content"], choice.get("finish_reason")
    except (ValueError, LookupError, TypeError, AttributeError):
        raise AskError("malformed", f"not a chat completion: {response.text[:200]!r}") from None
    if reason == "content_filter":
        raise AskError("refused", "the server's content filter held the answer back")
    if text is not None and not isinstance(text, str):
        raise AskError("malformed", f"the message's content is a {type(text).__name__}, not text")
    return finished(text or "", cut=reason == "length")


def retry_after_s(header: str | None) -> float:
    """Seconds of a `Retry-After` header, a number or a date; 0 without one or where it can't be read.

    >>> retry_after_s("7"), retry_after_s(None), retry_after_s("soon")
    (7.0, 0.0, 0.0)
    """
    if header is None:
        return 0.0
    if header.strip().isdigit():
        return float(header)
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    return max(0.0, (when - datetime.now(UTC)).total_seconds()) if when.tzinfo else 0.0
