"""The API server, as the injector's service account may use it: one Secret, one MutatingWebhookConfiguration, the version."""

from __future__ import annotations

import base64
import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiohttp import ClientError, ClientSession, ClientTimeout

_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT: Final = ClientTimeout(total=10)
_VERSION: Final = re.compile(r"(\d+)")


class ClusterError(Exception):
    """The API server did not do what was asked; the text is a sentence that says what, and what to do."""


class Secret(NamedTuple):
    """A Secret as it was read."""

    data: dict[str, bytes]
    version: str
    """By which a change is refused where somebody else made one since."""


class Cluster:
    """The API server of the cluster that this pod runs in."""

    def __init__(self, session: ClientSession, url: str, account: Path, context: ssl.SSLContext) -> None:
        self._session = session
        self._url = url
        self._account = account
        self._context = context
        self.namespace = (account / "namespace").read_text().strip()

    @classmethod
    def inside(cls, session: ClientSession, environment: Mapping[str, str] = os.environ, account: Path = _ACCOUNT) -> Cluster | None:
        """Return the cluster that this process runs in; None where it runs in none."""
        host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
        if not host or not port or not (account / "token").exists():
            return None
        return cls(session, f"https://{f'[{host}]' if ':' in host else host}:{port}", account, ssl.create_default_context(cafile=account / "ca.crt"))

    async def version(self) -> tuple[int, int]:
        """Return the cluster's version, for example (1, 31). Raises ClusterError."""
        found = await self._ask("GET", "/version", "read the version")
        major, minor = (_VERSION.match(str(found.get(part, ""))) for part in ("major", "minor"))  # minor may be "31+"
        if major is None or minor is None:
            raise ClusterError(f"cannot read the version: found {found.get('major')!r} and {found.get('minor')!r}")
        return int(major[1]), int(minor[1])

    async def read_secret(self, name: str) -> Secret | None:
        """Return a Secret of this namespace; None where there is none. Raises ClusterError."""
        found = await self._ask("GET", f"{self._secrets}/{name}", f"read the Secret {name}", absent=404)
        if not found:
            return None
        return Secret({key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}, found["metadata"]["resourceVersion"])

    async def write_secret(self, name: str, data: Mapping[str, bytes], former: Secret | None) -> bool:
        """Make a Secret, or put another one in the place of `former`; return whether nobody else was faster. Raises ClusterError."""
        metadata: dict[str, Any] = {"name": name, "namespace": self.namespace, "labels": {"app.kubernetes.io/name": "driftline"}}
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        body = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": encoded}
        if former is None:
            return bool(await self._ask("POST", self._secrets, f"make the Secret {name}", body, absent=409))
        metadata["resourceVersion"] = former.version
        return bool(await self._ask("PUT", f"{self._secrets}/{name}", f"change the Secret {name}", body, absent=409))

    async def trust(self, name: str, authorities: bytes) -> bool:
        """Have the API server trust these in every webhook of a configuration; return whether it did not before. Raises ClusterError."""
        place = f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{name}"
        what = f"the MutatingWebhookConfiguration {name}"
        found = await self._ask("GET", place, f"read {what}")
        bundle = base64.b64encode(authorities).decode()
        changes: list[dict[str, str]] = []
        for index, webhook in enumerate(found.get("webhooks") or ()):
            if webhook["clientConfig"].get("caBundle") != bundle:
                changes.append({"op": "test", "path": f"/webhooks/{index}/name", "value": webhook["name"]})
                changes.append({"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle})
        if changes:
            await self._ask("PATCH", place, f"change {what}", changes, kind="application/json-patch+json")
        return bool(changes)

    @property
    def _secrets(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/secrets"

    async def _ask(self, method: str, path: str, what: str, body: Any = None, *, kind: str = "application/json", absent: int = 0) -> dict[str, Any]:
        """Return what the API server says; an empty mapping where its status is `absent`."""
        headers = {"Authorization": f"Bearer {(self._account / 'token').read_text().strip()}", "Content-Type": kind}  # the kubelet renews it
        try:
            async with self._session.request(method, self._url + path, json=body, headers=headers, ssl=self._context, timeout=_TIMEOUT) as reply:
                if reply.status == absent:
                    return {}
                if reply.status >= 300:
                    raise ClusterError(f"cannot {what}: {reply.status} {await _message(reply)}{_hint(reply.status)}")
                found: dict[str, Any] = await reply.json()
                return found
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            raise ClusterError(f"cannot {what}: the API server {self._url} does not answer: {error or type(error).__name__}") from None


async def _message(reply: Any) -> str:
    text = await reply.text()
    return str(text)[:300]


def _hint(status: int) -> str:
    return "; its service account may not: apply the roles of deploy/kubernetes/injector" if status in {401, 403} else ""
