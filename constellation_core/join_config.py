# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`join-config.yaml`: which machines may join a cluster. ConfigMap `join-config`, key `join-config.yaml`.

    version: 1
    imageKey: |                       # who builds our images; verifies every one below
      -----BEGIN PUBLIC KEY-----
      …
    images:                           # people approve images, not hexadecimal digits
      - document: |                   # measurements.json, byte for byte
          {"version": 1, "image": "constellation 1.0.0", "variant": "qemu-snp", …}
        signature: MEUCIQ…            # its detached signature
    policy:                           # what the images do not say, per variant
      qemu-snp: {minimum_tcb: {bootloader: 10, tee: 0, snp: 23, microcode: 84}, revocation_lists: […]}
    policies:                         # beside images or instead of them: whole policies
      - {variant: qemu-vtpm, measurements: {4: {expected: …, enforced: true}}}
    controlPlanes: {max: 3, approval: false}

A machine is accepted by any one policy of its variant. A file that accepts nobody is refused, and so is one of which a
part would have no effect.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from attestation.errors import AttestationError, MalformedError
from attestation.policy import Policy
from attestation.variant import Variant
from constellation_core.errors import ConfigError
from constellation_core.fields import Fields, suggestion
from constellation_core.image_manifest import SignedManifest
from constellation_core.strict_yaml import dump_yaml, load_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG_VERSION: Final = 1
OBJECT_NAME: Final = "join-config"
"""Name of the ConfigMap."""
DATA_KEY: Final = "join-config.yaml"
"""Key of the file in it."""

MAX_SIZE: Final = 192 * 1024  # bytes: five of them, the history, fit into one object of Kubernetes (1 MiB)
MAX_IMAGES: Final = 32
MAX_POLICIES: Final = 32
CONTROL_PLANES: Final = range(1, 8)  # etcd does not recommend more than seven members
DEFAULT_CONTROL_PLANES: Final = 3

_KNOWN: Final = ("version", "imageKey", "images", "policy", "policies", "controlPlanes")


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlanes:
    """Who may become a control plane: being the right machine is not enough.

    Attributes:
        max: how many there may be.
        approval: whether a person has to approve each one.
    """

    max: int = DEFAULT_CONTROL_PLANES
    approval: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinConfig:
    """Which machines may join. Whoever holds one knows that the signatures of its images hold.

    Attributes:
        image_key: PEM of who builds images; empty where there are no images.
        images: signed manifests of accepted images.
        rest: what a policy says beside an image, per variant, as plain data.
        explicit: whole policies.
        control_planes: limits of the role.
        policies: all policies, those of images first.
    """

    image_key: str = ""
    images: tuple[SignedManifest, ...] = ()
    rest: Mapping[Variant, Mapping[str, Any]] = field(default_factory=dict)
    explicit: tuple[Policy, ...] = ()
    control_planes: ControlPlanes = field(default_factory=ControlPlanes)
    policies: tuple[Policy, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Verify the images, make their policies, and refuse what accepts nobody or has no effect."""
        object.__setattr__(self, "rest", MappingProxyType(dict(self.rest)))
        if self.images and not self.image_key:
            raise MalformedError("images without imageKey", hint="put the public half of the image key there")
        if self.image_key and not self.images:
            raise MalformedError("imageKey without images", hint="list the signed manifests that are accepted")
        manifests = [image.verify(self.image_key) for image in self.images]
        if idle := set(self.rest) - {manifest.variant for manifest in manifests}:
            names = ", ".join(sorted(variant.value for variant in idle))
            raise MalformedError(f"policy for {names} has no image that it goes with", hint="write it into policies")
        of_images = [manifest.policy(self.rest.get(manifest.variant, {})) for manifest in manifests]
        object.__setattr__(self, "policies", (*of_images, *self.explicit))
        if not self.policies:
            raise MalformedError("neither images nor policies: nobody could join", hint="list at least one image")

    @property
    def variants(self) -> frozenset[Variant]:
        """Platforms that some policy accepts."""
        return frozenset(policy.variant for policy in self.policies)

    def policies_for(self, variant: Variant) -> tuple[Policy, ...]:
        """Give the policies of a platform; one of them must accept a machine."""
        return tuple(policy for policy in self.policies if policy.variant is variant)

    @classmethod
    def from_yaml(cls, text: str) -> JoinConfig:
        """Read a file.

        Raises:
            ConfigError: it is not YAML, a field is unknown or wrong, a signature does not hold, a policy is partial, or
                nobody could join.
        """
        try:
            return _read(Fields(load_yaml(text, max_size=MAX_SIZE), OBJECT_NAME, _KNOWN))
        except (AttestationError, ConfigError) as error:
            prefix = "" if str(error).startswith(OBJECT_NAME) else f"{OBJECT_NAME}: "
            raise ConfigError(f"{prefix}{error}", hint=error.hint) from error

    def to_yaml(self) -> str:
        """Write a file that `from_yaml` reads back."""
        record: dict[str, Any] = {"version": CONFIG_VERSION}
        if self.images:
            record["imageKey"] = self.image_key
            record["images"] = [
                {"document": image.document.decode("utf-8"), "signature": image.signature_text} for image in self.images
            ]
        if self.rest:
            record["policy"] = {variant.value: dict(rest) for variant, rest in self.rest.items()}
        if self.explicit:
            record["policies"] = [policy.to_mapping() for policy in self.explicit]
        record["controlPlanes"] = {"max": self.control_planes.max, "approval": self.control_planes.approval}
        return dump_yaml(record)


def _read(fields: Fields) -> JoinConfig:
    fields.version(CONFIG_VERSION)
    return JoinConfig(
        image_key=fields.any_text("imageKey"),
        images=tuple(map(_read_image, fields.entries("images", range(MAX_IMAGES + 1)))),
        rest=dict(_read_rest(name, rest) for name, rest in fields.mapping("policy").items()),
        explicit=tuple(map(Policy.from_mapping, fields.entries("policies", range(MAX_POLICIES + 1)))),
        control_planes=_read_control_planes(fields.mapping("controlPlanes")),
    )


def _read_image(record: object) -> SignedManifest:
    fields = Fields(record, f"{OBJECT_NAME}: image", ("document", "signature"))
    document = fields.any_text("document").encode("utf-8", "surrogatepass")
    return SignedManifest.from_text(document, fields.any_text("signature"))


def _read_rest(name: object, rest: object) -> tuple[Variant, Mapping[str, Any]]:
    known = [variant.value for variant in Variant]
    if name not in known:
        raise MalformedError(f"policy names the unknown variant {name!r:.80}", hint=suggestion(name, known))
    if not isinstance(rest, dict):
        raise MalformedError(f"policy for {name}: expected a mapping from field names to values")
    return Variant(name), rest


def _read_control_planes(record: object) -> ControlPlanes:
    fields = Fields(record, f"{OBJECT_NAME}: controlPlanes", ("max", "approval"))
    return ControlPlanes(
        max=fields.whole_number("max", CONTROL_PLANES, DEFAULT_CONTROL_PLANES),
        approval=fields.flag("approval", default=False),
    )
