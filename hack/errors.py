"""The one exception of these tools: a sentence for the person at the keyboard, no traceback."""

from __future__ import annotations


class SetupError(Exception):
    """What went wrong and, where there is one, the command that puts it right."""
