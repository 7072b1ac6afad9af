"""A request to forget stands until what was on its way has arrived, whatever dies and however long the store is down."""

from pathlib import Path
from uuid import UUID

import pytest

from driftline.forgetting import STANDING_AT_MOST, STATE_NAME, Forgetting, ForgettingState, Standing, forgettable
from privacy.keys import Hasher
from records.forgetting import ForgetRequest, Forgettable
from records.ports import StoreUnavailableError
from store.audit import AuditLog, AuditReader
from store.clickhouse.client import EmbeddedStore
from store.clickhouse.forgetting import Forgetter
from store.spool.counts import take_stock
from store.spool.state import write_state
from tests.store.clickhouse.parts import Worker, make_exchange, make_loader

HASHERS = (Hasher("new", b"n" * 16), Hasher("old", b"o" * 16))
MINUTE_NS = 60_000_000_000
ASKED_NS = 1_000 * MINUTE_NS


class Site:
    """A spool with a writer, a store, its loader, and what forgets."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.worker = Worker(directory / "spool")
        self.store = EmbeddedStore(directory)
        self.loader = make_loader(directory, self.store)
        self.forgetter = Forgetter(self.store)
        self.begin()

    def begin(self) -> None:
        """Begin to forget as a monitor that starts does."""
        self.forgetting = Forgetting(self.directory / "spool", self.forgetter, lambda: self.loader.state.cursors, HASHERS, AuditLog(self.directory))

    def forget(self, **wanted: str):
        return self.forgetting.forget(ForgetRequest(**wanted), "ada", ASKED_NS)

    def load(self) -> None:
        while self.loader.drain(float("inf")) is False:
            pass

    def stored(self) -> list[str]:
        client = self.store.client()
        try:
            return [request_id for (request_id,) in client.query("SELECT request_id FROM exchanges ORDER BY sequence").result_rows]
        finally:
            client.close()

    def close(self) -> None:
        self.loader.close()
        self.worker.close()
        self.store.close()


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    yield site
    site.close()


def test_what_is_stored_goes_at_once_and_what_waits_in_the_spool_when_it_is_stored(site) -> None:
    site.worker.append(make_exchange(1, request_id="order-7"))
    site.worker.append(make_exchange(2, request_id="other"))
    site.load()
    site.worker.append(make_exchange(3, request_id="order-7"))
    report = site.forget(request_id="order-7")
    assert (report.deleted, report.unread, report.error) == ({"exchanges": 1}, 1, "")
    site.forgetting.step(ASKED_NS + 10 * MINUTE_NS)
    site.load()
    assert site.stored() == ["other", "order-7"]
    site.begin()
    site.forgetting.step(ASKED_NS + MINUTE_NS - 1)
    assert site.stored() == ["other", "order-7"]
    site.forgetting.step(ASKED_NS + MINUTE_NS)
    assert site.stored() == ["other"]


def test_the_counts_stay_what_they_were(site) -> None:
    for number in range(5):
        site.worker.append(make_exchange(number, request_id="order-7"))
    site.load()
    before = take_stock(site.directory / "spool", site.loader.state).counts
    assert site.forget(request_id="order-7").deleted == {"exchanges": 5}
    assert take_stock(site.directory / "spool", site.loader.state).counts == before
    assert (before.captured, before.stored, before.pending) == (5, 5, 0)


def test_later_exchanges_of_the_same_name_are_kept(site) -> None:
    site.worker.append(make_exchange(1, request_id="order-7"))
    site.load()
    site.forget(request_id="order-7")
    site.forgetting.step(ASKED_NS + MINUTE_NS)
    site.worker.append(make_exchange(2, request_id="order-7"))
    site.load()
    site.forgetting.step(ASKED_NS + 2 * MINUTE_NS)
    assert site.stored() == ["order-7"]


def test_a_subject_is_found_by_all_keys_and_put_on_record_by_its_hash(site) -> None:
    for number, hasher in enumerate(HASHERS):
        site.worker.append(make_exchange(number, request_id=f"r{number}", subjects=(hasher(b"ada lovelace"),)))
    site.worker.append(make_exchange(9, request_id="r9", subjects=(HASHERS[0](b"other"),)))
    site.load()
    assert site.forget(subject="ada lovelace").deleted == {"exchanges": 2}
    assert site.stored() == ["r9"]
    reader = AuditReader(site.directory)
    (entry,) = reader.read().entries
    reader.close()
    assert (entry.who, entry.action, entry.what) == ("ada", "forget", f"subject {HASHERS[0](b'ada lovelace')}")
    assert not any(b"lovelace" in file.read_bytes() for file in (site.directory / STATE_NAME, site.directory / "audit.jsonl") if file.exists())


def test_while_the_store_is_down_the_request_stands(site, monkeypatch) -> None:
    site.worker.append(make_exchange(1, request_id="order-7"))
    site.load()

    def down(_: Forgettable) -> dict[str, int]:
        raise StoreUnavailableError("no route to it")

    with monkeypatch.context() as patch:
        patch.setattr(site.forgetter, "forget", down)
        assert site.forget(request_id="order-7").error == "no route to it"
        with pytest.raises(StoreUnavailableError):
            site.forgetting.step(ASKED_NS + MINUTE_NS)
    site.begin()
    site.forgetting.step(ASKED_NS + MINUTE_NS)
    assert site.stored() == []


def test_what_cannot_be_put_on_record_is_not_deleted(site) -> None:
    site.worker.append(make_exchange(1, request_id="order-7"))
    site.load()
    (site.directory / "audit.jsonl").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        site.forget(request_id="order-7")
    assert site.stored() == ["order-7"]


def test_requests_do_not_pile_up_without_a_bound(site) -> None:
    standing = Standing(Forgettable(request_id="r"), ASKED_NS, {})
    write_state(site.directory / "spool" / STATE_NAME, ForgettingState((standing,) * STANDING_AT_MOST))
    site.begin()
    with pytest.raises(ValueError, match="10,000 requests to forget wait already"):
        site.forget(request_id="order-7")


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (ForgetRequest(), "expected one of an exchange id, a request id and a subject, found none"),
        (ForgetRequest(request_id="r", subject="s"), "found request_id and subject"),
        (ForgetRequest(exchange_id="7"), "expected an exchange id such as 01890a5d-.*, found '7'"),
    ],
)
def test_what_is_not_understood_is_said(wanted: ForgetRequest, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        forgettable(wanted, HASHERS)


def test_a_subject_without_a_key_is_not_found_and_an_id_needs_none() -> None:
    with pytest.raises(ValueError, match=r"privacy.hash_keys has no key"):
        forgettable(ForgetRequest(subject="ada"), ())
    assert forgettable(ForgetRequest(exchange_id=UUID(int=7).hex), ()).exchange_id == str(UUID(int=7))
