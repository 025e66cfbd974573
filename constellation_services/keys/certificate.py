# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The serving certificate of the key service: by the cluster's authority, renewed by itself.

gRPC asks for it before each handshake. So it is renewed when somebody needs it, connections that stand are not touched,
and a new authority in the folder takes effect with the next renewal.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final

import grpc
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from constellation_core.cluster_authority import ClusterAuthority
from constellation_core.errors import AuthorityError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cryptography import x509

RENEW_AFTER: Final = 2 / 3  # of the lifetime
TRY_AGAIN: Final = timedelta(minutes=1)

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Issued:
    configuration: grpc.ServerCertificateConfiguration
    expires: datetime


class ServingCertificate:
    """A certificate, and its key, that is always fresh.

    Args:
        pki: folder of the cluster's authority, as kubeadm's.
        names: that it is for; the first is its common name.
        lifetime: of each.
        clock: now, aware.

    Raises:
        AuthorityError: the authority cannot be used.
    """

    def __init__(
        self,
        pki: Path,
        names: Sequence[str],
        lifetime: timedelta,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._pki = pki
        self._names = names
        self._lifetime = lifetime
        self._clock = clock
        self._lock = Lock()
        self._renew_at = clock() + RENEW_AFTER * lifetime
        self._issued = self._shown = self._issue(clock())

    def credentials(self) -> grpc.ServerCredentials:
        """Give what a gRPC server is started with."""
        return grpc.dynamic_ssl_server_credentials(
            self._shown.configuration,
            self._changed,  # type: ignore[arg-type] # its stub forgets that None means no change
        )

    def expires(self) -> datetime:
        """Tell until when it is valid, after a renewal if one is due."""
        with self._lock:
            return self._fresh().expires

    def missing(self) -> str | None:
        """Say what is wrong with it, after a renewal if one is due; None where nothing is."""
        expires = self.expires()
        return None if self._clock() < expires else f"it expired at {expires}, and cannot be renewed"

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Give the certificate if it is another than the last time. Threads of gRPC call this."""
        with self._lock:
            if self._fresh() is self._shown:
                return None
            self._shown = self._issued
            return self._shown.configuration

    def _fresh(self) -> _Issued:
        now = self._clock()
        if now >= self._renew_at:
            try:
                self._issued, self._renew_at = self._issue(now), now + RENEW_AFTER * self._lifetime
                _log.info("serving certificate renewed, valid until %s", self._issued.expires)
            except AuthorityError as error:
                self._renew_at = now + TRY_AGAIN
                _log.error("serving certificate not renewed, valid until %s: %s", self._issued.expires, error)
        return self._issued

    def _issue(self, now: datetime) -> _Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = ClusterAuthority.load(self._pki).issue_serving_certificate(
            key.public_key(), self._names, at=now, lifetime=self._lifetime
        )
        return _Issued(_configuration(key, certificate), certificate.not_valid_after_utc)


def _configuration(
    key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
) -> grpc.ServerCertificateConfiguration:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return grpc.ssl_server_certificate_configuration([(pem, certificate.public_bytes(Encoding.PEM))])
