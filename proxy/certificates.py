"""Certificates and keys in files: loaded with words for what is wrong, and looked at for changes."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from config.files import stamp_of

_log: Final = logging.getLogger(__name__)


class ContextOfFiles:
    """What new connections are encrypted by, made from files and made anew when these change. Raises what `make` raises, at first."""

    def __init__(self, files: Sequence[str], make: Callable[[], ssl.SSLContext], where: str) -> None:
        """`make` raises ValueError, with a sentence for the user, where the files are of no use; `where` is for messages: whose files they are."""
        self._files = tuple(filter(None, files))
        self._make = make
        self._where = where
        self._stamp = stamp_of(self._files)
        self.context = make()

    def refresh(self) -> None:
        """Take the files again where they have changed; where they are of no use, say so once and go on with what there is."""
        stamp = stamp_of(self._files)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.context = self._make()
        except ValueError as error:
            _log.error("the changed certificate is not taken, the old one stays: %s", error)
        else:
            _log.info("new connections use the changed files of %s", self._where)


def changing_context(current: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Return what serves each new connection by what `current` returns at that moment."""
    first = current()

    def choose(connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = current()

    first.sni_callback = choose  # OpenSSL asks with every handshake, also where no name is given
    return first


def load_pair(context: ssl.SSLContext, certificate: str, key: str, section: str) -> None:
    """Have the context show a certificate. Raises ValueError with a sentence for the user, where `section` is the settings' key."""
    for name, file in (("certificate", certificate), ("key", key)):
        try:
            Path(file).read_bytes()
        except OSError as error:
            raise ValueError(f"{file}: expected a file that can be read ({section}.{name}), found: {error.strerror}") from None
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        raise ValueError(_unusable(certificate, key, section, error)) from None


def load_authorities(context: ssl.SSLContext, file: str, setting: str) -> None:
    """Have the context trust what these have signed. Raises ValueError with a sentence for the user, where `setting` is the setting's key."""
    try:
        context.load_verify_locations(cafile=file)
    except ssl.SSLError:
        raise ValueError(f"{file}: expected certificates in PEM ({setting}), found none that can be read") from None
    except OSError as error:
        raise ValueError(f"{file}: expected a file that can be read ({setting}), found: {error.strerror}") from None


def _no_password() -> str:
    return ""  # else OpenSSL would ask the terminal


def _unusable(certificate: str, key: str, section: str, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{key}: expected the key of {certificate}, found another one; set {section}.certificate and {section}.key to files that were made together"
    if "ENCRYPTED" in Path(key).read_text(errors="replace"):
        return f"{key}: expected a key without a password, found an encrypted one; decrypt it with: openssl pkey -in {key}"
    return (
        f"{certificate} and {key}: expected a certificate and its private key in PEM, found something else ({error.reason or 'not PEM'}); "
        "the files begin with lines such as -----BEGIN CERTIFICATE----- and -----BEGIN PRIVATE KEY-----"
    )
