"""Certificates for tests, made by the `openssl` command."""

import subprocess
from pathlib import Path
from typing import NamedTuple


class Pair(NamedTuple):
    """A certificate and its key."""

    certificate: Path
    key: Path

    def put_over(self, other: "Pair") -> None:
        """Take the place of another pair, as whoever renews certificates does."""
        self.key.replace(other.key)
        self.certificate.replace(other.certificate)


class Authority:
    """Signs certificates for whoever asks."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self.certificate, self._key = directory / f"{name}.crt", directory / f"{name}.key"
        _openssl("req", "-x509", *_new_key(self._key), "-out", self.certificate, "-subj", f"/CN={name}")

    def issue(self, name: str, subject: str, *alternatives: str, days: int = 1) -> Pair:
        """Return a certificate with this subject and these alternative names, such as `DNS:a.example`."""
        pair = Pair(self._directory / f"{name}.crt", self._directory / f"{name}.key")
        request, extensions = self._directory / f"{name}.csr", self._directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={','.join(alternatives)}\n" if alternatives else "")
        _openssl("req", *_new_key(pair.key), "-out", request, "-subj", subject)
        signed = ["-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-days", str(days), "-extfile", extensions]
        _openssl("x509", "-req", "-in", request, *signed, "-out", pair.certificate)
        return pair


def encrypted(pair: Pair) -> Pair:
    """Return the pair with a key that needs a password."""
    key = pair.key.with_suffix(".encrypted")
    _openssl("pkey", "-in", pair.key, "-aes256", "-passout", "pass:secret", "-out", key)
    return Pair(pair.certificate, key)


def _new_key(file: Path) -> list[str | Path]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", file]


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
