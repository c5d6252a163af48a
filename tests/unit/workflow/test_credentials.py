"""What looks like a credential is warned of, never shown; what is none is left alone."""

import pytest

from gradient_operator.workflow.credentials import credentials
from gradient_operator.workflow.validate import parse_file
from tests.builders import make_workflow

HEX = "0123456789abcdef" * 4
RANDOM = "q7Rz2LxP0vKd9TgW4mYb8NsE"
HELD = {
    "AWS_ACCESS_KEY_ID": "AKIA" + "Z7Q2" * 4,
    "ANYTHING": "ghp_" + "a1B2" * 9,
    "MODEL": "hf_" + "aB3d" * 9,
    "DATABASE": "postgres://me:" + "hunter22" + "@db:5432/x",
    "AWS_SECRET_ACCESS_KEY": RANDOM + "/" + RANDOM,
    "WANDB_API_KEY": HEX[:40],
    "DB_PASSWORD": "correct-horse",
    "pem": "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE",
}
NONE_HELD = {
    "API_KEY": "secret:API_KEY",
    "OTHER_KEY": "$API_KEY",
    "S3_KEY": "models/2021/flowers-v12.tar.gz",
    "SSH_KEY": "/storage/keys/id_ed25519",
    "AWS_SECRET_ACCESS_KEY": "<your secret access key>",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7" + "EXAMPLE",
    "HF_TOKEN": "xxxxxxxxxxxxxxxx1",
    "EOS_TOKEN": "<|endoftext|>",
    "PRIMARY_KEY": "identifier",
    "MAX_TOKENS": "1000",
    "PASSWORD": "changeme",
    "KEY": "0123456789012345678",
    "URL": "https://example.com:8080/a@b",
    "SCRIPT": "task-scheduler-0123456789abcdefghij",
}
SCRIPTS = [
    f"export WANDB_API_KEY={HEX[:40]}",
    f"wandb login {HEX[:40]}",
    f"gradient deployments create --apiKey {RANDOM}",
    f"echo a\n\ngit clone https://me:{RANDOM}@github.com/a/b",
]
CLEAN_SCRIPTS = [
    "export WANDB_API_KEY=$KEY",
    "wandb login $WANDB_API_KEY",
    "python train.py --token-length 100000 --tokens 12345678",
    "git clone https://github.com/a/b && git clone git@github.com:a/b",
    'curl -H "Authorization: Bearer $TOKEN" https://a/b',
]


def found(builder):
    return list(credentials(parse_file(builder.data())))


def in_script(script):
    return make_workflow().job("a").uses("script@v1", image="x", script=script)


@pytest.mark.parametrize(("name", "value"), HELD.items())
def test_a_credential_in_a_variable_is_warned_of_and_not_shown(name, value):
    for builder in (
        make_workflow().job("a", env={name: value}),
        make_workflow(defaults={"env": {name: value}}).job("a"),
    ):
        (problem,) = found(builder)
        assert problem.rule == "literal-secret"
        assert problem.severity == "warning"
        assert problem.path[-1] == name
        assert "secret:NAME" in problem.message
        assert value[:8] not in problem.message


@pytest.mark.parametrize(("name", "value"), NONE_HELD.items())
def test_what_is_no_credential_is_left_alone(name, value):
    assert found(make_workflow().job("a", env={name: value})) == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_credential_in_a_script_is_warned_of_with_its_line(script):
    (problem,) = found(in_script(script))
    assert problem.line == script.count("\n")
    assert "$NAME" in problem.message


@pytest.mark.parametrize("script", CLEAN_SCRIPTS)
def test_a_script_that_takes_variables_is_fine(script):
    assert found(in_script(script)) == []
