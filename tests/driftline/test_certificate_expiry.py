"""When certificates end, as people are told it."""

import time
from pathlib import Path

import pytest

from config.addresses import Url
from config.settings import ProxySettings, RouteSettings, Settings, ShadowSettings, TlsSettings, UpstreamTlsSettings
from driftline.certificate_expiry import CertificateExpiry
from tests.proxy.certificates import Authority

UPSTREAM = (Url.parse("https://127.0.0.1:9000"),)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_the_first_end_of_each_file_is_told_and_files_are_read_again_when_they_change(authority: Authority) -> None:
    served, shown = authority.issue("served", "/CN=localhost", days=30), authority.issue("shown", "/CN=proxy", days=5)
    tls = UpstreamTlsSettings(certificate=str(shown.certificate), key=str(shown.key))
    route = RouteSettings(upstream=UPSTREAM, tls=tls, shadows=(ShadowSettings(url=UPSTREAM, tls=tls),))
    expiry = CertificateExpiry(Settings(proxy=ProxySettings(tls=TlsSettings(certificate=str(served.certificate), key=str(served.key))), routes=(route,)))
    days = {file: (end - time.time()) / 86_400 for file, end in expiry.timestamps().items()}
    assert days == {str(served.certificate): pytest.approx(30, abs=0.01), str(shown.certificate): pytest.approx(5, abs=0.01)}
    authority.issue("renewed", "/CN=proxy", days=90).put_over(shown)
    assert (expiry.timestamps()[str(shown.certificate)] - time.time()) / 86_400 == pytest.approx(90, abs=0.01)


def test_a_file_that_is_no_certificate_is_left_out_and_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = tmp_path / "broken.crt"
    broken.write_text("not a certificate")
    files = (str(broken), str(tmp_path / "missing.crt"))
    routes = tuple(RouteSettings(upstream=UPSTREAM, tls=UpstreamTlsSettings(certificate=file, key="k")) for file in files)
    expiry = CertificateExpiry(Settings(routes=routes))
    for _ in range(3):
        assert expiry.timestamps() == {}
    assert len(caplog.records) == 2
    assert all(file in caplog.text for file in files)
