"""The processor architecture, in the three spellings that are needed."""

from __future__ import annotations

import platform

from hack.errors import SetupError

OCI_NAMES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def oci_architecture() -> str:
    """This machine's architecture as images spell it, and Debian and Go with them."""
    machine = platform.machine().lower()
    if machine not in OCI_NAMES:
        raise SetupError(f"images can be built on x86-64 and ARM64, and this machine is {machine}")
    return OCI_NAMES[machine]
