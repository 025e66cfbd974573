# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The kubelet's own credentials, where the ticket brings its certificate: the files that a TLS bootstrap would leave.

kubeadm documents that a `kubelet.conf` which is there before `kubeadm join` is used instead of a bootstrap. Ours names
files, so that the kubelet may renew its certificate, and so that the authority in it can be what kubeadm writes before
the kubelet starts: what discovery found and the hash in the ticket proves.

    /etc/kubernetes/kubelet.conf
    /var/lib/kubelet/pki/kubelet-client-current.pem -> kubelet-client-<time>.pem     certificate, then key
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from constellation_core.keys.secret import Secret
from node_agent.errors import PermanentError
from node_agent.kubernetes.paths import CLUSTER_AUTHORITY, KUBELET

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

CERTIFICATES: Final = KUBELET / "pki"
CURRENT: Final = CERTIFICATES / "kubelet-client-current.pem"


def certificate_path(certificate: bytes) -> Path:
    """Give the file that a certificate and its key belong into, as the kubelet names it: by time.

    Raises:
        PermanentError: it is no certificate.
    """
    begins = parsed_certificate(certificate).not_valid_before_utc
    return CERTIFICATES / f"kubelet-client-{begins:%Y-%m-%d-%H-%M-%S}.pem"


def certificate_with_key(certificate: bytes, key: EllipticCurvePrivateKey) -> Secret:
    """Give the content of that file.

    Raises:
        PermanentError: the certificate is not the key's.
    """
    if parsed_certificate(certificate).public_key() != key.public_key():
        raise PermanentError("the ticket's certificate for the kubelet is not for the key that we asked it for")
    return Secret(certificate + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def kubeconfig(api_endpoint: str) -> str:
    """Give a kubeconfig with the kubelet's credentials.

    Args:
        api_endpoint: host:port of the API server.
    """
    cluster = {"server": f"https://{api_endpoint}", "certificate-authority": str(CLUSTER_AUTHORITY)}
    user = {"client-certificate": str(CURRENT), "client-key": str(CURRENT)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": "kubelet", "user": user}],
        "contexts": [{"name": "kubelet", "context": {"cluster": "cluster", "user": "kubelet"}}],
        "current-context": "kubelet",
    }
    return yaml.safe_dump(document, sort_keys=False)


def parsed_certificate(certificate: bytes, whose: str = "kubelet") -> x509.Certificate:
    """Read a certificate of a ticket, PEM.

    Raises:
        PermanentError: it is none.
    """
    try:
        return x509.load_pem_x509_certificate(certificate)
    except ValueError:
        raise PermanentError(f"ticket: expected a certificate of the {whose}, got something else") from None
