"""The value of a scalar: text, number, boolean or nothing, as the readers of these files have it.

Numbers are YAML 1.1's, as for kubectl. Of its booleans only `true` and `false` are: the hosted
service read `on`, `off`, `yes` and `no` as the words they are, else `on:` would have been no key.
"""

from typing import Final

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

TAG: Final = "tag:yaml.org,2002:"
TYPES: Final = frozenset(f"{TAG}{name}" for name in ("str", "int", "float", "bool", "null"))
_WORDS: Final = frozenset({"true", "false"})
_RESOLVERS: Final = Resolver.yaml_implicit_resolvers
_CONSTRUCTOR: Final = SafeConstructor()


def resolve(text: str) -> str:
    """The type of an unquoted scalar; dates and numbers to base 60 stay text, as for kubectl."""
    for tag, pattern in _RESOLVERS.get(text[:1], ()):
        if pattern.match(text):
            known = tag in TYPES and ":" not in text
            if tag == f"{TAG}bool":
                known = text.lower() in _WORDS
            return str(tag) if known else f"{TAG}str"
    return f"{TAG}str"


def construct(tag: str, text: str) -> str | int | float | bool | None:
    """The value of a scalar; ValueError, KeyError or IndexError when the text is no such value."""
    node = yaml.ScalarNode(tag, text)
    match tag.removeprefix(TAG):
        case "int":
            return int(_CONSTRUCTOR.construct_yaml_int(node))
        case "float":
            return float(_CONSTRUCTOR.construct_yaml_float(node))
        case "bool":
            return bool(_CONSTRUCTOR.construct_yaml_bool(node))
        case "null":
            return None
        case _:
            return text
