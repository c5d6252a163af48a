"""Whether an image that cannot be pulled will come by itself: by what runtime and registry say.

The texts are those of containerd, CRI-O and the registries of the OCI distribution specification.
What is not recognised counts as transient, so that an attempt too many is made rather than one too
few.
"""

import re
from typing import Final

_NEVER: Final = frozenset({"InvalidImageName", "ErrImageNeverPull"})
"""Reasons of a waiting container that no registry can change."""
_QUOTED: Final = re.compile(r'"[^"]*"')
"""Names of images and addresses stand in quotes, and may hold any word."""
_TRANSIENT: Final = re.compile(
    r"toomanyrequests|too many requests|\b429\b|\b50[0234]\b|timeout|timed out|deadline exceeded"
    r"|connection re(fused|set)|no such host|server misbehaving|temporary failure|network is "
    r"unreachable|no route to host|unexpected eof|broken pipe|no space left|service unavailable"
    r"|bad gateway|internal server error|try again",
    re.IGNORECASE,
)
_PERMANENT: Final = re.compile(
    r"manifest unknown|name unknown|code = notfound|not found|does not exist|unauthorized"
    r"|authentication required|authorization failed|access denied|access forbidden"
    r"|insufficient_scope"
    r"|\b401\b|\b403\b|invalid reference format|couldn't parse image|no match for platform"
    r"|no matching manifest|no image found in (manifest|image) (list|index)|name invalid",
    re.IGNORECASE,
)


def permanent(reason: str, message: str) -> bool:
    """Whether further attempts would fail alike: no such image, no access, no such platform.

    `reason` and `message` are those of the waiting container.
    """
    if reason in _NEVER:
        return True
    said = _QUOTED.sub("", message)
    return _TRANSIENT.search(said) is None and _PERMANENT.search(said) is not None
