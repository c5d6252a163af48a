"""Strings travel as files, secrets as variables, and a user's container holds nothing of ours."""

from tests.e2e.cluster import Cluster, script

STRING = {"value": {"type": "string"}}


async def test_strings_arrive_byte_for_byte_short_long_and_from_the_workflow(
    cluster: Cluster,
) -> None:
    read = {
        "short": "short.outputs.value",
        "long": "long.outputs.value",
        "given": "workflow.inputs.given",
        "unwritten": "unwritten.outputs.value",
    }
    check = """
        printf 'caf\\303\\251 $HOME $(x)\\n' >/tmp/expected
        cmp /tmp/expected /inputs/short
        test "$(wc -c </inputs/long)" = 65536
        test "$(tr -d x </inputs/long | wc -c)" = 0
        test "$(cat /inputs/given)" = '$(HOME) $$ "quoted"'
        test -f /inputs/unwritten && test ! -s /inputs/unwritten
        echo all arrived
    """
    await cluster.start(
        "strings",
        {
            "short": script("printf 'caf\\303\\251 $HOME $(x)\\n' >/outputs/value", outputs=STRING),
            "long": script("head -c 65536 /dev/zero | tr '\\0' x >/outputs/value", outputs=STRING),
            "unwritten": script("true", outputs=STRING),
            "reader": script(f"set -e\n{check}", needs=["short", "long", "unwritten"], inputs=read),
        },
        inputs={"given": {"type": "string", "with": {"value": '$(HOME) $$ "quoted"'}}},
    )
    status = await cluster.succeeded("strings")
    assert "all arrived" in await cluster.log("strings", "reader")
    assert status["jobs"]["short"]["outputs"]["value"]["value"] == "café $HOME $(x)\n"
    assert "ref" in status["jobs"]["long"]["outputs"]["value"]


async def test_a_string_that_is_too_long_or_no_text_fails_its_job_with_words(
    cluster: Cluster,
) -> None:
    await cluster.start(
        "badstrings",
        {
            "long": script("head -c 65537 /dev/zero | tr '\\0' x >/outputs/value", outputs=STRING),
            "binary": script("printf '\\377\\376' >/outputs/value", outputs=STRING),
        },
        policy={"retries": 3},
    )
    status = await cluster.ended("badstrings")
    assert status["phase"] == "Failed"
    for name, word in (("long", "64 KiB"), ("binary", "UTF-8")):
        job = status["jobs"][name]
        assert job["phase"] == "Failed"
        assert job["attempt"] == 1, "wrong data stays wrong: it is not tried again"
        assert word in job["message"]


async def test_environment_and_secrets(cluster: Cluster) -> None:
    cluster.kubectl("create", "secret", "generic", "gradient-secrets", "--from-literal=pin=1234")
    check = """
        set -e
        test "$PIN" = 1234
        test "$BOTH" = job
        test "$DEFAULT" = default
        test "$PID_TEXT" = 'a$$b $(BOTH)'
        test "$GRADIENT_JOB" = job
        test "$GRADIENT_ATTEMPT" = 1
        test -n "$GRADIENT_RUN" && test -n "$PROJECT_ID"
    """
    await cluster.start(
        "environment",
        {"job": script(check, env={"BOTH": "job", "PIN": "secret:pin"})},
        defaults={"env": {"BOTH": "default", "DEFAULT": "default", "PID_TEXT": "a$$b $(BOTH)"}},
    )
    await cluster.succeeded("environment")


async def test_a_users_container_holds_no_token_and_no_storage_credentials(
    cluster: Cluster,
) -> None:
    outputs = {"data": {"type": "dataset", "with": {"ref": "looked"}}}
    look = """
        env | sort; ls -la /var/run/secrets /var/run/gradient 2>&1 || true
        test ! -e /var/run/secrets/kubernetes.io && test ! -e /var/run/gradient
        for process in /proc/[0-9]*; do tr '\\0' ' ' <$process/cmdline; done
    """
    await cluster.start("look", {"job": script(f"set -e\n{look}", outputs=outputs)})
    await cluster.succeeded("look")
    log = await cluster.log("look", "job")
    assert "gradient-helper" not in log, "the helpers' processes must not be seen"
    pod = (await cluster.pods("look"))["job"]
    main = pod["spec"]["containers"][0]
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert {mount["name"] for mount in main["volumeMounts"]} == {"inputs", "outputs"}
    assert not any("GRADIENT_STORAGE" in item["name"] for item in main["env"])
