"""What stops a tool."""

from __future__ import annotations


class ToolError(ValueError):
    """A model or rows with which a tool cannot work; the text says which, why, and what to do."""
