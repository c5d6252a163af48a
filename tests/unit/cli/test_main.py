"""What every command has in common: quick start, exit codes, sentences and no tracebacks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from gradient_operator.cli import main
from gradient_operator.cli.errors import CommandError, sentence
from gradient_operator.datasets.errors import StorageRefusedError
from gradient_operator.kube.credentials import CredentialsError
from gradient_operator.kube.errors import Forbidden, KubeError, NotFound, ServerError, Unreachable
from gradient_operator.workflow.model import Problem, Refused

FIXTURE = Path(__file__).parent / "fixtures" / "training.yaml"
HEAVY = ("kopf", "kubernetes", "aiohttp", "pydantic", "rich", "obstore", "asyncio")


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["manifest", str(FIXTURE)]])
def test_commands_that_need_no_cluster_import_nothing_heavy(arguments):
    program = (
        "import json, sys\n"
        "from gradient_operator.cli.main import invoke\n"
        f"code = invoke({arguments!r})\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(json.dumps([code, loaded]), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert json.loads(done.stderr) == [0, []]
    assert done.stdout


def test_help_names_every_command_in_one_line(gradient):
    code, out, _ = gradient("--help")
    assert code == 0
    for name in ("manifest", "run", "runs", "show", "logs", "cancel", "dataset"):
        assert f"  {name} " in out
    assert "..." not in out.partition("Commands:")[2]
    assert "..." not in gradient("dataset", "--help")[1].partition("Commands:")[2]


def test_a_misspelt_command_is_answered_with_the_nearest_one(gradient):
    code, _, err = gradient("manifset")
    assert code == 2
    assert "did you mean 'manifest'?" in err


def test_wrong_use_ends_with_2(gradient):
    assert gradient("run")[0] == 2
    assert gradient("runs", "--no-such-option")[0] == 2


def test_as_a_plugin_of_kubectl_it_calls_itself_so(gradient, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/usr/local/bin/kubectl-gradient"])
    assert "Usage: kubectl gradient " in gradient("--help")[1]


def failing(monkeypatch, error):
    @click.command()
    def command():
        raise error

    monkeypatch.setattr(main, "cli", command)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (CommandError("Do this."), "Error: Do this."),
        (CredentialsError("no kubeconfig"), "--kubeconfig"),
        (Unreachable("refused"), "kubectl cluster-info"),
        (Forbidden("no"), "Ask its administrator"),
        (NotFound("the server could not find the requested resource"), "install the operator"),
        (ServerError("etcd"), "Try again"),
        (KubeError("odd"), "refused it: odd"),
        (StorageRefusedError("The key is wrong: correct it."), "The key is wrong: correct it."),
        (Refused((Problem(("jobs", "a"), "is bad", "r"),)), "jobs.a: is bad"),
        (FileNotFoundError(2, "No such file", "x"), "x: No such file. Check the path"),
        (ZeroDivisionError("oops"), "fault of the program: ZeroDivisionError: oops"),
    ],
)
def test_errors_become_sentences_and_exit_code_2(monkeypatch, gradient, error, says):
    failing(monkeypatch, error)
    code, _, err = gradient()
    assert code == 2
    assert says in err
    assert "Traceback" not in err


def test_debug_shows_the_traceback(monkeypatch, gradient):
    failing(monkeypatch, ZeroDivisionError("oops"))
    monkeypatch.setenv("GRADIENT_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main.invoke([])


def test_control_c_ends_as_shells_expect_it(monkeypatch, gradient):
    failing(monkeypatch, KeyboardInterrupt())
    assert gradient()[0] == 130


def test_a_fault_of_the_program_has_no_sentence():
    assert sentence(ZeroDivisionError()) is None


def test_a_closed_pipe_is_no_error():
    program = f"from gradient_operator.cli.main import main; main(['manifest', {str(FIXTURE)!r}])"
    done = subprocess.run(
        ["bash", "-c", '"$0" -c "$1" | true; echo "${PIPESTATUS[0]}"', sys.executable, program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.stdout, done.stderr) == ("0\n", "")
