"""TLS for clients: certificates from files, taken anew when these change; who a client's certificate says it is."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from config.settings import TlsSettings
from proxy.certificates import ContextOfFiles, load_authorities, load_pair
from records.metrics import Metric
from records.ports import Counters

_OUT_OF_TIME: Final = {9: "is not valid yet", 10: "has expired"}
"""By OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""

_TURNS: Final = 4
"""How often each side speaks in a handshake at most (RFC 8446 §2, with a hello that is retried)."""


class HandshakeFailure(StrEnum):
    """Why no TLS connection came about."""

    TIMEOUT = "timeout"  # the handshake took longer than a request's head may
    CLIENT_LEFT = "client_left"  # the client closed in the middle of it
    NO_CERTIFICATE = "no_certificate"  # where `client_ca` asks for one
    BAD_CERTIFICATE = "bad_certificate"  # none of those that `client_ca` vouches for, or out of time
    PROTOCOL = "protocol"  # it does not speak TLS, or none of our versions and ciphers, or does not trust our certificate


class ClientTls:
    """Implements `proxy.accepting.Handshakes` with certificates from files. Raises ValueError with a sentence for the user."""

    def __init__(self, settings: TlsSettings, timeout_seconds: float, counters: Counters) -> None:
        self.timeout_seconds = timeout_seconds
        self._values = counters.values
        self._slots = {failure: counters.slot(Metric.TLS_HANDSHAKES_FAILED.metric_name, failure) for failure in HandshakeFailure}
        files = (settings.certificate, settings.key, settings.client_ca)
        self._files = ContextOfFiles(files, lambda: server_context(settings), "proxy.tls")

    @property
    def context(self) -> ssl.SSLContext:
        """See Handshakes."""
        return self._files.context

    def refresh(self) -> None:
        """Take the files again where they have changed."""
        self._files.refresh()

    def failed(self, error: OSError) -> None:
        """See Handshakes."""
        self._values[self._slots[_failure(error)]] += 1


def _failure(error: OSError) -> HandshakeFailure:
    if isinstance(error, ConnectionAbortedError | TimeoutError):
        return HandshakeFailure.TIMEOUT
    if isinstance(error, ConnectionError):
        return HandshakeFailure.CLIENT_LEFT
    if isinstance(error, ssl.SSLCertVerificationError):
        return HandshakeFailure.BAD_CERTIFICATE
    absent = isinstance(error, ssl.SSLError) and error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
    return HandshakeFailure.NO_CERTIFICATE if absent else HandshakeFailure.PROTOCOL


def server_context(settings: TlsSettings, section: str = "proxy.tls", *, required: bool = True) -> ssl.SSLContext:
    """Return what serves TLS by these settings, whose key is `section`. Raises ValueError with a sentence for the user.

    `required` is whether clients must show a certificate where `client_ca` is set; else they may, and one that is shown must be good.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    load_pair(context, settings.certificate, settings.key, section)
    _require_valid(context, settings)
    if settings.client_ca:
        load_authorities(context, settings.client_ca, f"{section}.client_ca")
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return context


def principal(certificate: Mapping[str, Any]) -> str:
    """Return whom a verified certificate, as `ssl.SSLSocket.getpeercert` has it, names: the subject's common name, else its first alternative name.

    >>> principal({"subject": ((("countryName", "AQ"),), (("commonName", "scoring"),)), "subjectAltName": (("DNS", "a.example"),)})
    'scoring'
    >>> principal({"subject": (), "subjectAltName": (("URI", "spiffe://example/scoring"), ("DNS", "a.example"))})
    'spiffe://example/scoring'
    """
    common = [value for names in certificate.get("subject", ()) for name, value in names if name == "commonName"]
    return next(iter([*common, *(value for _, value in certificate.get("subjectAltName", ()))]), "")


def _require_valid(context: ssl.SSLContext, settings: TlsSettings) -> None:
    """Raise ValueError where the certificate's time is not now, by a handshake in memory with somebody who trusts this certificate alone."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags = ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cafile=settings.certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (client.wrap_bio(to_client, to_server), context.wrap_bio(to_server, to_client, server_side=True))
    for end in ends * _TURNS:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            if error.verify_code not in _OUT_OF_TIME:
                return  # what else there is to say of it, such as its purpose, only the clients can judge
            when = _OUT_OF_TIME[error.verify_code]
            raise ValueError(
                f"{settings.certificate}: expected a certificate that is valid now, found one that {when}; get a new one, or set the clock"
            ) from None
        except ssl.SSLError as error:
            raise ValueError(f"{settings.certificate}: expected a certificate that a TLS server can use, found: {error.reason}") from None
