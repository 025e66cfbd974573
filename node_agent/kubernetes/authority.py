# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The certificate of the cluster's authority, for a node whose ticket has only its hash.

1. Anybody may ask the API server for the ConfigMap `cluster-info`, over TLS that proves nothing.
2. The authority in it is believed if the SHA-256 of its public key is the one in the ticket, which came over the
   attested channel. Stops whoever answers in the API server's place: he can delay a node, and no more.
3. It is signed with its own key. Stops another name, or another time, around the same key.

kubeadm can do the same with a bootstrap token. But a token is over after 15 minutes, so that a node which was switched
off in between could not go on, and the cluster takes five seconds to sign something with it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.client
import json
import ssl
import time
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attestation.chain import load_certificate
from attestation.errors import MalformedError
from constellation_core.strict_yaml import load_yaml
from node_agent.errors import PermanentError, TemporaryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography import x509

PATH: Final = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
MAX_ANSWER: Final = 256 * 1024  # bytes

_DAMAGED: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError, MalformedError, InvalidSignature)
_ANSWER_TIMEOUT: Final = 20.0  # seconds
_PAUSE: Final = 1.0


async def find_authority(
    endpoint: str, ca_hash: str, *, time_limit: float, report: Callable[[str], None] = lambda _line: None
) -> bytes:
    """Ask until the authority is known.

    Args:
        endpoint: host:port of the API server.
        ca_hash: "sha256:…" of the authority's public key.
        time_limit: seconds for all attempts.
        report: told why it goes on, whenever that changes.

    Returns:
        Its certificate, PEM.

    Raises:
        PermanentError: the time is over; says what came last.
    """
    end, last = time.monotonic() + time_limit, ""
    while time.monotonic() < end:
        try:
            return checked_authority(await asyncio.to_thread(_ask, endpoint), ca_hash)
        except TemporaryError as error:
            if str(error) != last:
                report(str(error))
            last = str(error)
        await asyncio.sleep(_PAUSE)
    raise PermanentError(
        f"the cluster's authority was not found within {time_limit:g} s; last: {last}",
        hint=f"does the API server answer at {endpoint}?",
    )


def checked_authority(cluster_info: bytes, ca_hash: str) -> bytes:
    """Read the authority out of the ConfigMap, whoever sent it.

    Args:
        cluster_info: the ConfigMap, JSON.
        ca_hash: what its public key must have.

    Raises:
        TemporaryError: there is none, or it is another one.
    """
    try:
        kubeconfig: Any = load_yaml(json.loads(cluster_info)["data"]["kubeconfig"])
        (cluster,) = kubeconfig["clusters"]
        pem = base64.b64decode(cluster["cluster"]["certificate-authority-data"], validate=True)
        certificate = load_certificate(pem)
        found = hash_of_authority(certificate)
        certificate.verify_directly_issued_by(certificate)  # 3
    except _DAMAGED:
        raise TemporaryError("cluster-info: expected a kubeconfig with one authority, got something else") from None
    if found != ca_hash:  # 2
        raise TemporaryError(f"cluster-info: expected the authority of the ticket, {ca_hash}, got {found}")
    return certificate.public_bytes(Encoding.PEM)


def hash_of_authority(certificate: x509.Certificate) -> str:
    """Give the SHA-256 of an authority's public key (SubjectPublicKeyInfo), as kubeadm writes it."""
    public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(public).hexdigest()}"


def _ask(endpoint: str) -> bytes:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE  # what comes is checked by its hash
    connection = http.client.HTTPSConnection(endpoint, timeout=_ANSWER_TIMEOUT, context=tls)
    try:
        connection.request("GET", PATH)
        answer = connection.getresponse()
        content = answer.read(MAX_ANSWER)
    except (OSError, http.client.HTTPException) as error:
        raise TemporaryError(f"the API server at {endpoint} does not answer: {error}") from None
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise TemporaryError(f"the API server at {endpoint} answers {answer.status} where cluster-info should be")
    return content
