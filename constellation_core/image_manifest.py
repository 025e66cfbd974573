# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`measurements.json`: what a node image measures when it boots, signed by whoever built it.

    {"version": 1, "image": "…", "variant": "qemu-vtpm", "measurements": {"4": {"expected": "…", "enforced": true}},
     "launch_digests": [], "components": [{"name": "kubelet", "version": "…", "sha256": "…"}],
     "created": "2026-11-21T12:00:00Z", "stub": "257.9"}

The signature is detached and covers the exact bytes: ECDSA P-256 with SHA-256, as `cosign sign-blob --key` makes it and
`cosign verify-blob --key` checks it. On disk it is base64 of DER, on the wire DER. Nothing of a document is read before
its signature holds.

Whoever is trusted to build images is named by a public key in PEM, or by several in one PEM while one key takes the
place of another: each of them may have signed.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from attestation.errors import MalformedError, NotGenuineError, PolicyError
from attestation.policy import Policy
from attestation.policy_fields import FIELDS, Register
from attestation.strict_json import load_object
from attestation.variant import Variant
from constellation_core.component_list import MAX_COMPONENTS, Component, read_components
from constellation_core.errors import ConfigError
from constellation_core.fields import Fields
from constellation_proto import attest_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

MANIFEST_VERSION: Final = 1
MAX_SIZE: Final = 64 * 1024  # bytes of a document; with every list full it has 20 KiB
MAX_BRACKETS: Final = 512
MAX_KEYS: Final = 4  # in one PEM; a key and its successor are two
DEBUG: Final = " (debug)"
"""How the name of an image ends whose profile lets people in."""

_KNOWN: Final = (
    "version",
    "image",
    "variant",
    "measurements",
    "launch_digests",
    "components",
    "created",
    "stub",
)
_BEGIN: Final = b"-----BEGIN "
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,32})-----[A-Za-z0-9+/=\s]{1,1000}-----END \1-----")  # P-256 has 124
_PRINTABLE: Final = re.compile(r"[ -~]{1,128}")
_STUB: Final = re.compile(r"[!-~]{0,64}")
_VARIANT: Final = re.compile("|".join(variant.value for variant in Variant))
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageManifest:
    """What an image measures on one platform. An image for several platforms has a manifest for each.

    Attributes:
        image: its name and version, for people; ends with "(debug)" where people may come in.
        variant: the platform.
        measurements: registers by name, as in a policy.
        launch_digests: what a CPU vendor's report says of the launch, 48 bytes each.
        components: programs in it, sorted by name.
        created: when it was built, aware UTC, whole seconds.
        stub: version of its systemd-stub; empty where none was asked.
    """

    image: str
    variant: Variant
    measurements: Mapping[str, Register] = field(default_factory=dict)
    launch_digests: tuple[bytes, ...] = ()
    components: tuple[Component, ...] = ()
    created: datetime
    stub: str = ""

    def __post_init__(self) -> None:
        """Freeze the mapping, and refuse what describes no image."""
        object.__setattr__(self, "measurements", MappingProxyType(dict(self.measurements)))
        if not self.launch_digests and not any(register.enforced for register in self.measurements.values()):
            raise MalformedError(
                f"image manifest of {self.image} enforces nothing",
                hint="without a launch digest or an enforced register it describes every image",
            )

    @classmethod
    def from_document(cls, document: bytes) -> ImageManifest:
        """Read a document whose signature holds, or that is to be signed.

        Raises:
            MalformedError: it is not JSON, or a field is missing, wrong, unknown, or without effect on its variant.
        """
        record = load_object(document, "image manifest", max_size=MAX_SIZE, max_brackets=MAX_BRACKETS)
        fields = Fields(record, "image manifest", _KNOWN)
        fields.version(MANIFEST_VERSION)
        if missing := [name for name in _KNOWN if name not in fields]:
            raise MalformedError(f"image manifest lacks {', '.join(missing)}")
        variant = Variant(fields.text("variant", _VARIANT, "the name of a variant"))
        return cls(
            image=fields.text("image", _PRINTABLE, "1 to 128 printable characters of ASCII"),
            variant=variant,
            measurements=_policy_field("measurements", fields.mapping("measurements"), variant) or {},
            launch_digests=_policy_field("launch_digests", record["launch_digests"], variant) or (),
            components=read_components(fields.entries("components", range(MAX_COMPONENTS + 1))),
            created=_time(fields),
            stub=fields.text("stub", _STUB, "a version"),
        )

    def to_record(self) -> dict[str, Any]:
        """Give plain data, as the document has it."""
        return {
            "version": MANIFEST_VERSION,
            "image": self.image,
            "variant": self.variant.value,
            "measurements": FIELDS["measurements"].shape.show(self.measurements),
            "launch_digests": FIELDS["launch_digests"].shape.show(self.launch_digests),
            "components": [component.to_record() for component in self.components],
            "created": self.created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "stub": self.stub,
        }

    def to_document(self) -> bytes:
        """Write the document; `from_document` reads the same record back."""
        return json.dumps(self.to_record(), indent=2).encode("ascii") + b"\n"

    @property
    def is_for_secrets(self) -> bool:
        """Whether secrets may be given to a machine that booted it."""
        return not self.image.endswith(DEBUG)

    def policy(self, rest: Mapping[str, Any]) -> Policy:
        """Make the policy that accepts this image on its platform.

        Args:
            rest: what else the policy says, as plain data: minimum TCB, revocation lists, registers of the firmware.

        Raises:
            PolicyError: together they are no policy, or `rest` says again what the image says.
        """
        merged: dict[str, Any] = {**rest, "variant": self.variant.value}
        if rest.get("variant", self.variant.value) != self.variant.value:
            raise PolicyError(f"policy for {rest['variant']} cannot go with an image for {self.variant}")
        if not self.is_for_secrets:
            merged["not_for_secrets"] = True
        if self.measurements:
            merged["measurements"] = self._merged_measurements(rest.get("measurements", {}))
        if self.launch_digests:
            if "launch_digests" in rest:
                raise _said_twice("launch_digests")
            merged["launch_digests"] = FIELDS["launch_digests"].shape.show(self.launch_digests)
        return Policy.from_mapping(merged)

    def _merged_measurements(self, rest: object) -> dict[Any, Any]:
        if not isinstance(rest, dict):
            raise PolicyError("policy field measurements: expected a mapping from register to {expected, enforced}")
        if twice := [register for register in rest if str(register) in self.measurements]:
            raise _said_twice(f"measurements.{twice[0]}")
        return {**FIELDS["measurements"].shape.show(self.measurements), **rest}


@dataclass(frozen=True, slots=True)
class SignedManifest:
    """A document and its signature. Whether anybody we trust signed it is not known before `verify`.

    Attributes:
        document: the exact bytes that were signed.
        signature: ECDSA over SHA-256 of them, DER.
    """

    document: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @classmethod
    def from_text(cls, document: bytes, signature: str) -> SignedManifest:
        """Take document and signature as they are on disk.

        Raises:
            MalformedError: the signature is not base64.
        """
        try:
            return cls(document, base64.b64decode(signature.strip(), validate=True))
        except (binascii.Error, ValueError):
            raise MalformedError(f"image signature: expected base64, got {signature!r:.80}") from None

    @property
    def signature_text(self) -> str:
        """The signature as it is on disk: base64."""
        return base64.b64encode(self.signature).decode("ascii")

    @classmethod
    def from_message(cls, message: attest_pb2.SignedManifest) -> SignedManifest | None:
        """Take it from the wire; None where the peer sent none."""
        return cls(message.document, message.signature) if message.document else None

    def to_message(self) -> attest_pb2.SignedManifest:
        """Give it for the wire."""
        return attest_pb2.SignedManifest(document=self.document, signature=self.signature)

    def verify(self, public_key: str | bytes) -> ImageManifest:
        """Verify who signed, then read.

        1. Every key is one of ECDSA P-256: a weaker one would be anybody's.
        2. The signature of one of them over the exact bytes holds: nobody else described this image.
        3. The document is well formed: only now is anything of it read.

        Args:
            public_key: PEM of whom we trust to build images.

        Raises:
            ConfigError: a key is unusable.
            NotGenuineError: the signature is by none of the keys.
            MalformedError: what the key signed is no manifest.
        """
        keys = image_keys(public_key)  # 1
        if not any(self._is_signed_by(key) for key in keys):  # 2
            raise NotGenuineError(
                "image.signature",
                expected="a signature by the image key",
                got="another signature, or another document",
                hint="is imageKey the key that the image was built with?",
            )
        return ImageManifest.from_document(self.document)  # 3

    def _is_signed_by(self, key: ec.EllipticCurvePublicKey) -> bool:
        try:
            key.verify(self.signature, self.document, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


def sign(document: bytes, private_key: ec.EllipticCurvePrivateKey) -> SignedManifest:
    """Sign a document; the same document and key give the same bytes (RFC 6979).

    Raises:
        ConfigError: the key is not ECDSA P-256.
        MalformedError: the document is no manifest.
    """
    _check_curve(private_key.curve)
    ImageManifest.from_document(document)
    return SignedManifest(document, private_key.sign(document, ec.ECDSA(SHA256(), deterministic_signing=True)))


def image_keys(pem: str | bytes) -> tuple[ec.EllipticCurvePublicKey, ...]:
    """Read whom we trust to build images: every key in a PEM, in its order. None is skipped.

    Raises:
        ConfigError: it has no key, too many, or one that is no public key of ECDSA P-256.
    """
    data = pem.encode("utf-8", "replace") if isinstance(pem, str) else pem
    begun, blocks = data.count(_BEGIN), [found[0] for found in _PEM.finditer(data)]
    if begun > MAX_KEYS:
        raise ConfigError(f"image key: expected at most {MAX_KEYS} keys, got {begun}")
    if not blocks or len(blocks) != begun:
        raise _no_image_key()
    return tuple(map(_image_key, blocks))


def _image_key(pem: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise _no_image_key()
    _check_curve(key.curve)
    return key


def _no_image_key() -> ConfigError:
    return ConfigError(
        "image key: expected a public key of ECDSA P-256 in PEM, or several", hint="-----BEGIN PUBLIC KEY-----"
    )


def _check_curve(curve: ec.EllipticCurve) -> None:
    if not isinstance(curve, ec.SECP256R1):
        raise ConfigError(f"image key: expected ECDSA P-256, got a key on {curve.name}")


def _policy_field(name: str, value: object, variant: Variant) -> Any:  # noqa: ANN401 - as FIELDS says
    if not value and isinstance(value, dict | list):
        return None
    spec = FIELDS[name]
    if variant not in spec.variants:
        raise MalformedError(f"image manifest: {name} says nothing about {variant}")
    try:
        return spec.shape.parse(value, name, variant)
    except PolicyError as error:
        raise MalformedError(f"image manifest: {str(error).removeprefix('policy field ')}") from None


def _time(fields: Fields) -> datetime:
    text = fields.text("created", _TIME, "a time in UTC, as 2026-11-21T12:00:00Z")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise fields.wrong("created", "a time that exists", text) from None


def _said_twice(field_name: str) -> PolicyError:
    return PolicyError(
        f"policy field {field_name} is said by the image and by the policy", hint="leave it to the image"
    )
