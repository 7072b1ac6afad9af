"""Stored traffic in pages, from the real engine."""

import pytest

from config.settings import Settings
from driftline.stored_exchanges import Period, Traffic, stored_exchanges, stored_pages
from records.exchange import Body, Role
from records.ports import QueryFailedError


def settings_for(directory):
    return Settings(data_dir=str(directory))


def numbers(found):
    return [int(stored.exchange.request_id.removeprefix("r-")) for stored in found]


def test_exchanges_come_back_as_they_were_stored(data_directory, stored_exchange):
    body = Body(b"\xff\x00\x80", 3, content_type="application/octet-stream", fields={"inference-header-content-length": "0"})
    stream = Body(b"data: {}\n\n", 10, content_type="text/event-stream", chunk_ends=(4, 10), chunk_ns=(7_000_000, 9_000_000))
    exchange = stored_exchange(1, request=body, response=stream, model="m", sampling_rate=0.5)
    (stored,) = stored_exchanges(settings_for(data_directory([exchange])), Period("m"))
    assert stored.exchange == exchange
    assert stored.position == (exchange.started_at_ns, "w", 1)


def test_pages_join_without_a_gap_and_go_on_behind_any_position(data_directory, stored_exchange, monkeypatch):
    monkeypatch.setattr("driftline.stored_exchanges._FIRST_PAGE_ROWS", 3)
    exchanges = [stored_exchange(number, started_at_ns=stored_exchange(number // 2).started_at_ns) for number in range(40)]
    settings = settings_for(data_directory(exchanges))
    found = list(stored_exchanges(settings, Period("m")))
    assert numbers(found) == list(range(40))
    assert numbers(stored_exchanges(settings, Period("m"), after=found[16].position)) == list(range(17, 40))


def test_a_period_chooses_by_model_time_and_answer(data_directory, stored_exchange):
    exchanges = [stored_exchange(1), stored_exchange(2, status=500), stored_exchange(3, role=Role.SHADOW), stored_exchange(4)]
    settings = settings_for(data_directory(exchanges))
    since, until = (exchanges[place].started_at_ns for place in (1, 3))
    assert numbers(stored_exchanges(settings, Period("m"))) == [1, 4]
    assert numbers(stored_exchanges(settings, Period("m"), traffic=Traffic.SERVED)) == [1, 2, 4]
    assert numbers(stored_exchanges(settings, Period("m", "", since, until), traffic=Traffic.ALL)) == [2, 3]
    assert numbers(stored_exchanges(settings, Period("it's"))) == numbers(stored_exchanges(settings, Period("m", "7"))) == []


def test_pages_shrink_with_the_size_of_bodies(data_directory, stored_exchange, monkeypatch):
    monkeypatch.setattr("driftline.stored_exchanges._PAGE_BYTES", 100_000)
    monkeypatch.setattr("driftline.stored_exchanges._FIRST_PAGE_ROWS", 10)
    large = Body(bytes(20_000), 20_000)
    settings = settings_for(data_directory([stored_exchange(number, **({"request": large} if number >= 100 else {})) for number in range(225)]))
    pages = [(page.num_rows, page.nbytes) for page in stored_pages(settings, Period("m"))]
    assert sum(rows for rows, _ in pages) == 225
    assert max(size for _, size in pages[3:]) < 300_000


def test_a_page_that_is_too_large_for_the_store_is_asked_for_in_parts(data_directory, stored_exchange, monkeypatch):
    monkeypatch.setattr("store.clickhouse.readonly.LIMITS", {"max_result_bytes": 1_000_000, "result_overflow_mode": "throw"})
    large = Body(bytes(100_000), 100_000)
    settings = settings_for(data_directory([stored_exchange(number, request=large) for number in range(30)]))
    assert numbers(stored_exchanges(settings, Period("m"))) == list(range(30))


def test_what_cannot_be_asked_at_all_is_an_error(data_directory, stored_exchange, monkeypatch):
    monkeypatch.setattr("store.clickhouse.readonly.LIMITS", {"max_result_bytes": 1, "result_overflow_mode": "throw"})
    with pytest.raises(QueryFailedError):
        list(stored_exchanges(settings_for(data_directory([stored_exchange(1)])), Period("m")))
