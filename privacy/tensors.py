"""Tensors of Open Inference V2, by name: entries of `inputs` and `outputs` whose data is JSON, or lies behind the document (the binary tensor data extension).

A tensor that is hashed becomes one of BYTES, which is what texts are there; one that is masked keeps its type and shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from privacy.changes import Change, changed, dropped, masked
from privacy.paths import decoded, opened

LISTS: Final = ("inputs", "outputs")

_SIZES: Final = {
    **dict.fromkeys(("BOOL", "INT8", "UINT8"), 1),
    **dict.fromkeys(("INT16", "UINT16", "FP16", "BF16"), 2),
    **dict.fromkeys(("INT32", "UINT32", "FP32"), 4),
    **dict.fromkeys(("INT64", "UINT64", "FP64"), 8),
}


def tensors_changed(document: Any, binary: bytes, changes: Mapping[str, Change]) -> bytes:
    """Change the named tensors of a document, in place; return the binary data as it is then.

    Raises TypeError where the document has other things than tensors, ValueError where the binary data is not what it says, KeyError where a datatype is unknown.
    """
    kept: list[bytes] = []
    at = 0
    for name in LISTS:
        entries = opened(document.get(name))
        if not isinstance(entries, list):
            continue
        changed_entries = []
        for entry in map(opened, entries):
            if not isinstance(entry, dict):
                raise TypeError("an entry is no tensor")
            size = _binary_size(entry)
            data, at = binary[at : at + size], at + size
            if len(data) != size:
                raise ValueError("a tensor's binary data is not all there")
            change = changes.get(str(decoded(entry.get("name"))))
            if change is not None:
                data = _tensor_changed(entry, data, change)
            if change is not dropped:
                changed_entries.append(entry)
                kept.append(data)
        document[name] = changed_entries
    if at != len(binary):
        raise ValueError("there is more binary data than tensors")
    return b"".join(kept)


def _binary_size(entry: dict[str, Any]) -> int:
    parameters = decoded(entry.get("parameters"))
    size = parameters.get("binary_data_size", 0) if isinstance(parameters, dict) else 0
    if not isinstance(size, int) or size < 0:
        raise ValueError("the size of a tensor's binary data is no number")
    return size


def _tensor_changed(entry: dict[str, Any], binary: bytes, change: Change) -> bytes:
    """Change one tensor's entry; return its binary data."""
    if change is dropped:
        return b""
    datatype = str(decoded(entry.get("datatype")))
    if "data" in entry:
        entry["data"] = changed(decoded(entry["data"]), change)
    if binary:
        binary = bytes(len(binary)) if change is masked and datatype != "BYTES" else _packed([change(each) for each in _unpacked(binary, datatype)])
        entry["parameters"] = {**decoded(entry["parameters"]), "binary_data_size": len(binary)}
    if change is not masked:
        entry["datatype"] = "BYTES"
    return binary


def _unpacked(binary: bytes, datatype: str) -> list[str | int]:
    """Return the elements: of BYTES and of floating point, each as its bytes in the text of Latin-1; whole numbers as they are."""
    if datatype != "BYTES":
        size = _SIZES[datatype]
        whole = "INT" in datatype
        pieces = [binary[at : at + size] for at in range(0, len(binary), size)]
        return [int.from_bytes(each, "little", signed=datatype[0] == "I") if whole else each.decode("latin-1") for each in pieces]
    texts: list[str | int] = []
    at = 0
    while at < len(binary):
        end = at + 4 + int.from_bytes(binary[at : at + 4], "little")
        if end > len(binary):
            raise ValueError("a text is longer than the binary data")
        texts.append(binary[at + 4 : end].decode("utf-8", "surrogateescape"))
        at = end
    return texts


def _packed(texts: list[str]) -> bytes:
    contents = [text.encode("utf-8", "surrogateescape") for text in texts]
    return b"".join(len(content).to_bytes(4, "little") + content for content in contents)
