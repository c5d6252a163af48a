"""`python3 -m hack.cluster build|up|down|status`: a cluster, whatever this machine has."""

from __future__ import annotations

import argparse
import sys

from hack.cluster import choice
from hack.errors import SetupError
from hack.steps import complain


def main(arguments: list[str] | None = None) -> int:
    """Run one command; every failure is one sentence and exit code 1."""
    parser = argparse.ArgumentParser(prog="python3 -m hack.cluster", description=__doc__)
    parser.add_argument("command", choices=("build", "up", "down", "status"))
    parser.add_argument(
        "--name",
        choices=("real", "simulated"),
        default="real",
        help="real: nodes that run containers (default); simulated: KWOK plays the kubelets",
    )
    options = parser.parse_args(arguments)
    try:
        cluster = choice.choose(options.name)
        if options.command == "build":
            cluster.build()
        elif options.command == "up":
            cluster.up()
        elif options.command == "down":
            cluster.down()
        else:
            return 0 if cluster.status() else 1
    except SetupError as problem:
        complain(f"hack.cluster: {problem}")
        return 1
    except KeyboardInterrupt:
        complain("hack.cluster: interrupted; the same command can be run again")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
