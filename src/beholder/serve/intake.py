"""Pictures that come in, as multipart, base64 or addresses of allowed hosts. Each becomes a file or a failure."""

from __future__ import annotations

import base64
import binascii
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import httpx
from fastapi import HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException as StarletteHTTPException

from beholder.imaging.formats import EXTENSIONS
from beholder.serve.settings import Settings

_numbers = count()


class EncodedPicture(BaseModel):
    """A picture in JSON."""

    model_config = ConfigDict(extra="forbid")

    base64: str = Field(description="The bytes of the file.")
    name: str | None = Field(None, description="Comes back in the answer; its ending may help to tell the format.")


class Pictures(BaseModel):
    """A request in JSON: pictures, addresses or both."""

    model_config = ConfigDict(extra="forbid")

    pictures: list[EncodedPicture] = []
    urls: list[Annotated[str, Field(max_length=2048)]] = Field(
        [], description="Addresses; only of hosts that the server allows, none unless told so."
    )


@dataclass(frozen=True)
class Arrived:
    """A picture that is here, or why it is not."""

    name: str | None
    file: Path | None
    error: str | None = None


BODY_SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["pictures"],
                    "additionalProperties": False,
                    "properties": {
                        "pictures": {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
                    },
                }
            },
            "application/json": {"schema": Pictures.model_json_schema()},
        },
    }
}
"""What OpenAPI says of a request body that is read by hand."""


@asynccontextmanager
async def arrived(
    request: Request, folder: Path, settings: Settings, n_wanted: int | None
) -> AsyncIterator[list[Arrived]]:
    """The pictures of a request as files in `folder`, in order; the files are deleted when the block ends.

    `n_wanted` is their number, or None for one at least and `settings.max_pictures` at most. Raises `HTTPException`
    415, 422, 413 or 403 for a body that is no such request, and for an address of a host that is not allowed.
    """
    made: list[Arrived] = []
    try:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            await _from_form(request, folder, settings, made)
        elif kind == "application/json":
            await _from_json(request, folder, settings, made)
        else:
            raise HTTPException(415, f"content type {kind or 'none'!r}; send multipart/form-data or application/json")
        _check_number(len(made), settings, n_wanted)
        yield made
    finally:
        for picture in made:
            if picture.file is not None:
                picture.file.unlink(missing_ok=True)


async def _from_form(request: Request, folder: Path, settings: Settings, made: list[Arrived]) -> None:
    async with _form(request, settings) as form:
        for field, value in form.multi_items():
            if field != "pictures" or not isinstance(value, UploadFile):
                raise HTTPException(422, f"form field {field!r}; send files in the field 'pictures'")
            file = _new_file(folder, value.filename)
            made.append(Arrived(value.filename, file))
            with file.open("wb") as target:
                shutil.copyfileobj(value.file, target)


@asynccontextmanager
async def _form(request: Request, settings: Settings) -> AsyncIterator[FormData]:
    try:
        form = await request.form(max_files=settings.max_pictures, max_fields=1)
    except StarletteHTTPException as error:
        raise HTTPException(
            422 if error.status_code == 400 else error.status_code, error.detail, error.headers
        ) from None
    try:
        yield form
    finally:
        await form.close()


async def _from_json(request: Request, folder: Path, settings: Settings, made: list[Arrived]) -> None:
    try:
        body = Pictures.model_validate_json(await request.body())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise HTTPException(422, f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}") from None
    _check_number(len(body.pictures) + len(body.urls), settings, None)
    for number, picture in enumerate(body.pictures):
        try:
            data = base64.b64decode(picture.base64, validate=True)
        except binascii.Error as error:
            raise HTTPException(422, f"pictures.{number}.base64: {error}") from None
        file = _new_file(folder, picture.name)
        made.append(Arrived(picture.name, file))
        file.write_bytes(data)
    for url in body.urls:
        made.append(await _fetched(url, folder, settings))


async def _fetched(url: str, folder: Path, settings: Settings) -> Arrived:
    """A picture from an allowed host. Redirects are not followed: they could lead to any other."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        where = {host, f"{host}:{parts.port or {'http': 80, 'https': 443}.get(parts.scheme, 0)}"}
    except ValueError:
        raise HTTPException(422, f"not an address: {url!r}") from None
    if parts.scheme not in ("http", "https") or not where & settings.url_hosts:
        allowed = ", ".join(sorted(settings.url_hosts)) or "none"
        raise HTTPException(403, f"addresses of {host or parts.scheme!r} are not fetched; allowed hosts: {allowed}")
    file = _new_file(folder, parts.path)
    name = url
    try:
        async with (
            httpx.AsyncClient(timeout=settings.timeout_s, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != 200:
                return Arrived(name, None, f"the address answered {response.status_code}")
            n_left = settings.max_bytes
            with file.open("wb") as target:
                async for piece in response.aiter_bytes():
                    n_left -= len(piece)
                    if n_left < 0:
                        file.unlink()
                        return Arrived(name, None, f"larger than {settings.max_mb:g} MB")
                    target.write(piece)
    except httpx.HTTPError as error:
        file.unlink(missing_ok=True)
        return Arrived(name, None, f"could not be fetched: {type(error).__name__}")
    return Arrived(name, file)


def _check_number(n: int, settings: Settings, n_wanted: int | None) -> None:
    if n_wanted is not None and n != n_wanted:
        raise HTTPException(422, f"{n} pictures; send {n_wanted}")
    if not 1 <= n <= settings.max_pictures:
        raise HTTPException(413 if n else 422, f"{n} pictures; send 1 to {settings.max_pictures} at a time")


def _new_file(folder: Path, name: str | None) -> Path:
    """A file name of ours. Of the client's only the ending is kept, if known: it tells raw formats from TIFF."""
    suffix = Path(name or "").suffix.lower()
    return folder / f"{next(_numbers)}{suffix if suffix in EXTENSIONS else ''}"
