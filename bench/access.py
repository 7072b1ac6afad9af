"""What it costs to ask who sends a request and how often: microseconds of CPU for each, `python -m bench.access`."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from access.gate import Gate
from access.keys import make_key
from config.settings import AccessSettings, GrantSettings, ProxySettings, RateLimitSettings, TokenSettings
from records.access import AccessRole, Identity

ROUNDS = 50_000
TOKENS = 500


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        settings, key, tokens = _made(Path(directory))
        limit = RateLimitSettings(requests=1_000_000)
        print("| what is asked | µs |\n| --- | --- |")
        for name, gate, shown in (
            ("how often, by address", Gate(AccessSettings(), ProxySettings(rate_limit=limit)), [b""]),
            ("who, by key", Gate(settings, ProxySettings(authenticate=True)), [key]),
            ("who and how often, by key", Gate(settings, ProxySettings(authenticate=True, rate_limit=limit)), [key]),
            ("who, by a token that came before", Gate(settings, ProxySettings(authenticate=True)), tokens[:1]),
            ("who, by a new token (RS256)", Gate(settings, ProxySettings(authenticate=True)), tokens),
        ):
            print(f"| {name} | {_microseconds(gate, shown):.1f} |")


def _made(directory: Path) -> tuple[AccessSettings, bytes, list[bytes]]:
    key, stored = make_key("scoring", AccessRole.CLIENT)
    (directory / "keys").write_text(stored.line)
    private = rsa.generate_private_key(65537, 2048)
    (directory / "jwks.json").write_text(json.dumps({"keys": [{**json.loads(RSAAlgorithm.to_jwk(private.public_key())), "kid": "one"}]}))
    grants = (GrantSettings(name="scoring", role=AccessRole.CLIENT),)
    tokens = TokenSettings(issuer="https://id.example", audience="driftline", jwks=str(directory / "jwks.json"), grants=grants)
    claims = {"iss": tokens.issuer, "aud": tokens.audience, "sub": "scoring", "exp": time.time() + 600, "roles": ["scoring"]}
    made = [jwt.encode({**claims, "jti": str(number)}, private, "RS256", headers={"kid": "one"}) for number in range(TOKENS)]
    return AccessSettings(keys=str(directory / "keys"), tokens=tokens), b"Bearer " + key.encode(), [b"Bearer " + token.encode() for token in made]


def _microseconds(gate: Gate, shown: list[bytes]) -> float:
    """Return the CPU time of one request, the least of five runs where each run shows the same."""
    fields = [{b"authorization": text} if text else {} for text in shown]
    rounds = ROUNDS if len(shown) == 1 else len(shown)
    best = float("inf")
    for _ in range(5 if len(shown) == 1 else 1):
        before = time.process_time_ns()
        for number in range(rounds):
            found = gate.admit(b"POST", b"/v2/models/m/infer", fields[number % len(fields)], "", "192.0.2.7")
        best = min(best, (time.process_time_ns() - before) / rounds / 1000)
        assert isinstance(found, Identity)
    return best


if __name__ == "__main__":
    main()
