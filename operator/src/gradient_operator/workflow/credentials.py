"""Warns of keys and passwords that stand in a file. What it found is never repeated."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from gradient_operator.api.workflow import GradientFile
from gradient_operator.workflow.model import Problem
from gradient_operator.workflow.texts import TextAt, texts_of_file

_SHAPES: Final = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_[A-Za-z0-9_]{22}|\bglpat-[A-Za-z0-9_-]{20}"
    r"|\bhf_[A-Za-z0-9]{30}|\bxox[abprs]-[A-Za-z0-9-]{10}|\bAIza[0-9A-Za-z_-]{35}"
    r"|\bsk-(?=[A-Za-z_-]{0,40}[0-9])[A-Za-z0-9_-]{20}|\bdop_v1_[0-9a-f]{64}"
    r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----"
    r"|\bwandb login [\"']?[0-9a-f]{40}\b"
)
"""Tokens of well-known services, which nothing else looks like."""
_IN_URL: Final = re.compile(r"://[^/\s:@$'\"<{]{1,100}:([^/\s:@$'\"<{]{6,200})@")
_NAME: Final = re.compile(r"(?:KEY|SECRET|TOKEN|PASSWORD|PASSWD)\Z")
_ASSIGNED: Final = re.compile(
    r"\b([A-Z][A-Z0-9_]{0,60})=[\"']?([^\s\"'$]{6,200})"
    r"|--(api-?key|token|password)[= ][\"']?([^\s\"'$]{6,200})",
    re.IGNORECASE,
)
_PLACEHOLDER: Final = re.compile(
    r"your|xxx|change|example|placeholder|todo|dummy|insert|replace|[<>*{}|…]|\.\.\.", re.IGNORECASE
)
_REFERENCE: Final = ("secret:", "$", "/", "./", "~", "http")
_SHORTEST: Final = 16
_ENTROPY: Final = 3.0
"""Bits for each character: words have less, random text more."""


def credentials(file: GradientFile) -> Iterator[Problem]:
    """One warning for each text that holds what looks like a credential."""
    for found in texts_of_file(file):
        at = _held(found)
        if at is not None:
            line = found.text.count("\n", 0, at)
            yield Problem(found.path, _sentence(found), "literal-secret", "warning", line)


def _sentence(found: TextAt) -> str:
    what = "holds what looks like a key or password, for all to read: put it into the Secret of "
    if found.variable:
        return f"{what}values, and write secret:NAME here"
    return f"{what}values, take it as a variable (`env`, secret:NAME), and write $NAME here"


def _held(found: TextAt) -> int | None:
    """Where in the text a credential begins."""
    for match in _SHAPES.finditer(found.text):
        if "EXAMPLE" not in match[0]:
            return match.start()
    for match in _IN_URL.finditer(found.text):
        if not _PLACEHOLDER.search(match[1]) and not match[1].startswith("secret"):
            return match.start()
    if found.variable:
        return 0 if _is_named_secret(found.variable, found.text) else None
    for match in _ASSIGNED.finditer(found.text):
        name, value = match[1] or match[3].replace("-", ""), match[2] or match[4]
        if _is_named_secret(name, value):
            return match.start()
    return None


def _is_named_secret(name: str, value: str) -> bool:
    """Whether the value of a variable of this name is most likely a secret."""
    if not _NAME.search(name.upper()) or value.startswith(_REFERENCE):
        return False
    if _PLACEHOLDER.search(value) or len(value.split()) != 1 or value.upper() == value.lower():
        return False
    if name.upper().endswith(("PASSWORD", "PASSWD")):
        return True
    path = "/" in value and "." in value
    return len(value) >= _SHORTEST and not path and _is_random(value)


def _is_random(value: str) -> bool:
    text = value[:200]
    if text.isalpha():
        return False
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts) >= _ENTROPY
