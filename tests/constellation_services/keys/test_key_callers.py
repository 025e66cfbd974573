# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Who gets a key: with tokens of a real API server, every other one refused."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lightkube.resources.core_v1 import Pod, ServiceAccount

from constellation_core.errors import KeyProviderError
from constellation_core.names import KEY_SERVICE_AUDIENCE, NAMESPACE
from constellation_services.testing.key_service import RunningKeyService, expected_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from constellation_engine.testing.control_plane import ControlPlane

    Tokens = Callable[[str], str]

UUID = "3f1f5c0e-8a51-4d8e-9a66-0a4f5d8b7c21"
DISK, VOLUME = f"state-disk/{UUID}", f"volume/{UUID}"
MAY = {
    "join-service": {"measurement-secret", DISK, "ssh-ca"},
    "csi-node": {VOLUME},
    "s3proxy": {"s3proxy/kek"},
    "key-service": set(),
    "verification-service": set(),
    "default": set(),
}
IDS = ["measurement-secret", DISK, VOLUME, "s3proxy/kek", "kube-secrets", "ssh-ca", "anything", ""]


async def assert_unauthenticated(service: RunningKeyService, token: str) -> None:
    with pytest.raises(KeyProviderError, match="UNAUTHENTICATED") as caught:
        await service.key(token, "measurement-secret")
    assert "projected one of audience constellation-keys" in caught.value.hint
    last = service.audit[-1]
    assert (last["outcome"], last["caller"], last["address"]) == ("unauthenticated", "", "ipv4:127.0.0.1")


@pytest.mark.parametrize("account", MAY)
async def test_each_caller_gets_its_own_keys_and_no_others(
    service: RunningKeyService, token_of: Tokens, account: str
) -> None:
    token = token_of(account)
    for key_id in IDS:
        if key_id in MAY[account]:
            assert await service.key(token, key_id) == expected_key(key_id)
        else:
            with pytest.raises(KeyProviderError, match="PERMISSION_DENIED"):
                await service.key(token, key_id)
    assert {line["outcome"] for line in service.audit if line["id"] in MAY[account]} <= {"given"}


async def test_an_account_of_the_same_name_elsewhere_gets_nothing(
    service: RunningKeyService, control_plane: ControlPlane
) -> None:
    token = control_plane.token("join-service", KEY_SERVICE_AUDIENCE, namespace="default", pod="join-0", node="node-0")
    with pytest.raises(KeyProviderError, match="default/join-service may not have the key"):
        await service.key(token, "measurement-secret")


async def test_a_token_for_another_audience_is_refused(service: RunningKeyService, control_plane: ControlPlane) -> None:
    for audience in ("constellation-join", "https://kubernetes.default.svc.cluster.local"):
        await assert_unauthenticated(
            service, control_plane.token("join-service", audience, pod="join-0", node="node-0")
        )


async def test_a_token_that_is_not_bound_to_a_pod_is_refused(
    service: RunningKeyService, control_plane: ControlPlane
) -> None:
    await assert_unauthenticated(service, control_plane.token("join-service", KEY_SERVICE_AUDIENCE))


async def test_a_token_of_a_pod_without_a_node_is_refused(
    service: RunningKeyService, control_plane: ControlPlane
) -> None:
    await assert_unauthenticated(service, control_plane.token("join-service", KEY_SERVICE_AUDIENCE, pod="pending-0"))


async def test_a_token_of_a_deleted_pod_is_refused(
    service: RunningKeyService, control_plane: ControlPlane, token_of: Tokens
) -> None:
    token = token_of("join-service")
    control_plane.client().delete(Pod, "join-service-0", namespace=NAMESPACE, grace_period=0)
    await assert_unauthenticated(service, token)


async def test_a_token_of_an_earlier_pod_of_this_name_is_refused(
    service: RunningKeyService, control_plane: ControlPlane, token_of: Tokens
) -> None:
    earlier = token_of("join-service")
    control_plane.client().delete(Pod, "join-service-0", namespace=NAMESPACE, grace_period=0)
    later = token_of("join-service")
    await assert_unauthenticated(service, earlier)
    assert await service.key(later, DISK) == expected_key(DISK)


async def test_a_token_of_a_deleted_account_is_refused(
    service: RunningKeyService, control_plane: ControlPlane, token_of: Tokens
) -> None:
    token = token_of("join-service")
    control_plane.client().delete(ServiceAccount, "join-service", namespace=NAMESPACE)
    await assert_unauthenticated(service, token)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def signed(token: str, key: ec.EllipticCurvePrivateKey, **claims: object) -> str:
    """Sign a token anew, with other claims."""
    head = token.partition(".")[0]
    signing = f"{head}.{b64(json.dumps(claims_of(token) | claims).encode())}"
    r, s = decode_dss_signature(key.sign(signing.encode(), ec.ECDSA(SHA256())))
    return f"{signing}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@pytest.fixture
def clusters_key(control_plane: ControlPlane) -> ec.EllipticCurvePrivateKey:
    """The key that the API server signs tokens with."""
    key = load_pem_private_key((control_plane.pki / "sa.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


async def test_the_way_that_the_next_tests_sign_is_right(
    service: RunningKeyService, token_of: Tokens, clusters_key: ec.EllipticCurvePrivateKey
) -> None:
    assert await service.key(signed(token_of("join-service"), clusters_key), DISK) == expected_key(DISK)


async def test_an_expired_token_is_refused(
    service: RunningKeyService, token_of: Tokens, clusters_key: ec.EllipticCurvePrivateKey
) -> None:
    now = int(time.time())
    times = {"iat": now - 7200, "nbf": now - 7200, "exp": now - 3600}
    await assert_unauthenticated(service, signed(token_of("join-service"), clusters_key, **times))


async def test_a_token_that_is_not_valid_yet_is_refused(
    service: RunningKeyService, token_of: Tokens, clusters_key: ec.EllipticCurvePrivateKey
) -> None:
    token = signed(token_of("join-service"), clusters_key, nbf=int(time.time()) + 3600)
    await assert_unauthenticated(service, token)


async def test_a_token_of_another_issuer_is_refused(
    service: RunningKeyService, token_of: Tokens, clusters_key: ec.EllipticCurvePrivateKey
) -> None:
    await assert_unauthenticated(service, signed(token_of("join-service"), clusters_key, iss="https://elsewhere"))


async def test_a_token_that_somebody_else_signed_is_refused(service: RunningKeyService, token_of: Tokens) -> None:
    mallory = ec.generate_private_key(ec.SECP256R1())
    await assert_unauthenticated(service, signed(token_of("join-service"), mallory))


async def test_a_token_with_other_claims_is_refused(service: RunningKeyService, token_of: Tokens) -> None:
    head, _, signature = token_of("csi-node").split(".")
    claims = claims_of(token_of("join-service"))
    await assert_unauthenticated(service, f"{head}.{b64(json.dumps(claims).encode())}.{signature}")


async def test_a_token_without_a_signature_is_refused(service: RunningKeyService, token_of: Tokens) -> None:
    _, claims, _ = token_of("join-service").split(".")
    head = b64(json.dumps({"alg": "none", "typ": "JWT"}).encode())
    for signature in ("", "AA"):
        await assert_unauthenticated(service, f"{head}.{claims}.{signature}")


@pytest.mark.parametrize("token", ["", "garbage", "a.b.c", "a.b", "....", "x" * 20_000, "abcdef.0123456789abcdef"])
async def test_garbage_is_refused(service: RunningKeyService, token: str) -> None:
    if len(token) > 8192:
        with pytest.raises(KeyProviderError):  # gRPC refuses headers of this size by itself
            await service.key(token, "measurement-secret")
    else:
        await assert_unauthenticated(service, token)
