"""What `/openapi.json` says and what the server does are the same, as far as Schemathesis finds by trying."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .running import running

pytest.importorskip("schemathesis", reason="needs the extra test")

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

KEY = "0123456789abcdef-of-the-test"

N_EXAMPLES = 20
"""Of each route and kind; seconds in all."""

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
"""Not among them: that what the schema allows is accepted. It can't say that two pictures may come in either of two
lists, or what is base64."""

ROUTES = [
    ("/v1/score", "POST", GenerationMode.POSITIVE),
    ("/v1/score", "POST", GenerationMode.NEGATIVE),
    ("/v1/compare", "POST", GenerationMode.POSITIVE),
    ("/v1/compare", "POST", GenerationMode.NEGATIVE),
    ("/v1/models", "GET", GenerationMode.POSITIVE),
    ("/healthz", "GET", GenerationMode.POSITIVE),
]


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("uploads")
    (folder / "key").write_text(KEY)
    with running(folder, "--model", str(tiny), "--workers", "1", "--api-key-file", str(folder / "key")) as server:
        yield schemathesis.openapi.from_url(f"{server.url}/openapi.json")


def test_every_route_of_the_schema_is_tried(schema: Any) -> None:
    found = {(operation.ok().path, operation.ok().method.upper()) for operation in schema.get_all_operations()}
    assert found == {(path, method) for path, method, _ in ROUTES}


@pytest.mark.parametrize(("path", "method", "mode"), ROUTES)
@pytest.mark.parametrize("key", [KEY, None])
def test_no_request_breaks_the_server_or_gets_what_the_schema_does_not_say(
    path: str, method: str, mode: GenerationMode, key: str | None, schema: Any
) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}

    @settings(
        max_examples=N_EXAMPLES if key else 2,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def try_it(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    try_it()
