"""What a user is told of an answer that is no page: its cause, the API's own words, no secret."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dlt.extract.exceptions import ResourceExtractionError
from requests import Response

from link_assets.defs.failures import explanation
from link_assets.sandbox import Fault, Sandbox, serve
from link_assets.settings import SettingsError
from link_assets.source.refusals import own_words, refusal, shown
from link_assets_tests.source.test_pages import read_links
from link_assets_tests.support import Location, failure_text
from link_assets_tests.traces import Traces, events

KEY = "k3y-7b1f-that-nobody-may-see"
SALT = "s4lt-9c2e-of-our-own"
API = "SOURCES__LINK_ASSETS__"


def told(**changes: Any) -> str:
    """What a user is told when the links cannot be read."""
    with pytest.raises(ResourceExtractionError) as failure:
        read_links(**changes)
    found = explanation(failure.value, "links")
    assert found is not None
    return str(found.description)


def says(body: Any) -> str:
    """The words quoted of an error with this body."""
    response = Response()
    response.status_code, response.reason = 402, "Payment Required"
    response._content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return own_words(response, (KEY, SALT))


@pytest.fixture(autouse=True)
def usual_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """No authority but the usual ones is trusted."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


# Own words


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 410, 418, 422, 429, 500, 501, 503])
def test_every_failing_status_shows_the_apis_own_words(
    api: str, sandbox: Sandbox, status: int
) -> None:
    body = json.dumps({"message": "The trial ended on Monday."})
    sandbox.faults = [Fault(status=status, body=body, times=None)]
    message = told(max_retries=1)
    assert message.startswith(f"links, page 1: the API answered {status} ")
    assert message.endswith("; the API says: The trial ended on Monday.")


def test_an_answer_without_rows_shows_the_apis_own_words(api: str, sandbox: Sandbox) -> None:
    sandbox.faults = [Fault(raw=b'{"error": "no such account"}')]
    assert told() == (
        "links, page 1: the answer has no list under 'links' (found: no such key)"
        "; the API says: no such account."
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"message": "a", "error": "b"}, "a"),
        ({"error": "b", "message": ""}, "b"),
        ({"error": {"code": 7, "message": "c"}}, "c"),
        ({"errors": [{"code": 7}, {"detail": "d"}]}, "d"),
        ({"error": True, "detail": "e"}, "e"),
        ({"error": "invalid_grant", "error_description": "f"}, "f"),
        ({"message": "one\r\n\ttwo\u202e\x1b[31m  three\x00"}, "one two [31m three"),
        ({"message": "x" * 500}, "x" * 200),
        ({"message": "\ud800 half"}, "half"),
    ],
)
def test_the_words_are_found_and_shown_as_one_short_line(body: Any, words: str) -> None:
    told = says(body)
    assert told.startswith(f"; the API says: {words}")
    assert len(told) <= 240
    assert told.isprintable()


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<p>Forbidden</p>", b"Forbidden", b'"Forbidden"', b'["Forbidden"]', b"\xff"),
        *({}, {"message": None}, {"message": 7}, {"message": " "}, {"code": "e7"}),
        {"error": "Payment Required", "message": "payment required."},
        b'{"error": ' * 100_000,
        b'{"error": ' * 900 + b"7" + b"}" * 900,
    ],
    ids=lambda body: ascii(body)[:20],
)
def test_a_body_that_says_nothing_adds_nothing(body: Any) -> None:
    assert says(body) == ""


ECHOES: list[Callable[[str], str]] = [
    lambda secret: f"The key {secret} is not known.",
    lambda secret: f"Authorization: Bearer {secret}",
    lambda secret: f"not known: '{secret[:8]}...'",
    lambda secret: f"not known: {secret[:4]}****{secret[-4:]}",
    lambda secret: f"NOT KNOWN: {secret.upper()}",
    lambda secret: "x" * 195 + secret,
    lambda secret: f"{secret}{secret} {secret[3:12]}",
    lambda secret: f"line one\n{secret}\nline three",
]


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("secret", [KEY, SALT], ids=["key", "salt"])
def test_no_part_of_a_secret_is_quoted(echo: Callable[[str], str], secret: str) -> None:
    quoted = says({"message": echo(secret)}) + shown(echo(secret), (KEY, SALT))
    assert "***" in quoted
    parts = {secret[i : i + 4].lower() for i in range(len(secret) - 3)}
    assert [part for part in parts if part in quoted.lower()] == []


def test_secrets_that_are_not_set_or_short_are_no_trouble() -> None:
    assert shown("any text, ab", ("", "ab")) == "any text, ***"


@pytest.mark.long
@pytest.mark.parametrize("asset", ["links", "clicks"])
@pytest.mark.parametrize(
    "answer",
    [
        {"status": 401, "body": json.dumps({"message": f"Not a key: Bearer {KEY}"})},
        {"raw": b"<p>", "content_type": f"text/{KEY}"},
        {"raw": b"<p>", "headers": {"Content-Encoding": KEY}},
    ],
    ids=["words", "content type", "content encoding"],
)
def test_a_key_that_the_api_repeats_is_in_nothing_that_a_run_leaves(
    answer: dict[str, Any],
    asset: str,
    location: Location,
    sandbox: Sandbox,
    traces: Traces,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(f"{API}API_KEY", KEY)
    sandbox.api_key = KEY
    sandbox.faults = [Fault(times=None, **answer)]
    location.instance.add_dynamic_partitions("domain", ["1"])
    result = location.links() if asset == "links" else location.clicks("1")
    assert "***" in failure_text(result)
    traces.said += [*events(location, result), failure_text(result)]
    assert traces.with_(KEY) == set()


def test_a_reason_phrase_is_quoted_without_secrets() -> None:
    response = Response()
    response.status_code, response.reason, response._content = 401, f"No {KEY}", b""
    assert refusal(response, (KEY,)).startswith("the API answered 401 No *** (the API key was")


# Compression


@pytest.mark.parametrize("coding", ["br", "zstd", "BR", "compress", "my-own"])
def test_an_unknown_compression_fails_at_once(api: str, sandbox: Sandbox, coding: str) -> None:
    packed = b"\x8b\x03\x80{}\x03"
    sandbox.faults = [Fault(raw=packed, headers={"Content-Encoding": coding}, times=None)]
    message = told()
    assert "links, page 1: the answer is not JSON (content type application/json, " in message
    assert f"it came with Content-Encoding {coding}, which was not asked for" in message
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, br"])
def test_a_wrongly_compressed_body_fails_after_the_retries(
    api: str, sandbox: Sandbox, coding: str
) -> None:
    sandbox.faults = [Fault(raw=b"\x8b\x03{}", headers={"Content-Encoding": coding}, times=None)]
    message = told(max_retries=1)
    assert "links: the API gave no whole answer (ContentDecodingError) after all retries" in message
    assert "not compressed as its Content-Encoding says" in message
    assert len(sandbox.requests) == 2


@pytest.mark.parametrize("coding", ["br", "identity", "utf-8", ""])
def test_a_readable_page_is_read_with_any_declared_coding(
    api: str, sandbox: Sandbox, coding: str
) -> None:
    body = b'{"links": [{"id": "a"}]}'
    sandbox.faults = [Fault(raw=body, headers={"Content-Encoding": coding}, times=None)]
    assert [link["id"] for link in read_links()] == ["a"]


# Certificates

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="makes a certificate")


@pytest.fixture
def certificate(workdir: Path) -> str:
    """A file with a key and a certificate for 127.0.0.1 that it has signed itself."""
    file = workdir / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1"
    to = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", str(file)]
    subprocess.run([*command.split(), *to], check=True, capture_output=True)
    file.write_text(Path("key.pem").read_text() + file.read_text())
    return str(file)


@needs_openssl
def test_a_certificate_of_ones_own_is_refused_with_the_way_out_which_works(
    api: str, sandbox: Sandbox, certificate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(sandbox, certificate=certificate) as url:
        message = told(base_url=url, max_retries=1)
        assert "links: the API's certificate was not accepted (self-signed certificate)" in message
        assert "set REQUESTS_CA_BUNDLE to the file" in message
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate)
        assert len(read_links(base_url=url)) == 15


@needs_openssl
@pytest.mark.parametrize("content", ["", "no certificate"])
def test_a_bundle_without_certificates_is_reported(
    api: str, sandbox: Sandbox, certificate: str, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    Path("bundle.pem").write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "bundle.pem")
    with serve(sandbox, certificate=certificate) as url:
        assert "REQUESTS_CA_BUNDLE" in told(base_url=url, max_retries=0)


def test_https_to_a_server_of_http_is_reported(api: str) -> None:
    message = told(base_url=api.replace("http:", "https:"), max_retries=0)
    assert message.startswith("links: no encrypted connection to the API could be made")
    assert f"{API}BASE_URL" in message


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("asset", ["links", "clicks"])
def test_a_missing_bundle_is_named_with_its_variable_before_any_request(
    location: Location, asset: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{API}BASE_URL", "https://127.0.0.1:9")
    monkeypatch.setenv(name, "/no/such/bundle.pem")
    location.instance.add_dynamic_partitions("domain", ["1"])
    result = location.links() if asset == "links" else location.clicks("1")
    assert f"{name} points to /no/such/bundle.pem, which does not exist" in failure_text(result)


def test_a_bundle_that_is_not_there_is_no_matter_without_https(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    assert len(read_links()) == 15


def test_a_bundle_that_is_not_there_is_a_setting_for_scripts(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    with pytest.raises(SettingsError, match="REQUESTS_CA_BUNDLE points to"):
        read_links(base_url="https://127.0.0.1:9")
