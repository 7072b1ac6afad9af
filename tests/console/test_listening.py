"""The sockets of the operator's surface."""

import os
import socket
import stat
from contextlib import closing

import aiohttp
import pytest

from config.addresses import socket_name
from console.api import build_app
from console.listening import listen_tcp, listen_unix, serving


async def test_the_app_is_served_while_the_context_lasts(views, take_labels, take_events, accept, guard):
    listener = listen_tcp("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/healthz"
    async with aiohttp.ClientSession() as session:
        async with serving(build_app(views, take_labels, take_events, accept, guard), listener), session.get(url) as reply:
            assert reply.status == 200
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(url)


def test_a_port_in_use_is_one_clear_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port} cannot be used: Address already in use; choose another with --admin"):
            listen_tcp("127.0.0.1", port)


def test_a_host_that_does_not_resolve_is_one_clear_sentence():
    with pytest.raises(OSError, match=r"The admin address no\.such\.invalid:1 cannot be used: "):
        listen_tcp("no.such.invalid", 1)


def test_the_unix_socket_is_for_its_owner_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        listen_unix(tmp_path / "monitor.sock").close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "monitor.sock").stat().st_mode) == 0o600


def test_the_socket_of_a_killed_process_is_replaced(tmp_path):
    listen_unix(tmp_path / "monitor.sock").close()
    listen_unix(tmp_path / "monitor.sock").close()


def test_a_path_may_be_longer_than_a_socket_s_address(tmp_path):
    directory = tmp_path / ("x" * 108)
    directory.mkdir()
    with closing(listen_unix(directory / "monitor.sock")), socket.socket(socket.AF_UNIX) as client, socket_name(directory / "monitor.sock") as name:
        client.connect(name)
