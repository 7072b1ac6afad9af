"""`driftline replay` to a real service."""

import asyncio
import json
import time
from itertools import islice

import pytest
from aiohttp import web
from msgspec.structs import replace

from driftline.cli import main
from driftline.stored_exchanges import stored_exchanges
from records.exchange import Body, Redaction
from records.ids import format_uuid
from records.ports import StoreUnavailableError


class Candidate:
    """A service that answers with its own idea, and remembers what it was asked, and when."""

    def __init__(self):
        self.asked = []
        self.status = 200
        self.answers = lambda value: value / 2
        self.pause = 0.0

    async def answer(self, request):
        content = await request.read()
        self.asked.append((request.method, request.path_qs, dict(request.headers), content, time.monotonic()))
        await asyncio.sleep(self.pause)
        if self.status == 302:
            raise web.HTTPFound("http://192.0.2.1/elsewhere")
        value = json.loads(content)["inputs"][0]["data"][0]
        document = {"model_name": "m", "outputs": [{"name": "y", "shape": [1], "datatype": "FP64", "data": [self.answers(value)]}]}
        return web.Response(body=json.dumps(document, separators=(",", ":")).encode(), content_type="application/json", status=self.status)


@pytest.fixture
async def candidate():
    service = Candidate()
    runner = web.ServerRunner(web.Server(service.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    service.url = "http://{}:{}".format(*runner.addresses[0])
    yield service
    await runner.cleanup()


@pytest.fixture
def replay(tmp_path, candidate):
    async def run(directory, *options, source="store"):
        report = tmp_path / "report.json"
        chosen = ["--model", "m", "--data-dir", str(directory)] if source == "store" else []
        arguments = ["replay", "--from", source, "--to", candidate.url, "--json", str(report), *chosen, *options]
        status = await asyncio.to_thread(main, arguments)
        return status, json.loads(report.read_text())

    return run


async def test_a_service_that_says_the_same_is_found_equal(replay, candidate, data_directory, stored_exchange):
    exchanges = [stored_exchange(number) for number in range(200)]
    status, report = await replay(data_directory(exchanges), "--rate", "1000")
    assert (status, report["sent"], report["answered"]) == (0, 200, 200)
    assert report["status"] == report["body"] == report["outputs"] == {"compared": 200, "equal": 200}
    assert (report["largest_difference"], report["differing"]) == (0, [])
    assert report["durations_ms"]["then"] == {"p50": 5, "p90": 5, "p99": 5}
    asked = {headers["X-Driftline-Replay"]: (method, path, content) for method, path, headers, content, _ in candidate.asked}
    assert asked == {format_uuid(each.exchange_id): ("POST", "/v2/models/m/infer", each.request.content) for each in exchanges}


async def test_what_differs_is_told_and_shown(replay, candidate, data_directory, stored_exchange):
    candidate.answers = lambda value: value / 2 + (0.25 if value == 3 else 0)
    status, report = await replay(data_directory([stored_exchange(number) for number in range(5)]), "--rate", "1000")
    assert status == 0
    assert (report["outputs"], report["largest_difference"]) == ({"compared": 5, "equal": 4}, 0.25)
    assert [each["request_id"] for each in report["differing"]] == ["r-3"]
    candidate.status = 500
    status, report = await replay(data_directory([]), "--rate", "1000")
    assert report["status"] == {"compared": 5, "equal": 0}
    assert report["outputs"]["compared"] == 0


async def test_an_exported_file_is_replayed_without_a_store(replay, data_directory, stored_exchange, tmp_path):
    out = tmp_path / "m.parquet"
    assert main(["export", "--data-dir", str(data_directory([stored_exchange(number) for number in range(5)])), "--model", "m", "--out", str(out)]) == 0
    status, report = await replay(None, "--speed", "100", source=str(out))
    assert (status, report["outputs"]) == (0, {"compared": 5, "equal": 5})


async def test_the_times_between_requests_are_kept_or_shortened(replay, candidate, data_directory, stored_exchange):
    _, report = await replay(data_directory([stored_exchange(number) for number in (0, 1, 11)]), "--speed", "2")
    assert report["took_seconds"] >= 0.55


async def test_no_more_requests_are_on_their_way_than_may_be(replay, candidate, data_directory, stored_exchange):
    candidate.pause = 0.1
    _, report = await replay(data_directory([stored_exchange(number) for number in range(6)]), "--rate", "1000", "--concurrency", "2")
    times = sorted(at for *_, at in candidate.asked)
    assert times[-1] - times[0] >= 0.19
    assert report["latest_seconds"] >= 0.1


async def test_what_cannot_be_sent_as_it_was_is_left_out_and_counted(replay, candidate, data_directory, stored_exchange):
    whole = stored_exchange(1).request
    exchanges = [
        stored_exchange(1, request=replace(whole, truncated=True, size_bytes=10**6)),
        stored_exchange(2, request=Body(b"", 70)),
        stored_exchange(3, request=replace(whole, redaction=Redaction.REDACTED)),
        stored_exchange(4, status=0),
        stored_exchange(5, path="http://192.0.2.1/v2/models/m/infer"),
        stored_exchange(6),
    ]
    status, report = await replay(data_directory(exchanges), "--rate", "1000")
    assert (status, report["sent"]) == (0, 1)
    assert report["not_sent"] == {"truncated": 2, "redacted": 1, "never_whole": 1, "target": 1}


async def test_redirects_are_answers_and_not_followed(replay, candidate, data_directory, stored_exchange):
    candidate.status = 302
    status, report = await replay(data_directory([stored_exchange(1)]), "--rate", "1000")
    assert (status, report["statuses"], len(candidate.asked)) == (0, {"302": 1}, 1)


async def test_a_service_that_is_not_there_is_a_failure_of_each_request(replay, candidate, data_directory, stored_exchange, free_address):
    candidate.url = f"http://{free_address()}"
    status, report = await replay(data_directory([stored_exchange(1), stored_exchange(2)]), "--rate", "1000")
    assert (status, report["answered"], report["failed"]) == (1, 0, {"ClientConnectorError": 2})


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--from", "store"], "--model is needed"),
        (["--from", "x.parquet", "--model", "m"], "a file is sent as a whole"),
        (["--from", "absent.parquet"], "No such file"),
    ],
)
def test_what_was_asked_wrongly_is_one_clear_sentence(options, complaint, capfd):
    assert main(["replay", "--to", "http://127.0.0.1:9", *options]) in {1, 2}
    err = capfd.readouterr().err
    assert complaint in err
    assert err.count("\n") == 1


def test_a_unix_socket_is_no_address_to_send_to(capfd):
    with pytest.raises(SystemExit):
        main(["replay", "--from", "x.parquet", "--to", "unix:/run/x.sock"])
    assert "expected an http:// or https:// URL, found 'unix:/run/x.sock'" in capfd.readouterr().err


async def test_a_store_that_goes_away_leaves_the_report_of_what_was_sent(replay, data_directory, stored_exchange, monkeypatch, capfd):
    directory = data_directory([stored_exchange(number) for number in range(10)])

    def broken(*arguments, **keywords):
        yield from islice(stored_exchanges(*arguments, **keywords), 4)
        raise StoreUnavailableError("it went away")

    monkeypatch.setattr("driftline.commands.replay.stored_exchanges", broken)
    monkeypatch.setattr("driftline.replaying.sending._READ_AHEAD", 2)
    status, report = await replay(directory, "--rate", "1000")
    assert (status, report["sent"], report["answered"]) == (1, 4, 4)
    assert "broken off, and the report ends here: it went away" in capfd.readouterr().err


async def test_through_a_running_monitor(replay, candidate, up, upstream, clients_of):
    service = await up("--upstream", upstream.url)
    async with clients_of(service) as clients:
        while len(clients.answered) < 20:
            await asyncio.sleep(0.05)
    await service.settled_counts()
    candidate.answers = lambda value: 0.25
    status, report = await replay(service.data_dir, "--rate", "500")
    assert (status, report["outputs"]) == (0, {"compared": len(clients.answered), "equal": len(clients.answered)})
