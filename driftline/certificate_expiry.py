"""When the certificates that the settings name end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from config.files import Stamp, stamp_of
from config.settings import Settings

_log: Final = logging.getLogger(__name__)


class CertificateExpiry:
    """Looks at the files again when they change: the workers do so too."""

    def __init__(self, settings: Settings) -> None:
        upstreams = [arm for route in settings.routes for arm in (route.tls, *(shadow.tls for shadow in route.shadows))]
        shown = [tls.certificate for tls in (settings.proxy.tls, settings.admin_tls) if tls]
        self._files = tuple(dict.fromkeys(filter(None, [*shown, *(section.certificate for section in upstreams)])))
        self._stamp: Stamp | None = None
        self._seconds: dict[str, float] = {}

    def timestamps(self) -> Mapping[str, float]:
        """Return by file when the first of its certificates ends, in Unix seconds. A file that cannot be read is left out, and logged once."""
        stamp = stamp_of(self._files)
        if stamp != self._stamp:
            self._stamp = stamp
            self._seconds = {file: end for file in self._files if (end := _first_end(file)) is not None}
        return self._seconds


def _first_end(file: str) -> float | None:
    from cryptography import x509  # noqa: PLC0415 - 8 MB, and most monitors watch no certificates

    try:
        return min(certificate.not_valid_after_utc.timestamp() for certificate in x509.load_pem_x509_certificates(Path(file).read_bytes()))
    except (OSError, ValueError) as error:
        _log.warning("nobody will be told when the certificate in %s ends: %s", file, error)
        return None
