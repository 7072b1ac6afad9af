"""Certificates that the injector makes for itself: a CA that signs one certificate, and whose key is kept nowhere."""

from __future__ import annotations

import datetime as dt
import os
import ssl
import tempfile
from collections.abc import Sequence
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME: Final = dt.timedelta(days=90)
_BEFORE_THE_END: Final = dt.timedelta(days=30)
"""When a new one is made."""
_CLOCKS_DIFFER: Final = dt.timedelta(hours=1)


class Pair(NamedTuple):
    """A certificate with its key, in PEM, and those who vouch for it and for its predecessors."""

    certificate: bytes
    key: bytes
    authorities: bytes


def make_pair(names: Sequence[str], now: dt.datetime, former: bytes = b"") -> Pair:
    """Return a new certificate for these DNS names, vouched for by a CA of its own. `former` are CAs whose certificates others may still show."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"driftline injector {now:%Y-%m-%d}")])
    authority = (
        _builder(issuer, issuer, authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    certificate = (
        _builder(subject, issuer, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pair(certificate.public_bytes(Encoding.PEM), secret, authority.public_bytes(Encoding.PEM) + valid_authorities(former, now))


def valid_authorities(authorities: bytes, now: dt.datetime) -> bytes:
    """Return those that have not ended; none where they cannot be read."""
    try:
        found = x509.load_pem_x509_certificates(authorities)
    except ValueError:
        return b""
    return b"".join(each.public_bytes(Encoding.PEM) for each in found if each.not_valid_after_utc > now)


def fault(pair: Pair, names: Sequence[str], now: dt.datetime) -> str:
    """Return why a new pair must be made in the place of this one; empty where it is good."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        key = load_pem_private_key(pair.key, None)
        authorities = x509.load_pem_x509_certificates(pair.authorities)
    except (ValueError, TypeError) as error:
        return f"it cannot be read: {error}"
    if certificate.not_valid_after_utc - now < _BEFORE_THE_END:
        return f"it ends on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if certificate.not_valid_before_utc > now:
        return f"it begins on {certificate.not_valid_before_utc:%Y-%m-%d}"
    if certificate.public_key() != key.public_key():
        return "the key is another certificate's"
    if not any(certificate.issuer == each.subject and _has_signed(each, certificate) for each in authorities):
        return "none of the authorities beside it has signed it"
    if not set(names) <= _names(certificate):
        return f"it is for {', '.join(sorted(_names(certificate))) or 'no name'}"
    return ""


def end_seconds(certificate: bytes) -> float:
    """Return when a certificate in PEM ends, in Unix seconds."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc.timestamp()


def context_of(pair: Pair) -> ssl.SSLContext:
    """Return what serves TLS with this pair."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.NamedTemporaryFile(prefix="driftline-", suffix=".pem") as file:  # OpenSSL loads files only; nobody else may read this one
        os.fchmod(file.fileno(), 0o600)
        file.write(pair.key + pair.certificate)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key).serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - _CLOCKS_DIFFER).not_valid_after(now + LIFETIME)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _has_signed(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return set(found.get_values_for_type(x509.DNSName))
