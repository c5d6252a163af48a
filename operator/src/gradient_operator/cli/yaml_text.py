"""Writes YAML that people can read and that every reader takes the same way.

Scripts stay blocks, also with spaces at the ends of lines, where PyYAML would quote them; what
another reader may take for something else than text (`on`, `1e3`, `y`) is put into quotes.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml
from yaml.emitter import ScalarAnalysis
from yaml.resolver import Resolver

_NEVER_FOLD: Final = 1 << 20
_BOOLEAN: Final = "tag:yaml.org,2002:bool"
_FLOAT: Final = "tag:yaml.org,2002:float"
_BLOCK: Final = re.compile(r"[^\s#][^\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]*[^\s]\n?")
"""Text that a literal block holds unchanged: it begins and ends with something visible."""


class _Dumper(yaml.SafeDumper):
    """SafeDumper with literal blocks, quotes where they help, and no aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        """Write out what is repeated: an alias is hard to read and to edit."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Indent lists below their key."""
        super().increase_indent(flow=flow, indentless=False)

    def analyze_scalar(self, scalar: str) -> ScalarAnalysis:
        """Allow a literal block for lines that end with spaces."""
        analysis = super().analyze_scalar(scalar)
        if analysis.multiline and _BLOCK.fullmatch(scalar):
            analysis.allow_block = True
        return analysis


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None
    if "\n" in text:
        style = "|"
    elif _tag(dumper, text) != Resolver.DEFAULT_SCALAR_TAG:
        style = '"'
    return dumper.represent_scalar(Resolver.DEFAULT_SCALAR_TAG, text, style=style)


def _tag(dumper: _Dumper, text: str) -> str:
    """The type that a reader gives to the text without quotes."""
    tag: str = dumper.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return tag


_Dumper.add_representer(str, _represent_text)
_Dumper.add_implicit_resolver(_BOOLEAN, re.compile(r"^[yYnN]$"), list("yYnN"))
_Dumper.add_implicit_resolver(
    _FLOAT,
    re.compile(r"^[-+]?(0o[0-7]+|[0-9_.]*[0-9][0-9_.]*([eE][-+]?[0-9]+)?)$"),
    list("-+.0123456789"),
)


def to_yaml(content: Mapping[str, Any]) -> str:
    """Plain data as YAML, keys in their order."""
    text: str = yaml.dump(
        dict(content), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_NEVER_FOLD
    )
    return text
