"""The operator's process: arguments, configuration, logs, signals."""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from gradient_operator.config import DEFAULT_PATH, ConfigurationError, OperatorConfig, load_config
from gradient_operator.controllers.operator import Operator
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.credentials import CredentialsError
from gradient_operator.observability.logs import configure_logging
from gradient_operator.observability.metrics import Metrics
from gradient_operator.observability.requests import RequestCounter
from gradient_operator.observability.runtime import describe_build, observe_gc, tune_gc

logger = logging.getLogger("gradient_operator")


def main() -> None:
    """Run the operator; exit code 1 after a failure, 2 for unusable arguments."""
    arguments = _arguments()
    try:
        config = load_config(arguments.config)
    except ConfigurationError as error:
        sys.exit(f"gradient-operator: {error}")
    metrics = Metrics()
    pipe = configure_logging(arguments.log_level, metrics=metrics)
    tune_gc()
    observe_gc(metrics)
    describe_build(metrics)
    code = 0
    try:
        asyncio.run(_run(config, metrics, arguments.kubeconfig))
    except CredentialsError as error:
        logger.error("no access to a cluster: %s", error)  # noqa: TRY400 - the sentence says it all
        code = 1
    except Exception:
        logger.exception("the operator has failed")
        code = 1
    finally:
        pipe.close()
    sys.exit(code)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="gradient-operator", description="Runs Gradient workflows on a Kubernetes cluster."
    )
    parser.add_argument(
        "--config", type=Path, default=DEFAULT_PATH, help="configuration file (YAML)"
    )
    parser.add_argument(
        "--kubeconfig", type=Path, default=None, help="outside of a cluster: how to reach it"
    )
    parser.add_argument("--log-level", default="INFO", help="DEBUG, INFO, WARNING or ERROR")
    return parser.parse_args()


async def _run(config: OperatorConfig, metrics: Metrics, kubeconfig: Path | None) -> None:
    if kubeconfig is not None:
        os.environ["KUBECONFIG"] = str(kubeconfig)  # for the rim as well
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("no event loop runs")
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    client = await KubeClient.connect(
        kubeconfig, user_agent="gradient-operator", observer=RequestCounter(metrics)
    )
    async with client:
        operator = Operator(
            config,
            client,
            namespace=os.environ.get("POD_NAMESPACE", "gradient-system"),
            identity=os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}",
            metrics=metrics,
        )
        try:
            await operator.run()
        except asyncio.CancelledError:
            logger.info("stopped")
