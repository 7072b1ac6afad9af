from config.secrets import Secret
from privacy.keys import hashers


def test_keys_hash_under_their_names(monkeypatch) -> None:
    monkeypatch.setenv("NEW", "n" * 16)
    monkeypatch.setenv("OLD", "o" * 16)
    new, old = hashers([Secret("new", variable="NEW"), Secret("old", variable="OLD")])
    assert new(b"x").startswith("new:")
    assert old(b"x").startswith("old:")
    assert new(b"x")[4:] != old(b"x")[4:]
    assert new(b"x") == new(b"x") != new(b"y")
