"""Entry point of the helpers' image: `gradient-helper fetch|upload|git-checkout|…`.

Only the chosen helper is imported, because `wait-ready` stands between a job and its start.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_HELPERS: Final = {
    "fetch": ("gradient_operator.helpers.fetch", "put the inputs of a job into place"),
    "upload": ("gradient_operator.helpers.upload", "store the outputs of a job when it has ended"),
    "wait-ready": ("gradient_operator.helpers.wait_ready", "wait until the uploader is ready"),
    "git-checkout": ("gradient_operator.helpers.git_checkout", "clone a repository"),
    "s3-download": ("gradient_operator.helpers.s3_download", "copy objects of a bucket"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one helper and return its exit code (`exits.ExitCode`)."""
    parser = argparse.ArgumentParser(prog="gradient-helper", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, description) in _HELPERS.items():
        commands.add_parser(name, help=description, description=description)
    chosen = parser.parse_args(arguments).command
    return int(importlib.import_module(_HELPERS[chosen][0]).main())


if __name__ == "__main__":
    sys.exit(main())
