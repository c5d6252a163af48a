"""`gradient resume`, the other half of `gradient suspend`."""

from gradient_operator.cli.suspend import resume as command

__all__ = ["command"]
