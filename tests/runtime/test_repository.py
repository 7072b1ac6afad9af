import os
from pathlib import Path

import pytest

from runtime.repository import Repository, RepositoryError


def test_versions_are_whole_numbers_and_anything_else_is_left_alone(tmp_path: Path, add_linear) -> None:
    add_linear("m", 1)
    add_linear("m", 12)
    add_linear("other.model-2", 3)
    for name in ("m/draft", "m/01", "m/4", ".hidden/1", "models with spaces/1"):
        (tmp_path / "models" / name).mkdir(parents=True)
    (tmp_path / "models" / "README.md").write_text("not a model")
    assert list(Repository(tmp_path / "models").scan()) == [("m", 1), ("m", 12), ("other.model-2", 3)]


def test_the_same_bytes_are_the_same_model_wherever_they_lie(tmp_path: Path, add_linear) -> None:
    for model, number, scale in (("a", 1, 1.0), ("b", 7, 1.0), ("b", 8, 2.0)):
        add_linear(model, number, scale, settings="labels: stable" if model == "b" else "")
    repository = Repository(tmp_path / "models")
    same, moved, other = (repository.read(model, number).uuid for model, number in (("a", 1), ("b", 7), ("b", 8)))
    assert same == moved != other
    assert same.version == 8
    assert same.variant == "specified in RFC 4122"


def test_weights_beside_the_model_are_part_of_it(tmp_path: Path, add_linear) -> None:
    directory = add_linear()
    before = Repository(tmp_path / "models").read("m", 1).uuid
    (directory / "weights.bin").write_bytes(b"1")
    assert Repository(tmp_path / "models").read("m", 1).uuid != before


def test_a_version_that_is_written_again_has_another_stamp(tmp_path: Path, add_linear) -> None:
    directory = add_linear()
    repository = Repository(tmp_path / "models")
    before = repository.scan()["m", 1]
    assert repository.scan()["m", 1] == before
    os.utime(directory / "model.onnx", ns=(1, 1))
    assert repository.scan()["m", 1] != before


def test_settings_beside_the_model_are_read(tmp_path: Path, add_linear) -> None:
    directory = add_linear(settings="labels: [stable, eu]\nbatching: {max_rows: 8, p99_target: 20ms}\nsamples: samples.json\n")
    version = Repository(tmp_path / "models").read("m", 1)
    assert version.settings.labels == ("stable", "eu")
    assert version.settings.batching.max_rows == 8
    assert version.settings.batching.p99_target == 0.02
    assert version.samples == directory / "samples.json"
    assert version.file == directory / "model.onnx"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("batch: {}", r"model\.yaml:1: batch: expected a known setting"),
        ("labels: 1st", r"model\.yaml:1: labels\[0\]: expected letters"),
        ("instances:\n  minimum: 3", r"instances\.maximum: expected at least instances\.minimum \(3\), found 1"),
        ("samples: ../x.json", r"samples: expected a file in the version's directory"),
        ("tolerance: [", r"not YAML"),
    ],
)
def test_settings_that_cannot_be_used_are_said_with_their_place(tmp_path: Path, add_linear, settings: str, said: str) -> None:
    add_linear(settings=settings)
    with pytest.raises(RepositoryError, match=said):
        Repository(tmp_path / "models").read("m", 1)


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "absent")
    with pytest.raises(RepositoryError, match="absent cannot be read: No such file or directory"):
        repository.scan()
    with pytest.raises(RepositoryError, match="cannot be read: No such file or directory"):
        repository.read("m", 1)
