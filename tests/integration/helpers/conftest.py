from __future__ import annotations

from tests.integration.seaweedfs import seaweedfs

__all__ = ["seaweedfs"]
