"""A feature with very many levels as one of 64 buckets: what changes among the levels that are too rare to be counted one by one shows there.

The bucket of a level is its hash, so that it does not depend on which levels a baseline happened to have: buckets have no levels that are new, and none that were chosen for
being frequent in a sample. Source: Weinberger et al., "Feature hashing for large scale multitask learning", 2009.
"""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np

from detectors.arrays import Column

BUCKET: Final = ".bucket"

_NAMES: Final = [f"{bucket:02}" for bucket in range(64)]


def buckets_of(column: Column) -> Column:
    """Return the bucket of each level of a column; None where there is none.

    >>> buckets_of(np.array(["Bonn", None, "Ulm", "Bonn"], dtype=object)).tolist()
    ['01', None, '07', '01']
    """
    return np.array(
        [_NAMES[zlib.crc32(level.encode("utf-8", "replace")) % len(_NAMES)] if type(level) is str else None for level in column.tolist()], dtype=np.object_
    )
