"""How many instances a model is given: policy alone, asked once per second.

The signal is the time that requests wait. Longer than `queue_delay` wants one more; much less, for a while and with room to spare, one less.
"""

from __future__ import annotations

from typing import Final

from config.model import InstanceSettings

_QUIET_SHARE: Final = 0.25
_QUIET_LOOKS: Final = 30
_BUSY_AT_MOST: Final = 0.7
"""What the instances that are left may be busy for."""


class Scaling:
    """Remembers how long it has been quiet."""

    def __init__(self, settings: InstanceSettings) -> None:
        self._settings = settings
        self._quiet = 0
        self.delay_ratio = 0.0
        """How long requests waited, relative to what they should: the signal for an autoscaler."""

    def wanted(self, instances: int, queue_seconds: float, busy_ratio: float) -> int:
        """Return how many instances there should be. `queue_seconds` is the longest wait of the last second, `busy_ratio` the share of time that they computed."""
        settings = self._settings
        self.delay_ratio = queue_seconds / settings.queue_delay if settings.queue_delay else 0.0
        if self.delay_ratio > 1:
            self._quiet = 0
            return min(instances + 1, settings.maximum)
        if self.delay_ratio > _QUIET_SHARE or busy_ratio * instances > _BUSY_AT_MOST * (instances - 1):
            self._quiet = 0
            return instances
        self._quiet += 1
        if self._quiet < _QUIET_LOOKS:
            return instances
        self._quiet = 0
        return max(instances - 1, settings.minimum)
