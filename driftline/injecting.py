"""What the injector is told, from its file of settings."""

from __future__ import annotations

from pathlib import Path

from config.load import load
from injection.patching import Injection
from injection.settings_text import Base


def injection_of(file: Path | None) -> Injection:
    """Return what the injector's file says; without one, every setting's default. Raises ConfigError."""
    settings = load(file, routes_needed=False)
    return Injection(settings.injector, Base(file.read_text(encoding="utf-8"), str(file)) if file else Base())
