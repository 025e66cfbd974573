# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The serving certificate: by the cluster's authority, renewed by itself, connections untouched."""

from __future__ import annotations

import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from constellation_core.cluster_authority import ClusterAuthority
from constellation_core.errors import AuthorityError, KeyProviderError, KeyProviderUnavailableError
from constellation_core.keys.client import KeyServiceClient
from constellation_core.names import KEY_SERVICE_HOST
from constellation_engine.testing.pki import Authority
from constellation_services.errors import ServiceError
from constellation_services.keys import certificate as certificate_module
from constellation_services.keys.certificate import ServingCertificate
from constellation_services.keys.service import Settings, serve
from constellation_services.testing.key_service import HOST, RunningKeyService, expected_key, running_key_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from lightkube import AsyncClient

    from constellation_engine.testing.control_plane import ControlPlane

    Tokens = Callable[[str], str]

DISK = "state-disk/3f1f5c0e-8a51-4d8e-9a66-0a4f5d8b7c21"
START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    """Time of the certificate; what is issued must be valid today for clients, too."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    Authority.create(tmp_path / "ca", "kubernetes")
    return tmp_path


@pytest.fixture
def serving(pki: Path, clock: Clock) -> ServingCertificate:
    return ServingCertificate(pki, Settings().names, HOUR, clock=clock)


def shown_by(service: RunningKeyService) -> x509.Certificate:
    """The certificate that a new connection gets."""
    pem = ssl.get_server_certificate((HOST, service.listening.port), timeout=5)
    return x509.load_pem_x509_certificate(pem.encode())


def test_it_is_for_the_names_of_the_service(service: RunningKeyService) -> None:
    shown = shown_by(service)
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [
        "key-service.constellation-system.svc",
        "key-service.constellation-system.svc.cluster.local",
        "key-service.constellation-system",
    ]
    usage = shown.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_it_is_by_the_authority_and_for_a_day(service: RunningKeyService) -> None:
    shown = shown_by(service)
    shown.verify_directly_issued_by(ClusterAuthority.load(service.pki).certificate)
    assert shown.not_valid_after_utc - shown.not_valid_before_utc == timedelta(days=1, minutes=5)


def test_it_stays_until_two_thirds_of_its_time(serving: ServingCertificate, clock: Clock) -> None:
    first = serving.expires()
    clock.now += timedelta(minutes=39)
    assert (serving.expires(), serving._changed()) == (first, None)
    clock.now += timedelta(minutes=1)
    assert serving.expires() == first + timedelta(minutes=40)


def test_a_new_one_is_shown_to_the_next_connection_once(serving: ServingCertificate, clock: Clock) -> None:
    clock.now += timedelta(minutes=41)
    assert serving._changed() is not None
    assert serving._changed() is None


def test_one_that_was_renewed_meanwhile_is_shown(serving: ServingCertificate, clock: Clock) -> None:
    clock.now += timedelta(minutes=41)
    serving.expires()
    assert serving._changed() is not None


def test_without_an_authority_the_old_one_stays_and_it_says_so(
    serving: ServingCertificate, clock: Clock, pki: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (pki / "ca.key").rename(pki / "hidden")
    first = serving.expires()
    clock.now += timedelta(minutes=41)
    assert (serving.expires(), serving._changed(), serving.missing()) == (first, None, None)
    assert "not renewed" in caplog.text
    clock.now += HOUR
    assert "expired" in str(serving.missing())
    (pki / "hidden").rename(pki / "ca.key")
    clock.now += certificate_module.TRY_AGAIN
    assert serving.missing() is None


def test_a_missing_authority_is_not_looked_for_at_every_connection(
    serving: ServingCertificate, clock: Clock, pki: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (pki / "ca.key").unlink()
    clock.now += timedelta(minutes=41)
    for _ in range(10):
        serving._changed()
    assert caplog.text.count("not renewed") == 1


def test_without_an_authority_it_does_not_start(pki: Path) -> None:
    (pki / "ca.key").unlink()
    with pytest.raises(AuthorityError, match="cannot read"):
        ServingCertificate(pki, Settings().names, HOUR)


@pytest.fixture
async def renewing(
    api: AsyncClient, control_plane: ControlPlane, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[RunningKeyService]:
    """A service whose certificate goes by our clock."""
    monkeypatch.setattr(
        "constellation_services.keys.service.ServingCertificate",
        lambda pki, names, lifetime: ServingCertificate(pki, names, lifetime, clock=clock),
    )
    async with running_key_service(api, control_plane.pki, tmp_path) as running:
        yield running


async def test_a_renewal_needs_no_restart_and_drops_no_connection(
    renewing: RunningKeyService, token_of: Tokens, clock: Clock
) -> None:
    async with renewing.client(token_of("join-service")) as keys:
        assert await keys.data_key(DISK, 32) == expected_key(DISK)
        before, channel = shown_by(renewing), keys._channel
        clock.now += timedelta(hours=17)
        after = shown_by(renewing)
        assert before.public_key() != after.public_key()
        assert after.not_valid_after_utc > before.not_valid_after_utc
        assert await keys.data_key(DISK, 32) == expected_key(DISK)
        assert keys._channel is channel


async def test_a_service_of_another_authority_gets_no_token(
    service: RunningKeyService, token_of: Tokens, tmp_path: Path
) -> None:
    Authority.create(tmp_path / "other", "kubernetes")
    (tmp_path / "token").write_text(token_of("join-service"))
    port = service.listening.port
    async with KeyServiceClient(HOST, port, tmp_path / "other.crt", tmp_path / "token") as keys:
        with pytest.raises(KeyProviderError, match="is not the key service of this cluster") as caught:
            await keys.data_key(DISK, 32)
    assert not isinstance(caught.value, KeyProviderUnavailableError)
    assert service.audit == []


async def test_a_service_of_another_name_gets_no_token(
    api: AsyncClient, control_plane: ControlPlane, token_of: Tokens, tmp_path: Path
) -> None:
    settings = replace(Settings(), names=("other-service.constellation-system.svc", HOST))
    async with running_key_service(api, control_plane.pki, tmp_path, settings=settings) as service:
        with pytest.raises(KeyProviderError, match="is not the key service") as caught:
            await service.key(token_of("join-service"), DISK)
        assert KEY_SERVICE_HOST in caught.value.hint
        assert service.audit == []


async def test_a_port_that_is_taken_is_an_error(
    api: AsyncClient, service: RunningKeyService, control_plane: ControlPlane
) -> None:
    settings = replace(Settings(), host=HOST, port=service.listening.port, status_port=0, pki=control_plane.pki)
    with pytest.raises(ServiceError, match="cannot listen"):
        async with serve(settings, api, None, None):  # type: ignore[arg-type] # it does not come so far
            pass
