import pytest
from hypothesis import given
from hypothesis import strategies as st

from payloads.decoding import decode
from payloads.feedback import Feedback, is_feedback, read_feedback
from records.exchange import Exchange, Role
from records.payload import Failed, Tensor, Undecodable

SELDON = "/seldon/models/iris/api/v1.0/feedback"
CLIPPER = "/fraud/update"


@pytest.fixture(scope="session")
def exchange(body):
    def exchange(path, request, *, status=200):
        return Exchange(bytes(16), "r", Role.SERVED, "default", "upstream", 1, "POST", path, status=status, request=body(request), response=body(b"{}"))

    return exchange


def test_seldons_feedback_names_the_prediction_and_its_truth(exchange):
    feedback = read_feedback(
        exchange(
            SELDON,
            {
                "request": {"data": {"names": ["a", "b"], "ndarray": [[1.5, 2.5]]}},
                "response": {"meta": {"puid": "bql0ef", "routing": {"router": 1}}, "data": {"ndarray": [[0.25, 0.75]]}},
                "reward": 1.0,
                "truth": {"data": {"ndarray": [[1]]}},
            },
        )
    )
    assert feedback == Feedback(
        format="seldon",
        model="iris",
        prediction_id="bql0ef",
        truth=[Tensor("truth", "INT64", (1, 1), [1])],
        reward=1.0,
        inputs=[Tensor("inputs", "FP64", (1, 2), [1.5, 2.5], ("a", "b"))],
    )


def test_a_reward_alone_is_feedback_and_a_request_that_cannot_be_read_does_no_harm(exchange):
    feedback = read_feedback(exchange(SELDON, {"request": {"binData": "AA=="}, "response": {}, "reward": 0.5}))
    assert feedback == Feedback(format="seldon", model="iris", reward=0.5)


def test_clippers_update_is_an_input_with_its_label(exchange):
    assert read_feedback(exchange(CLIPPER, {"uid": 0, "input": [1.5, 2.5], "label": 1.0})) == Feedback(
        format="clipper", model="fraud", truth=[Tensor("truth", "FP64", (1,), [1.0])], inputs=[Tensor("inputs", "FP64", (1, 2), [1.5, 2.5])]
    )


@pytest.mark.parametrize(
    ("path", "document", "reason"),
    [
        (SELDON, {"request": {}}, Undecodable.NO_DATA),
        (SELDON, {"truth": {"data": {"ndarray": [[1], [1, 2]]}}}, Undecodable.RAGGED),
        (SELDON, {"reward": "much"}, Undecodable.MALFORMED),
        (CLIPPER, {"name": "x"}, Undecodable.UNKNOWN_FORMAT),
        (CLIPPER, b"", Undecodable.EMPTY),
    ],
)
def test_what_is_no_feedback_has_its_reason(exchange, path, document, reason):
    assert read_feedback(exchange(path, document)).reason is reason


def test_predictions_and_refused_feedback_are_none(exchange):
    assert read_feedback(exchange("/seldon/models/iris/api/v1.0/predictions", {})) is None
    assert read_feedback(exchange(SELDON, {"reward": 1.0}, status=500)) is None
    assert not is_feedback("/v2/models/update/infer")


@pytest.mark.parametrize("path", [SELDON + "?x=1", "/api/v0.1/feedback", CLIPPER])
def test_feedback_is_not_taken_for_a_prediction(exchange, path):
    assert decode(exchange(path, {"label": 1})) == (Failed("", Undecodable.FEEDBACK),) * 2


JSON = st.recursive(
    st.none() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "ndarray", "meta", "puid", "label", "input"]), inner, max_size=3),
    max_leaves=8,
)


@given(path=st.sampled_from([SELDON, CLIPPER]), document=st.dictionaries(st.sampled_from(["request", "response", "reward", "truth", "label", "input"]), JSON))
def test_arbitrary_feedback_never_raises(exchange, path, document):
    assert isinstance(read_feedback(exchange(path, document)), Feedback | Failed)
