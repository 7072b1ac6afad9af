"""Records as SageMaker's own library would write them: the messages are made by protobuf, from `record.proto`'s fields."""

import contextlib
import struct

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from payloads.recordio import Part, tensors_of_recordio
from payloads.refusal import Refused
from records.payload import Tensor, Undecodable

Field = descriptor_pb2.FieldDescriptorProto


def record_class():
    """Return the class of `Record`, without the fields that nobody reads."""
    file = descriptor_pb2.FileDescriptorProto(name="record.proto", package="aialgs.data", syntax="proto2")

    def message(name, *fields):
        made = file.message_type.add(name=name)
        for number, field, kind, label, *of in fields:
            added = made.field.add(name=field, number=number, type=kind, label=label, type_name=of[0] if of else None)
            if label == Field.LABEL_REPEATED and kind != Field.TYPE_MESSAGE:
                added.options.packed = True
        return made

    for name, kind in (("Float32Tensor", Field.TYPE_FLOAT), ("Float64Tensor", Field.TYPE_DOUBLE), ("Int32Tensor", Field.TYPE_INT32)):
        message(
            name,
            (1, "values", kind, Field.LABEL_REPEATED),
            (2, "keys", Field.TYPE_UINT64, Field.LABEL_REPEATED),
            (3, "shape", Field.TYPE_UINT64, Field.LABEL_REPEATED),
        )
    tensors = ((2, "float32_tensor", "Float32Tensor"), (3, "float64_tensor", "Float64Tensor"), (7, "int32_tensor", "Int32Tensor"))
    message("Value", *((number, field, Field.TYPE_MESSAGE, Field.LABEL_OPTIONAL, f".aialgs.data.{of}") for number, field, of in tensors))
    record = message("Record", (3, "uid", Field.TYPE_STRING, Field.LABEL_OPTIONAL))
    for number, field, entry in ((1, "features", "FeaturesEntry"), (2, "label", "LabelEntry")):
        of_map = record.nested_type.add(name=entry)
        of_map.options.map_entry = True
        of_map.field.add(name="key", number=1, type=Field.TYPE_STRING, label=Field.LABEL_OPTIONAL)
        of_map.field.add(name="value", number=2, type=Field.TYPE_MESSAGE, label=Field.LABEL_OPTIONAL, type_name=".aialgs.data.Value")
        record.field.add(name=field, number=number, type=Field.TYPE_MESSAGE, label=Field.LABEL_REPEATED, type_name=f".aialgs.data.Record.{entry}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("aialgs.data.Record"))


Record = record_class()


def framed(*messages):
    return b"".join(struct.pack("<II", 0xCED7230A, len(message)) + message + bytes(-len(message) % 4) for message in messages)


def record(values, *, kind="float32_tensor", part="features", name="values", keys=()):
    made = Record(uid="7")
    tensor = getattr(getattr(made, part)[name], kind)
    tensor.values.extend(values)
    tensor.keys.extend(keys)
    return made.SerializeToString()


KINDS = {
    "float32_tensor": st.floats(width=32, allow_nan=False),
    "float64_tensor": st.floats(allow_nan=False),
    "int32_tensor": st.integers(-(2**31), 2**31 - 1),
}


@given(kind=st.sampled_from(sorted(KINDS)), rows=st.integers(1, 3), width=st.integers(1, 3), data=st.data())
def test_dense_tensors_arrive_as_they_were_sent(kind, rows, width, data):
    table = [data.draw(st.lists(KINDS[kind], min_size=width, max_size=width)) for _ in range(rows)]
    (tensor,) = tensors_of_recordio(framed(*(record(values, kind=kind) for values in table)), Part.FEATURES)
    assert (tensor.name, tensor.shape, tensor.values) == ("values", (rows, width), [value for row in table for value in row])


def test_a_reply_has_its_predictions_as_labels():
    made = Record()
    made.label["score"].float32_tensor.values.append(0.25)
    made.label["predicted_label"].float32_tensor.values.append(1)
    tensors = tensors_of_recordio(framed(made.SerializeToString()), Part.LABEL)
    assert sorted(tensors, key=lambda tensor: tensor.name) == [Tensor("predicted_label", "FP64", (1, 1), [1.0]), Tensor("score", "FP64", (1, 1), [0.25])]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (framed(record([1.0], keys=[7])), Undecodable.NO_DATA),
        (framed(record([1.0], part="label")), Undecodable.NO_DATA),
        (framed(record([1.0]), record([1.0, 2.0])), Undecodable.RAGGED),
        (framed(record([1.0]), record([1.0], name="other")), Undecodable.RAGGED),
        (framed(record([0] * 100_001, kind="int32_tensor")), Undecodable.TOO_LARGE),
        (framed(b"") * 100_001, Undecodable.TOO_LARGE),
        (framed(b"\x0a\x7f"), Undecodable.MALFORMED),
        (framed(b"\x08\x01"), Undecodable.MALFORMED),
        (b"\x0a\x23\xd7\xce" + b"\xff" * 4, Undecodable.MALFORMED),
        (b"1,2", Undecodable.MALFORMED),
    ],
    ids=["sparse", "no features", "rows that differ", "names that differ", "many values", "many records", "cut", "no message", "in parts", "no magic"],
)
def test_other_records_are_refused_with_their_reason(content, reason):
    with pytest.raises(Refused) as refused:
        tensors_of_recordio(content, Part.FEATURES)
    assert refused.value.reason is reason


@given(message=st.binary(max_size=40), cut=st.integers(0, 60), at=st.integers(0, 60), byte=st.integers(0, 255))
def test_arbitrary_and_damaged_records_are_refused_or_read_and_nothing_else(message, cut, at, byte):
    damaged = bytearray(framed(record([1.0, 2.0])))
    damaged[at % len(damaged)] = byte
    for content in (framed(message), bytes(damaged), bytes(damaged[:cut])):
        with contextlib.suppress(Refused):
            assert tensors_of_recordio(content, Part.FEATURES)
