"""As much of an API server as the injector uses, over TLS: Secrets whose changes are refused where they are late, and a webhook's configuration."""

import base64
import datetime as dt
import json
from pathlib import Path
from typing import Any

import jsonpatch
from aiohttp import web

from injection.certificates import Pair, context_of, make_pair

NAME = "driftline-injector"


class ApiServer:
    """Knows one namespace, `driftline-system`, and one token."""

    def __init__(self, directory: Path) -> None:
        self.account = directory
        self.secrets: dict[str, dict[str, Any]] = {}
        webhooks = [{"name": f"{kind}.driftline.dev", "clientConfig": {"service": {"name": NAME}}} for kind in ("pod", "namespace")]
        self.configuration: dict[str, Any] = {"metadata": {"name": NAME}, "webhooks": webhooks}
        self.version = {"major": "1", "minor": "31+"}
        self.writes: list[str] = []
        self.forbidden = False
        self.versions = 0
        pair = make_pair(["localhost"], dt.datetime.now(dt.UTC))
        (directory / "token").write_text("let-me-in\n")
        (directory / "namespace").write_text("driftline-system")
        (directory / "ca.crt").write_bytes(pair.authorities)
        self._pair = pair

    async def start(self) -> None:
        app = web.Application(middlewares=[self._authenticate])
        secrets = "/api/v1/namespaces/driftline-system/secrets"
        app.router.add_get("/version", self._version)
        app.router.add_post(secrets, self._make)
        app.router.add_get(secrets + "/{name}", self._read)
        app.router.add_put(secrets + "/{name}", self._change)
        configuration = f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{NAME}"
        app.router.add_get(configuration, self._read_configuration)
        app.router.add_patch(configuration, self._patch_configuration)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context_of(self._pair))
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self._runner.cleanup()

    @property
    def environment(self) -> dict[str, str]:
        return {"KUBERNETES_SERVICE_HOST": "localhost", "KUBERNETES_SERVICE_PORT": str(self.port)}

    def pair(self) -> Pair:
        """Return what the Secret holds."""
        data = {key: base64.b64decode(value) for key, value in self.secrets[f"{NAME}-tls"]["data"].items()}
        return Pair(data["tls.crt"], data["tls.key"], data["ca.crt"])

    def put(self, pair: Pair) -> None:
        """Put a pair into the Secret, as somebody else would."""
        data = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": pair.authorities}
        self._store({"metadata": {"name": f"{NAME}-tls"}, "data": {key: base64.b64encode(value).decode() for key, value in data.items()}})

    def trusted(self) -> list[bytes]:
        return [base64.b64decode(webhook["clientConfig"].get("caBundle", "")) for webhook in self.configuration["webhooks"]]

    @web.middleware
    async def _authenticate(self, request: web.Request, handler: Any) -> Any:
        if request.headers.get("Authorization") != "Bearer let-me-in":
            return web.json_response({"message": "Unauthorized"}, status=401)
        if self.forbidden:
            return web.json_response({"message": "secrets is forbidden"}, status=403)
        return await handler(request)

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response(self.version)

    def _store(self, secret: dict[str, Any]) -> web.Response:
        self.versions += 1
        secret["metadata"]["resourceVersion"] = str(self.versions)
        self.secrets[secret["metadata"]["name"]] = secret
        return web.json_response(secret)

    async def _make(self, request: web.Request) -> web.Response:
        secret = await request.json()
        self.writes.append("POST")
        if secret["metadata"]["name"] in self.secrets:
            return web.json_response({"message": "already exists"}, status=409)
        return self._store(secret)

    async def _read(self, request: web.Request) -> web.Response:
        found = self.secrets.get(request.match_info["name"])
        return web.json_response(found) if found else web.json_response({"message": "not found"}, status=404)

    async def _change(self, request: web.Request) -> web.Response:
        secret = await request.json()
        self.writes.append("PUT")
        if secret["metadata"]["resourceVersion"] != self.secrets[request.match_info["name"]]["metadata"]["resourceVersion"]:
            return web.json_response({"message": "the object has been modified"}, status=409)
        return self._store(secret)

    async def _read_configuration(self, _: web.Request) -> web.Response:
        return web.json_response(self.configuration)

    async def _patch_configuration(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/json-patch+json"
        self.writes.append("PATCH")
        self.configuration = jsonpatch.JsonPatch(json.loads(await request.read())).apply(self.configuration)
        return web.json_response(self.configuration)
