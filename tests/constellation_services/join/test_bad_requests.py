# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a node asks for is its own word: whatever is wrong with it is refused, counted, and stored nowhere."""

from __future__ import annotations

import os
import uuid
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from grpclib import GRPCError, Status
from hypothesis import given
from hypothesis import strategies as st

from attestation.testing import der
from constellation_core.channel.client import attested_channel
from constellation_core.roles import Role
from constellation_proto import join_pb2
from constellation_proto.join_grpc import JoinStub
from constellation_services.join.application import Application, read_application
from constellation_services.join.errors import BadRequestError
from node_agent.joining import certificate_request
from tests.constellation_services.join.world import VERIFIER, new_request

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

    from tests.constellation_services.join.world import Cluster

ORGANISATION = (NameOID.ORGANIZATION_NAME, "system:nodes")
WORKER = (NameOID.COMMON_NAME, "system:node:worker-0")
LONGEST = "w" * 52


@cache
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def signing_request(
    *subject: tuple[x509.ObjectIdentifier, str],
    extensions: tuple[x509.ExtensionType, ...] = (),
    signed_by: CertificateIssuerPrivateKeyTypes | None = None,
) -> bytes:
    """Make a certificate request, of a good worker unless something else is said."""
    name = x509.Name([x509.NameAttribute(oid, text) for oid, text in subject or (ORGANISATION, WORKER)])
    builder = x509.CertificateSigningRequestBuilder(name)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    signer = signed_by or key()
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else SHA256()
    return builder.sign(signer, algorithm).public_bytes(Encoding.DER)


def message(**changes: Any) -> join_pb2.IssueTicketRequest:  # noqa: ANN401 - as the message says
    """Make a good request, unless something else is said."""
    good: dict[str, Any] = {
        "disk_uuid": "8c2f9a56-5d2b-4a43-9d0f-0c7f3a1f1d11",
        "certificate_request": signing_request(),
        "role": join_pb2.ROLE_WORKER,
        "wireguard_public_key": bytes(range(32)),
    }
    return join_pb2.IssueTicketRequest(**(good | changes))


def ssh_line(private: ec.EllipticCurvePrivateKey) -> str:
    return private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def named(common_name: str) -> bytes:
    return signing_request(ORGANISATION, (NameOID.COMMON_NAME, common_name))


def with_extensions(*extensions: x509.ExtensionType) -> bytes:
    return signing_request(extensions=extensions)


def usage(**signs: bool) -> x509.KeyUsage:
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign "
        "encipher_only decipher_only"
    )
    return x509.KeyUsage(**{name: signs.get(name, False) for name in names.split()})


def signed_by_another() -> bytes:
    """Somebody else's public key with our signature."""
    request = bytearray(signing_request())
    request[-1] ^= 1
    return bytes(request)


CERTIFICATE_REQUESTS = {
    "nothing": (b"", "PKCS #10, DER"),
    "garbage": (b"garbage", "PKCS #10, DER"),
    "truncated": (signing_request()[:-1], "PKCS #10, DER"),
    "extended": (signing_request() + b"\0", "PKCS #10, DER"),
    "PEM": (x509.load_der_x509_csr(signing_request()).public_bytes(Encoding.PEM), "PKCS #10, DER"),
    "too long": (bytes(16 * 1024 + 1), "at most 16384 bytes"),
    "signature of another key": (signed_by_another(), "a signature by its own key"),
    "RSA key": (signing_request(signed_by=rsa.generate_private_key(65537, 2048)), "a key on P-256"),
    "weak curve": (signing_request(signed_by=ec.generate_private_key(ec.SECP224R1())), "a key on P-256"),
    "unusual curve": (signing_request(signed_by=ec.generate_private_key(ec.SECP256K1())), "a key on P-256"),
    "Ed25519 key": (signing_request(signed_by=ed25519.Ed25519PrivateKey.generate()), "a key on P-256"),
    "authority": (with_extensions(x509.BasicConstraints(ca=True, path_length=None)), "no authority"),
    "signs certificates": (with_extensions(usage(key_cert_sign=True)), "no authority"),
    "signs revocations": (with_extensions(usage(crl_sign=True)), "no authority"),
    "another name": (with_extensions(x509.SubjectAlternativeName([x509.DNSName("kubernetes")])), "no further names"),
    "server": (with_extensions(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])), "a client certificate"),
    "client and server": (
        with_extensions(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])),
        "a client certificate",
    ),
    "an extension that nobody knows": (
        with_extensions(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")),
        "a client certificate",
    ),
    "no organisation": (signing_request(WORKER), "one O \\(system:nodes\\) and one CN"),
    "no name": (signing_request(ORGANISATION), "one O \\(system:nodes\\) and one CN"),
    "foreign organisation": (
        signing_request((NameOID.ORGANIZATION_NAME, "system:masters"), WORKER),
        "O = system:nodes, got system:masters",
    ),
    "two organisations": (
        signing_request(ORGANISATION, (NameOID.ORGANIZATION_NAME, "system:masters"), WORKER),
        "one O \\(system:nodes\\) and one CN",
    ),
    "two names": (
        signing_request(ORGANISATION, WORKER, (NameOID.COMMON_NAME, "system:node:worker-1")),
        "one O \\(system:nodes\\) and one CN",
    ),
    "the same name twice": (signing_request(ORGANISATION, WORKER, WORKER), "one O \\(system:nodes\\) and one CN"),
    "a unit": (
        signing_request(ORGANISATION, WORKER, (NameOID.ORGANIZATIONAL_UNIT_NAME, "x")),
        "one O \\(system:nodes\\) and one CN",
    ),
    "no node": (named("kubernetes-admin"), "CN = system:node:"),
    "a node without name": (named("system:node:"), "CN = system:node:"),
    "capitals": (named("system:node:Worker"), "CN = system:node:"),
    "a path": (named("system:node:a/../b"), "CN = system:node:"),
    "dots only": (named("system:node:.."), "CN = system:node:"),
    "a line end": (named("system:node:worker-0\n"), "CN = system:node:"),
    "a letter that looks like another": (named("system:node:w\u043erker"), "CN = system:node:"),
    "prefix twice": (named("system:node:system:node:a"), "CN = system:node:"),
}


@pytest.mark.parametrize("request_, expected", CERTIFICATE_REQUESTS.values(), ids=[*CERTIFICATE_REQUESTS])
def test_a_certificate_request_is_refused(request_: bytes, expected: str) -> None:
    with pytest.raises(BadRequestError, match=f"certificate request: expected .*{expected}") as refusal:
        read_application(message(certificate_request=request_))
    assert refusal.value.cause == "certificate-request"


FIELDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no disk": ({"disk_uuid": ""}, "disk id: expected a UUID", "disk"),
    "disk in capitals": ({"disk_uuid": "8C2F9A56-5D2B-4A43-9D0F-0C7F3A1F1D11"}, "in lower case", "disk"),
    "disk in braces": ({"disk_uuid": "{8c2f9a56-5d2b-4a43-9d0f-0c7f3a1f1d11}"}, "in lower case", "disk"),
    "disk with a path": ({"disk_uuid": "../measurement-secret"}, "disk id: expected a UUID", "disk"),
    "no role": ({"role": join_pb2.ROLE_UNSPECIFIED}, "role: expected control-plane or worker, got number 0", "role"),
    "unknown role": ({"role": 7}, "role: expected control-plane or worker, got number 7", "role"),
    "no mesh key": ({"wireguard_public_key": b""}, "mesh key: expected 32 bytes, not all zero, got 0", "mesh-key"),
    "short mesh key": ({"wireguard_public_key": bytes(31)}, "got 31", "mesh-key"),
    "long mesh key": ({"wireguard_public_key": b"k" * 33}, "got 33", "mesh-key"),
    "mesh key of zeros": ({"wireguard_public_key": bytes(32)}, "not all zero", "mesh-key"),
    "host key of another kind": (
        {"host_key": "ssh-rsa " + "A" * 68},
        "host key: expected one OpenSSH line",
        "host-key",
    ),
    "host key that is none": ({"host_key": "ssh-ed25519 " + "A" * 68}, "one OpenSSH line", "host-key"),
    "two host keys": ({"host_key": 2 * ("ssh-ed25519 " + "A" * 68 + "\n")}, "one OpenSSH line", "host-key"),
    "host key with options": ({"host_key": 'command="x" ssh-ed25519 ' + "A" * 68}, "one OpenSSH line", "host-key"),
    "too many addresses": ({"addresses": [f"192.0.2.{n}" for n in range(17)]}, "at most 16", "addresses"),
    "no address": ({"addresses": [""]}, "names or IP addresses", "addresses"),
    "address with a space": ({"addresses": ["192.0.2.1 192.0.2.2"]}, "names or IP addresses", "addresses"),
}


@pytest.mark.parametrize("changes, expected, cause", FIELDS.values(), ids=[*FIELDS])
def test_a_field_is_refused(changes: dict[str, Any], expected: str, cause: str) -> None:
    with pytest.raises(BadRequestError, match=expected) as refusal:
        read_application(message(**changes))
    assert refusal.value.cause == cause


GOOD: dict[str, dict[str, Any]] = {
    "P-384": {"certificate_request": signing_request(signed_by=ec.generate_private_key(ec.SECP384R1()))},
    "P-521": {"certificate_request": signing_request(signed_by=ec.generate_private_key(ec.SECP521R1()))},
    "client": {"certificate_request": with_extensions(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]))},
    "no authority": {"certificate_request": with_extensions(x509.BasicConstraints(ca=False, path_length=None))},
    "signs": {"certificate_request": with_extensions(usage(digital_signature=True))},
    "other order": {"certificate_request": signing_request(WORKER, ORGANISATION)},
    "longest name": {"certificate_request": certificate_request(LONGEST, key())},
    "a name with dots": {"certificate_request": certificate_request("worker-0.zone-b.example", key())},
    "host key": {"host_key": f"{ssh_line(key())} node@example"},
    "addresses": {"addresses": ["192.0.2.1", "2001:db8::1", "node.example", "192.0.2.1"]},
}


@pytest.mark.parametrize("changes", GOOD.values(), ids=[*GOOD])
def test_what_is_good_is_read(changes: dict[str, Any]) -> None:
    assert read_application(message(**changes)).role is Role.WORKER


def test_a_name_is_as_long_as_a_certificate_can_say() -> None:
    request = x509.load_der_x509_csr(certificate_request(LONGEST, key()))
    assert read_application(message(certificate_request=request.public_bytes(Encoding.DER))).name == LONGEST
    longer = attribute("2.5.4.10", der.text(0x0C, "system:nodes"))
    longer += attribute("2.5.4.3", der.text(0x0C, f"system:node:{LONGEST}w"))
    with pytest.raises(BadRequestError, match="at most 52 characters"):
        read_application(message(certificate_request=signed(request_information(der.sequence(longer)))))
    with pytest.raises(ValueError, match="Attribute's length"):
        certificate_request(LONGEST + "w", key())


def test_the_certificate_says_the_name_in_our_spelling() -> None:
    """Programs differ in what they make of an odd encoding: the node must not choose one."""
    odd = der.sequence(
        attribute("2.5.4.3", der.tlv(0x1E, "system:node:worker-0".encode("utf-16-be"))),
        attribute("2.5.4.10", der.text(0x13, "system:nodes")),
    )
    ours = read_application(message()).subject
    request = signed(request_information(odd))
    assert read_application(message(certificate_request=request)).subject.public_bytes() == ours.public_bytes()


def signed(information: bytes) -> bytes:
    """Sign any bytes as a certificate request (RFC 2986, CertificationRequest)."""
    ecdsa_with_sha256 = der.sequence(der.oid("1.2.840.10045.4.3.2"))
    return der.sequence(information, ecdsa_with_sha256, der.bits(key().sign(information, ec.ECDSA(SHA256()))))


def request_information(name: bytes) -> bytes:
    """Say anything as a name (RFC 2986, CertificationRequestInfo)."""
    public_key = key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return der.sequence(der.integer(0), name, public_key, der.tlv(0xA0))


def attribute(kind: str, value: bytes) -> bytes:
    return der.tlv(0x31, der.sequence(der.oid(kind), value))


def spoiled(good: bytes, place: int, patch: bytes, *, cut: bool) -> bytes:
    """Overwrite some bytes, or leave out the rest from there."""
    start = place % len(good)
    return good[:start] if cut else good[:start] + patch + good[start + len(patch) :]


def read_or_refuse(request: join_pb2.IssueTicketRequest) -> Application | None:
    """Only one kind of error may come out."""
    try:
        return read_application(request)
    except BadRequestError:
        return None


@given(st.integers(min_value=0), st.binary(min_size=1, max_size=4), st.booleans())
def test_any_certificate_request_is_read_or_refused(place: int, patch: bytes, cut: bool) -> None:
    good = signing_request()
    request = spoiled(good, place, patch, cut=cut)
    assert read_or_refuse(message(certificate_request=request)) is None or request == good


@given(st.integers(min_value=0), st.binary(min_size=1, max_size=4), st.booleans())
def test_any_certificate_request_that_is_signed_is_read_or_refused(place: int, patch: bytes, cut: bool) -> None:
    """A node can sign whatever it likes: behind the signature every byte may be wrong, too."""
    good = x509.load_der_x509_csr(
        signing_request(extensions=(x509.BasicConstraints(ca=False, path_length=None), usage()))
    )
    application = read_or_refuse(
        message(certificate_request=signed(spoiled(good.tbs_certrequest_bytes, place, patch, cut=cut)))
    )
    assert application is None or application.subject.rfc4514_string().startswith("CN=system:node:")


@given(st.sampled_from([0x0C, 0x13, 0x14, 0x16, 0x1C, 0x1E, 0x04, 0x02]), st.binary(max_size=80))
def test_any_encoding_of_a_name_is_read_or_refused(tag: int, value: bytes) -> None:
    organisation = attribute("2.5.4.10", der.text(0x0C, "system:nodes"))
    name = der.sequence(organisation, attribute("2.5.4.3", der.tlv(tag, value)))
    application = read_or_refuse(message(certificate_request=signed(request_information(name))))
    assert application is None or application.name.isascii()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    assert read_or_refuse(message(certificate_request=data)) is None


@given(st.text(max_size=60))
def test_any_name_is_read_or_refused(name: str) -> None:
    try:
        request = named(f"system:node:{name}")
    except ValueError:  # no certificate request can say this
        return
    application = read_or_refuse(message(certificate_request=request))
    assert application is None or application.name == name


@given(
    st.text(max_size=40),
    st.integers(-(2**31), 2**31 - 1),
    st.binary(max_size=40),
    st.text(max_size=100),
    st.lists(st.text()),
)
def test_any_fields_are_read_or_refused(
    disk: str, role: int, mesh_key: bytes, host_key: str, addresses: list[str]
) -> None:
    disk, host_key = disk.encode("utf-8", "replace").decode(), host_key.encode("utf-8", "replace").decode()
    addresses = [address.encode("utf-8", "replace").decode() for address in addresses]
    good = {
        "disk_uuid": disk,
        "role": role,
        "wireguard_public_key": mesh_key,
        "host_key": host_key,
        "addresses": addresses,
    }
    for name, value in good.items():
        application = read_or_refuse(message(**{name: value}))
        if application is not None:
            assert application.addresses == tuple(dict.fromkeys(message(**{name: value}).addresses))


async def test_everything_bad_is_refused_counted_and_leaves_nothing(cluster: Cluster) -> None:
    """Each of them over the wire, by a machine that is genuine."""
    bad = [{"certificate_request": request} for request, _ in CERTIFICATE_REQUESTS.values()]
    bad += [changes for changes, _, _ in FIELDS.values()]
    (service,) = cluster.addresses()
    async with attested_channel(service.host, service.port, verifier=VERIFIER, issuer=cluster.machine("b")) as channel:
        for changes in bad:
            for role in (join_pb2.ROLE_WORKER, join_pb2.ROLE_CONTROL_PLANE):
                with pytest.raises(GRPCError) as refusal:
                    await JoinStub(channel).IssueTicket(message(**({"role": role} | changes)))
                assert refusal.value.status is Status.INVALID_ARGUMENT
    assert cluster.stored() == []
    assert not cluster.keys.asked
    causes = {cause for _, _, cause in FIELDS.values()} | {"certificate-request"}
    refused = {
        cause: sum(
            cluster.metric("tickets_total", kind="ticket", role=role, outcome=cause)
            for role in ("worker", "control-plane", "unknown")
        )
        for cause in causes
    }
    assert all(refused.values())
    assert sum(refused.values()) == 2 * len(bad)
    assert set(await cluster.events("TicketRefused"))


async def test_bytes_that_are_no_request_are_refused(cluster: Cluster) -> None:
    from grpclib.client import UnaryUnaryMethod  # noqa: PLC0415

    (service,) = cluster.addresses()
    async with attested_channel(service.host, service.port, verifier=VERIFIER, issuer=cluster.machine("b")) as channel:
        raw: UnaryUnaryMethod[Any, Any] = UnaryUnaryMethod(
            channel, "/constellation.join.v1.Join/IssueTicket", join_pb2.Ticket, join_pb2.Ticket
        )
        with pytest.raises(GRPCError):
            await raw(join_pb2.Ticket(state_disk_key=b"\xff" * 40, measurement_salt=os.urandom(9)))
        await JoinStub(channel).IssueTicket(new_request(disk=str(uuid.uuid4())).message)
