import pytest

from config.secrets import Secret
from config.settings import SpoolSettings
from driftline.spooling import keys_of, open_writer
from store.spool.ledger import LedgerWriter
from store.spool.reader import SpoolReader
from tests.store.spool.workers import make_exchange, read_all


@pytest.fixture
def key(tmp_path):
    file = tmp_path / "spool.key"
    file.write_text("0123456789abcdef0123456789abcdef\n")
    return Secret("a", file=str(file))


def test_without_keys_nothing_is_encrypted():
    assert keys_of(SpoolSettings()) is None


def test_a_writer_encrypts_with_the_key_that_the_settings_name(tmp_path, key):
    settings = SpoolSettings(keys=(key,))
    directory = tmp_path / "spool" / "w1"
    directory.mkdir(parents=True)
    ledger = LedgerWriter(directory)
    writer = open_writer(directory, ledger, settings)
    writer.append(make_exchange("secret-request", b""))
    writer.close()
    ledger.close()
    assert b"secret-request" not in (directory / "00000001.segment").read_bytes()
    assert len(read_all(SpoolReader(directory.parent, {}, keys_of(settings)))[0]) == 1


def test_a_key_that_cannot_be_read_is_a_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"the key a cannot be read from the file .*/absent: No such file"):
        keys_of(SpoolSettings(keys=(Secret("a", file=str(tmp_path / "absent")),)))
