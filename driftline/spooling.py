"""The spool as the settings ask for it: its writers, and the keys that its records are encrypted with."""

from __future__ import annotations

from pathlib import Path

from config.settings import SpoolSettings
from store.spool.cipher import SpoolKeys
from store.spool.ledger import LedgerWriter
from store.spool.writer import SpoolWriter


def open_writer(directory: Path, ledger: LedgerWriter, spool: SpoolSettings) -> SpoolWriter:
    """Begin to write in `directory`, which is new and empty. Raises ValueError as `keys_of` does."""
    return SpoolWriter(
        directory,
        ledger,
        segment_bytes=spool.segment_size,
        max_bytes=spool.max_size,
        min_free_bytes=spool.min_free,
        sync_seconds=spool.fsync,
        keys=keys_of(spool),
    )


def keys_of(spool: SpoolSettings) -> SpoolKeys | None:
    """Return the keys, None where nothing is to be encrypted. Raises ValueError with a sentence for the user."""
    if not spool.keys:
        return None
    secrets = [(key.name, key.secret()) for key in spool.keys]
    try:
        from store.spool.encryption import Keyring  # noqa: PLC0415 - who has no keys does not pay for it
    except ImportError:
        raise ValueError("spool.keys needs the package cryptography: pip install 'driftline[encryption]'") from None
    return Keyring(secrets)
