"""Which images come by themselves, by what containerd, CRI-O and registries say."""

import pytest

from gradient_operator.engine.image_pull import permanent

PERMANENT = {
    "no such tag": 'Back-off pulling image "x/not-found:9": ErrImagePull: rpc error: code = '
    'NotFound desc = failed to pull and unpack image "x/not-found:9": failed to resolve reference '
    '"x/not-found:9": x/not-found:9: not found',
    "no such repository": "reading manifest 9 in docker.io/x/y: name unknown: no such repository",
    "manifest unknown": "manifest unknown: manifest unknown",
    "no access": "failed to authorize: failed to fetch anonymous token: unexpected status from GET "
    'request to "https://ghcr.io/token?scope=x": 401 Unauthorized',
    "forbidden": 'unexpected status from HEAD request to "https://r.io/v2/x": 403 Forbidden',
    "pull access denied": 'pull access denied, repository does not exist or may require "docker '
    'login": insufficient_scope: authorization failed',
    "another platform": "no match for platform in manifest: not found",
}
TRANSIENT = {
    "rate limit": "429 Too Many Requests - Server message: toomanyrequests: You have reached your "
    "unauthenticated pull rate limit.",
    "unavailable": 'unexpected status from HEAD request to "https://r.io/v2/x": 503 Service '
    "Unavailable",
    "timeout": 'failed to do request: Head "https://r.io/v2/unauthorized/x": dial tcp 1.2.3.4:443: '
    "i/o timeout",
    "refused": 'failed to do request: Head "https://r.io/v2/": dial tcp 1.2.3.4:443: connect: '
    "connection refused",
    "name server": "dial tcp: lookup r.io on 10.0.0.10:53: no such host",
    "cut": "failed to copy: httpReadSeeker: failed open: unexpected EOF",
    "disk": "write /var/lib/containerd/x: no space left on device",
    "nothing said": 'Back-off pulling image "x:not-found"',
    "empty": "",
}


@pytest.mark.parametrize("message", PERMANENT.values(), ids=PERMANENT)
def test_what_no_attempt_would_change(message):
    assert permanent("ImagePullBackOff", message)


@pytest.mark.parametrize("message", TRANSIENT.values(), ids=TRANSIENT)
def test_what_may_be_over_soon_or_is_not_known(message):
    assert not permanent("ErrImagePull", message)


@pytest.mark.parametrize("reason", ["InvalidImageName", "ErrImageNeverPull"])
def test_some_reasons_say_it_all(reason):
    assert permanent(reason, "")
