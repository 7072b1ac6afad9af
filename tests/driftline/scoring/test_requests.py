import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftline.scoring.columns import column_of
from driftline.scoring.requests import Scored, exchange_of, rows_within
from payloads.decoding import decode
from records.payload import Decoded, Failed, Undecodable
from runtime.signature import DTYPES, Signature, TensorSpec

CAPTURE_BYTES = 1 << 20


@st.composite
def arrays(draw):
    """One input or output of any kind: its specification, and values for some rows."""
    datatype = draw(st.sampled_from(sorted(DTYPES)))
    shape = (draw(st.integers(1, 5)), *draw(st.lists(st.integers(1, 3), max_size=2)))
    count = int(np.prod(shape))
    if datatype == "BYTES":
        values = np.array(draw(st.lists(st.text("aé€😀", max_size=5), min_size=count, max_size=count)), dtype=np.object_)
    else:
        values = np.array(draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))).astype(DTYPES[datatype])
    return TensorSpec("tensor", datatype, ("n", *shape[1:])), values.reshape(shape)


def record(given, made, capture_bytes=CAPTURE_BYTES):
    signature = Signature((given[0],), (made[0]._replace(name="made"),))
    scored = Scored([given[1]], [made[1]], 1_700_000_000_000_000_000, 5)
    return scored, exchange_of(scored, signature, model="a/b", version=3, route="r", capture_bytes=capture_bytes)


@given(arrays(), arrays())
def test_what_is_recorded_decodes_to_what_was_computed(given, made):
    _, exchange = record(given, made)
    for found, (spec, array) in zip(decode(exchange), (given, made), strict=True):
        assert isinstance(found, Decoded)
        assert (found.model, found.version) == ("a/b", "3")
        (tensor,) = found.tensors
        assert (tensor.datatype, tensor.shape) == (spec.datatype, array.shape)
        assert tensor.values == array.reshape(-1).tolist()


@given(arrays(), arrays(), st.integers(0, 400))
def test_bodies_are_cut_at_what_may_be_kept_and_keep_their_length(given, made, capture_bytes):
    _, whole = record(given, made)
    _, cut = record(given, made, capture_bytes)
    for body, full in ((cut.request, whole.request), (cut.response, whole.response)):
        assert body.content == full.content[:capture_bytes]
        assert body.size_bytes == len(full.content)
        assert body.truncated == (len(full.content) > capture_bytes)
    if cut.request.truncated:
        assert isinstance(decode(cut)[0], Failed)
        assert decode(cut)[0].reason in {Undecodable.TRUNCATED, Undecodable.EMPTY}


@given(st.integers(1, 2000), st.integers(1, 40), st.integers(300, 100_000))
def test_as_many_rows_make_a_request_as_fit_into_a_body(rows, width, capture_bytes):
    spec = TensorSpec("tensor", "FP32", ("n", width))
    one = (spec, np.zeros((1, width), np.float32))
    many = np.zeros((rows, width), np.float32)
    fitting = rows_within(capture_bytes, record(one, one)[1], Scored([many], [many], 0, 0))
    _, exchange = record((spec, many[:fitting]), (spec, many[:fitting]), capture_bytes)
    assert fitting == 1 or not (exchange.request.truncated or exchange.response.truncated)


@given(arrays())
def test_columns_hold_the_values_row_by_row(made):
    _, array = made
    rows = array.reshape(len(array)) if array.shape[1:] in {(), (1,)} else array
    assert column_of(array).to_pylist() == rows.tolist()
