"""`python3 -m hack.images build|load [NAME...]`: make images and give them to nodes."""

from __future__ import annotations

import argparse
import sys

from hack.cluster.choice import choose
from hack.errors import SetupError
from hack.images.catalogue import MAKERS
from hack.steps import complain


def main(arguments: list[str] | None = None) -> int:
    """Run one command; every failure is one sentence and exit code 1."""
    parser = argparse.ArgumentParser(prog="python3 -m hack.images", description=__doc__)
    parser.add_argument("command", choices=("build", "load"))
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"all by default: {', '.join(MAKERS)}"
    )
    options = parser.parse_args(arguments)
    names = options.names or list(MAKERS)
    try:
        cluster = choose("real")
        cluster.build_images(names)
        if options.command == "load":
            cluster.load_images(names)
    except SetupError as problem:
        complain(f"hack.images: {problem}")
        return 1
    except KeyboardInterrupt:
        complain("hack.images: interrupted; the same command can be run again")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
