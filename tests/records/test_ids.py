"""Identifiers are those of RFC 9562 §5.7, each its own."""

import uuid

from records.ids import new_exchange_id


def test_ids_are_of_version_7_with_their_time_in_front():
    for milliseconds in (0, 1, 1_760_000_000_123, 1_760_000_000_124, 2**48 - 1):
        made = uuid.UUID(bytes=new_exchange_id(milliseconds * 1_000_000 + 999_999))

        assert (made.version, made.variant) == (7, uuid.RFC_4122)
        assert made.int >> 80 == milliseconds


def test_no_two_ids_are_equal_and_every_free_bit_varies():
    made = [int.from_bytes(new_exchange_id(10**18)) for _ in range(10_000)]

    ever, always = 0, (1 << 128) - 1
    for each in made:
        ever |= each
        always &= each
    free_bits = (1 << 74) - 1
    assert len(set(made)) == len(made)
    assert (ever ^ always).bit_count() == free_bits.bit_count()
