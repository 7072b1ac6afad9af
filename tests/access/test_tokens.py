"""Tokens are good only as their issuer means them, by keys that come and go."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from access import jwks
from access.authenticator import Authenticator
from access.jwks import Jwks
from access.tokens import LEEWAY_SECONDS, Tokens
from config.choices import TokenAlgorithm
from config.settings import AccessSettings, GrantSettings, TokenSettings
from records.access import AccessRole, Denied, Identity
from records.exchange import ErrorKind

RSA, OTHER_RSA = (rsa.generate_private_key(65537, 2048) for _ in range(2))
SMALL_RSA = rsa.generate_private_key(65537, 1024)
CURVE, EDWARDS = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
GRANTS = (GrantSettings(name="on-call", role=AccessRole.OPERATOR), GrantSettings(name="scoring", role=AccessRole.CLIENT))
NOW = int(time.time())
CLAIMS = {"iss": "https://id.example", "aud": "driftline", "sub": "ada", "exp": NOW + 600, "roles": ["on-call", "admin"]}


def published(key, key_id: str, **more) -> dict:
    kinds = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm, ed25519.Ed25519PrivateKey: OKPAlgorithm}
    algorithm = next(algorithm for kind, algorithm in kinds.items() if isinstance(key, kind))
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": key_id, **more}


KEYS = [published(RSA, "rsa"), published(CURVE, "curve", alg="ES256", use="sig"), published(EDWARDS, "edwards")]


@pytest.fixture
def settings(tmp_path) -> TokenSettings:
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": KEYS}))
    return TokenSettings(issuer="https://id.example", audience="driftline", jwks=str(tmp_path / "jwks.json"), grants=GRANTS)


def token(key=RSA, key_id: str | None = "rsa", algorithm: str = "RS256", headers: dict | None = None, **claims) -> bytes:
    said = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return jwt.encode(said, key, algorithm, headers={**({"kid": key_id} if key_id else {}), **(headers or {})}).encode()


def part(content: object) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=")


def test_a_good_token_has_the_granted_roles_and_no_others(settings):
    assert Tokens(settings)(token(), NOW) == Identity("ada", frozenset({AccessRole.OPERATOR}))


@pytest.mark.parametrize(
    ("roles", "claim", "granted"),
    [
        ("on-call scoring", "roles", {AccessRole.OPERATOR, AccessRole.CLIENT}),
        ({"roles": ["scoring"]}, "realm_access.roles", {AccessRole.CLIENT}),
        (["admin"], "roles", set()),
        ([{"on-call": 1}, 7, None], "roles", set()),
        (7, "roles", set()),
        (None, "roles", set()),
    ],
)
def test_roles_come_from_the_claim(settings, roles, claim, granted):
    settings = TokenSettings(**{name: getattr(settings, name) for name in ("issuer", "audience", "jwks", "grants")}, claim=claim)
    name = claim.split(".")[0]
    assert Tokens(settings)(token(**{"roles": None, name: roles}), NOW).roles == granted


def test_algorithms_are_those_of_the_settings_and_each_has_its_kind_of_key(settings):
    tokens = Tokens(settings)
    assert isinstance(tokens(token(CURVE, "curve", "ES256"), NOW), Identity)
    assert isinstance(tokens(token(EDWARDS, "edwards", "EdDSA"), NOW), Denied)
    every = TokenSettings(issuer="https://id.example", audience="driftline", jwks=settings.jwks, grants=GRANTS, algorithms=tuple(TokenAlgorithm))
    assert isinstance(Tokens(every)(token(EDWARDS, "edwards", "EdDSA"), NOW), Identity)
    assert isinstance(Tokens(every)(token(RSA, "rsa", "PS256"), NOW), Identity)
    assert isinstance(Tokens(every)(token(RSA, "curve", "RS256"), NOW), Denied)


PUBLIC_PEM = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def by_public_key() -> bytes:
    """Return a token that is signed by HMAC with what everybody knows (RFC 8725 §2.1)."""
    signed = part({"alg": "HS256", "kid": "rsa"}) + b"." + part(CLAIMS)
    return signed + b"." + base64.urlsafe_b64encode(hmac.digest(PUBLIC_PEM, signed, hashlib.sha256)).rstrip(b"=")


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (lambda: token(exp=NOW - LEEWAY_SECONDS - 5), "out of date"),
        (lambda: token(exp=None), "lacks one of exp"),
        (lambda: token(aud="others"), "for somebody else"),
        (lambda: token(aud=None), "lacks one of exp"),
        (lambda: token(iss="https://evil.example"), "by somebody else"),
        (lambda: token(iss=None), "lacks one of exp"),
        (lambda: token(sub=None), "lacks one of exp"),
        (lambda: token(sub=""), "does not say whose"),
        (lambda: token(sub="a\nb"), "does not say whose"),
        (lambda: token(sub="a" * 256), "does not say whose"),
        (lambda: token(nbf=NOW + 600), "not good yet"),
        (lambda: token(OTHER_RSA), "signature is wrong"),
        (lambda: token(OTHER_RSA, "unknown"), "does not publish"),
        (lambda: token(key_id=None), "does not publish"),  # there are several
        (lambda: token(OTHER_RSA, "rsa", headers={"jwk": published(OTHER_RSA, "rsa")}), "signature is wrong"),
        (lambda: token(OTHER_RSA, "rsa", headers={"jku": "http://127.0.0.1:1/keys"}), "signature is wrong"),
        (lambda: part({"alg": "none", "kid": "rsa"}) + b"." + part(CLAIMS) + b".", "not allowed"),
        (by_public_key, "not allowed"),
        (lambda: token()[:-4] + b"AAAA", "signature is wrong"),
        (lambda: b"a.b.c", "cannot be read"),
        (lambda: part({"alg": "RS256", "kid": ["rsa"]}) + b"." + part(CLAIMS) + b".x", ""),
        (lambda: b"." + b"x" * 20_000 + b".", "too long"),
        (lambda: token(exp="soon"), "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_token_is_said_without_a_word_of_it(settings, shown, said):
    text = shown()
    found = Tokens(settings)(text, NOW)
    assert isinstance(found, Denied)
    assert (found.status, found.kind) == (401, ErrorKind.UNAUTHENTICATED)
    assert said in found.reason
    assert text.decode() not in found.reason
    assert b'error="invalid_token"' in found.field


@given(st.lists(st.binary(max_size=60), min_size=3, max_size=3))
def test_what_looks_like_a_token_never_fails(tmp_path_factory, parts):
    file = tmp_path_factory.getbasetemp() / "some-jwks.json"
    file.write_text(json.dumps({"keys": KEYS}))
    tokens = Tokens(TokenSettings(issuer="i", audience="a", jwks=str(file), grants=GRANTS))
    assert isinstance(tokens(b".".join(parts), NOW), Denied)
    assert isinstance(tokens(b".".join(base64.urlsafe_b64encode(each).rstrip(b"=") for each in parts), NOW), Denied)


def test_a_token_that_was_good_is_not_when_its_time_is_up_or_its_key_is_gone(settings, tmp_path):
    tokens, shown = Tokens(settings), token(exp=NOW + 60)
    assert isinstance(tokens(shown, NOW), Identity)
    assert tokens(shown, NOW + 30) is tokens(shown, NOW + 31)  # remembered
    assert isinstance(tokens(token(), NOW), Identity)
    (tmp_path / "new").write_text(json.dumps({"keys": [published(OTHER_RSA, "rsa")]}))
    (tmp_path / "new").replace(settings.jwks)
    tokens.refresh()
    assert isinstance(tokens(token(), NOW), Denied)
    assert isinstance(tokens(token(OTHER_RSA), NOW), Identity)
    expired = Tokens(settings)
    expired._remembered = {}
    assert isinstance(expired(token(OTHER_RSA, exp=NOW - LEEWAY_SECONDS - 5), NOW), Denied)


def test_what_is_remembered_is_bounded(settings, monkeypatch):
    monkeypatch.setattr("access.tokens._REMEMBERED", 3)
    tokens = Tokens(settings)
    for number in range(10):
        assert isinstance(tokens(token(jti=str(number)), NOW), Identity)
        assert len(tokens._remembered) <= 3


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"keys": {}}',
        '{"keys": [7, {}]}',
        json.dumps({"keys": [{"kty": "oct", "kid": "a", "k": "AAAA", "alg": "HS256"}]}),
        json.dumps({"keys": [published(SMALL_RSA, "small")]}),
        json.dumps({"keys": [published(RSA, "for encryption", use="enc")]}),
        "[" * 100_000,
    ],
)
def test_a_file_without_keys_that_verify_is_one_clear_sentence(tmp_path, content):
    (tmp_path / "jwks.json").write_text(content)
    with pytest.raises(ValueError, match=r"expected a JSON Web Key Set \(RFC 7517\) with public keys that verify, found none"):
        Jwks(str(tmp_path / "jwks.json"))


def test_a_key_and_a_token_are_told_apart(settings):
    authenticate = Authenticator(AccessSettings(tokens=settings))
    assert authenticate(b"Bearer " + token(), "").name == "ada"
    assert authenticate(b"Bearer dl_a_" + b"x" * 43, "").status == 401
    assert authenticate(b"Bearer nothing", "scoring").name == "scoring"
    assert authenticate(b"Bearer nothing", "") is None


class Issuer:
    """Publishes keys over HTTP, and counts who asks."""

    def __init__(self) -> None:
        self.content = json.dumps({"keys": KEYS}).encode()
        self.status, self.asked, self.location = 200, 0, ""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                self.send_response(issuer.status)
                if issuer.location:
                    self.send_header("Location", issuer.location)
                self.send_header("Content-Length", str(len(issuer.content)))
                self.end_headers()
                self.wfile.write(issuer.content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.server.shutdown()
    issuer.server.server_close()


def settled(keys: Jwks) -> None:
    deadline = time.monotonic() + 10
    while keys.awaited:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_keys_are_fetched_when_a_token_comes_and_then_it_is_good(settings, issuer):
    tokens = Tokens(TokenSettings(issuer="https://id.example", audience="driftline", jwks=issuer.url, grants=GRANTS))
    first = tokens(token(), NOW)
    assert (first.status, first.field) == (503, b"Retry-After: 1\r\n")
    settled(tokens._jwks)
    assert isinstance(tokens(token(), NOW), Identity)


def test_nobody_can_have_the_issuer_asked_without_end(issuer):
    keys = Jwks(issuer.url)
    for _ in range(100):
        keys.find("unknown")
        settled(keys)
    assert issuer.asked == 1


def test_a_new_key_is_found_and_an_old_one_is_gone(issuer, monkeypatch):
    monkeypatch.setattr(jwks, "AGAIN_SECONDS", 0.0)
    keys = Jwks(issuer.url)
    keys.refresh()
    settled(keys)
    issuer.content = json.dumps({"keys": [published(OTHER_RSA, "new")]}).encode()
    assert keys.find("new") is None
    settled(keys)
    assert keys.find("new") is not None
    assert keys.find("rsa") is None
    settled(keys)


@pytest.mark.parametrize(
    ("status", "content", "location"),
    [(500, b"", ""), (200, b"{}", ""), (200, b" " * 300_000, ""), (302, b"", "http://127.0.0.1:1/"), (302, b"", "file:///etc/passwd")],
)
def test_an_issuer_that_answers_nonsense_leaves_the_old_keys(issuer, monkeypatch, caplog, status, content, location):
    monkeypatch.setattr(jwks, "FETCH_SECONDS", 0.0)
    keys = Jwks(issuer.url)
    keys.refresh()
    settled(keys)
    issuer.status, issuer.content, issuer.location = status, content, location
    keys.refresh()
    settled(keys)
    assert keys.find("rsa") is not None
    assert "the keys of tokens are not taken, the old ones stay" in caplog.text


def test_keys_that_could_not_be_fetched_for_a_day_are_forgotten(issuer, monkeypatch):
    keys = Jwks(issuer.url)
    keys.refresh()
    settled(keys)
    monkeypatch.setattr(keys, "_fetched_at", time.monotonic() - jwks.KEPT_SECONDS - 1)
    keys.refresh()
    assert keys.find("rsa") is None
