"""By which names labels find an exchange beside its ids, and the labels that clients send as feedback to the serving system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from config.settings import RouteSettings
from labels.comparing import prediction, text
from payloads.feedback import Feedback, prediction_key, read_feedback
from privacy.bodies import NotKeptError
from privacy.policy import values_found
from records.exchange import Exchange, Role
from records.label import MAX_TEXT_CHARACTERS, NO_EXCHANGE, Label, LabelSource, Subject
from records.payload import Decoded


class LabelKeys:
    """The caller's own name of an exchange: what stands where its route's settings say, else what Seldon's or Clipper's feedback calls it."""

    def __init__(self, routes: Sequence[RouteSettings]) -> None:
        self._places = {route.name: route.label_key for route in routes if route.label_key}

    def __call__(self, exchange: Exchange) -> str:
        """Return the name, empty where there is none that a label could have. Never raises."""
        if exchange.role is not Role.SERVED:
            return ""
        place = self._places.get(exchange.route)
        if place is None:
            return _usable(prediction_key(exchange))
        try:
            found = values_found(place, exchange)
        except NotKeptError:
            return ""
        return _usable(text(found[0]) or "") if len(found) == 1 and isinstance(found[0], str | int | float) else ""


def feedback_labels(exchange: Exchange, received_at_ns: int) -> Iterator[Label]:
    """Yield the labels of an exchange that took feedback; nothing where it says of no prediction what it should have been."""
    feedback = read_feedback(exchange)
    if not isinstance(feedback, Feedback) or not feedback.truth or not _usable(feedback.key):
        return
    truth = Decoded(feedback.format, feedback.truth)
    for row in range(feedback.truth[0].shape[0]):
        value = prediction(truth, row)
        if value and len(value) <= MAX_TEXT_CHARACTERS:
            yield Label(Subject(NO_EXCHANGE, "", feedback.key, row), value, exchange.started_at_ns, received_at_ns + row, LabelSource.FEEDBACK)


def _usable(key: str) -> str:
    return key if len(key) <= MAX_TEXT_CHARACTERS else ""
