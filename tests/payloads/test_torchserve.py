import pytest

from records.payload import Tensor, Undecodable

PATH = "/predictions/densenet/2.0"
BOUNDARY = "------------------------3f1a"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def form(*fields):
    """Write a form as curl does; a field is a name, more of its head, and its content."""
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{head}\r\n\r\n'.encode() + content + b"\r\n" for name, head, content in fields]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def test_the_path_names_model_and_version(decode_request):
    decoded = decode_request(PATH, [[1.5, 2.5]])
    assert (decoded.format, decoded.model, decoded.version) == ("torchserve", "densenet", "2.0")
    assert decoded.tensors == [Tensor("inputs", "FP64", (1, 2), [1.5, 2.5])]
    assert decode_request("/explanations/m", {"instances": [{"age": 41}]}).tensors == [Tensor("age", "INT64", (1,), [41])]


def test_a_form_gives_a_tensor_per_field_and_leaves_files_out(decode_request, body):
    content = form(
        ("data", '; filename="in.json"\r\nContent-Type: application/json', b'{"age": 41}'),
        ("note", "", b'"quick"'),
        ("text", "\r\nContent-Type: text/plain", b"hello\r\nthere"),
        ("image", '; filename="cat.jpg"\r\nContent-Type: image/jpeg', b"\xff\xd8\xff\xe0"),
    )
    assert decode_request(PATH, body(content, content_type=FORM)).tensors == [
        Tensor("age", "INT64", (1,), [41]),
        Tensor("note", "BYTES", (1,), ["quick"]),
        Tensor("text", "BYTES", (1,), ["hello\r\nthere"]),
    ]


def test_an_image_is_no_data_however_it_is_sent(decode_request, body):
    image = b"\xff\xd8\xff\xe0"
    assert decode_request(PATH, body(image, content_type="")).reason is Undecodable.NO_DATA
    assert decode_request(PATH, body(form(("data", '; filename="cat.jpg"', image)), content_type=FORM)).reason is Undecodable.NO_DATA


@pytest.mark.parametrize(
    ("content", "content_type", "reason"),
    [
        (b"x", "multipart/form-data", Undecodable.MALFORMED),
        (b"x", FORM, Undecodable.MALFORMED),
        (form(("data", "", b"1"))[:-6], FORM, Undecodable.MALFORMED),
        (form(("data", "\r\nX: " + "x" * 5_000, b"1")), FORM, Undecodable.MALFORMED),
        (f"--{BOUNDARY}\r\n\r\n1\r\n--{BOUNDARY}--\r\n".encode(), FORM, Undecodable.MALFORMED),
        (form(*[("data", "", b"1")] * 1_001), FORM, Undecodable.TOO_LARGE),
        (form(), "multipart/form-data; boundary=" + "x" * 2_000, Undecodable.MALFORMED),
    ],
    ids=["no boundary", "not divided", "cut", "a long head", "no name", "many parts", "a long boundary"],
)
def test_other_forms_are_refused(decode_request, body, content, content_type, reason):
    assert decode_request(PATH, body(content, content_type=content_type)).reason is reason


def test_an_object_of_falling_scores_is_a_ranking(decode_reply):
    assert decode_reply(PATH, {"tabby": 0.5, "tiger cat": 0.25, "lynx": 0.25}).tensors == [
        Tensor("classes", "BYTES", (1, 3), ["tabby", "tiger cat", "lynx"]),
        Tensor("scores", "FP64", (1, 3), [0.5, 0.25, 0.25]),
    ]


@pytest.mark.parametrize("document", [{"mean": 0.25, "deviation": 0.5}, {"mean": 1.5, "deviation": 0.5}, {"mean": 0.5}, {"a": 0.5, "n": 0}])
def test_other_objects_are_one_row_of_outputs(decode_reply, document):
    assert [tensor.name for tensor in decode_reply(PATH, document).tensors] == list(document)


def test_text_is_text(decode_reply, body):
    assert decode_reply(PATH, body("schön".encode(), content_type="text/plain; charset=utf-8")).tensors == [Tensor("predictions", "BYTES", (1,), ["schön"])]


def test_broken_json_that_calls_itself_json_is_malformed(decode_request, body):
    assert decode_request(PATH, body(b"{", content_type="application/json")).reason is Undecodable.MALFORMED
