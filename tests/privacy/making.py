"""Records as the data plane makes them, and policies from settings as users write them."""

from config.redaction import Action, Place
from config.settings import RedactionSettings, RouteSettings
from privacy.keys import Hasher
from privacy.policy import Policy
from records.exchange import Body, Exchange, Role
from records.outcome import Outcome


class RememberingTap:
    """Implements `records.ports.Tap`."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.outcomes: list[tuple[int, Outcome]] = []

    def leaves_out(self, route: str, exchange_id: bytes) -> bool:
        return False

    def append(self, exchange: Exchange) -> int:
        self.exchanges.append(exchange)
        return len(self.exchanges)

    def amend(self, sequence: int, outcome: Outcome) -> None:
        self.outcomes.append((sequence, outcome))


class PlainCounters:
    """Implements `records.ports.Counters`."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, ...], int] = {}
        self.values = memoryview(bytearray(8 * 10)).cast("Q")

    def slot(self, metric: str, *labels: str) -> int:
        return self.names.setdefault((metric, *labels), len(self.names))

    def __getitem__(self, name: tuple[str, ...]) -> int:
        return self.values[self.names[name]]


HASHER = Hasher("k1", b"0123456789abcdef")


def policy(*rules: tuple[str, str], subject: str | None = None, **settings) -> Policy:
    redact = tuple(RedactionSettings(at=Place.parse(at), do=Action(do)) for at, do in rules)
    return Policy(RouteSettings(upstream=(), redact=redact, subject=Place.parse(subject) if subject else None, **settings), HASHER)


def body(content: bytes, content_type: str = "application/json", encoding: str = "", *, truncated: bool = False, **fields: str) -> Body:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return Body(content, len(content) + truncated, truncated, content_type, encoding, named)


def exchange(request: Body | None = None, response: Body | None = None, *, path: str = "/v2/models/m/infer", **fields) -> Exchange:
    return Exchange(
        **{"exchange_id": bytes(16), "request_id": "r", "role": Role.SERVED, "route": "default", "arm": "upstream", "started_at_ns": 1, **fields},
        method="POST",
        path=path,
        request=request or Body(),
        response=response or Body(),
    )
