# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is acceptable, as `data.constellation_attestation` gives it, and as resources and functions take it.

Where it comes from a signed manifest it has the manifest with it, so that a cluster is told of images, and people
approve images and not hexadecimal digits.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from terraform_provider_constellation.objects.words import (
    base64_text,
    json_object,
    launch_digests,
    public_key_pem,
    register_names,
    register_value,
    tcb_versions,
    variant_name,
)
from terraform_provider_constellation.plugin.api import Model, optional, required, together

if TYPE_CHECKING:
    from attestation.policy import Policy
    from constellation_core.image_manifest import ImageManifest, SignedManifest


class Measurement(Model):
    """What is expected of one register."""

    expected: str = required("Value of the register, hexadecimal.", validators=[register_value])
    warn_only: bool = optional("Whether another value is a warning, and no reason to refuse.", default=False)


class Attestation(Model):
    """What is acceptable on one platform."""

    variant: str = required("The platform, such as `qemu-vtpm`.", validators=[variant_name])
    measurements: dict[str, Measurement] | None = optional(
        "Registers by name: PCRs `0` to `23` of a TPM; `mrtd`, `rtmr0` to `rtmr3` of TDX.",
        validators=[register_names],
    )
    launch_digests: list[str] | None = optional(
        "Launch digests, hexadecimal; one of them must be the machine's.", validators=[launch_digests]
    )
    minimum_tcb: dict[str, int] | None = optional(
        "Least security version of each component: `bootloader`, `tee`, `snp`, `microcode` of SEV-SNP.",
        validators=[tcb_versions],
    )
    extra_policy: str | None = optional("Everything else that the policy says, JSON.", validators=[json_object])
    image: str | None = optional("Name and version of the image, as signed.")
    manifest: str | None = optional("The signed `measurements.json`, byte for byte.")
    signature: str | None = optional("Its signature, base64.", validators=[base64_text])
    public_key: str | None = optional("Whose signature it is: ECDSA P-256, PEM.", validators=[public_key_pem])

    signed = together("manifest", "signature", "public_key")


def policy_of(given: Attestation) -> Policy:
    """Give the policy that an object stands for.

    Raises:
        PolicyError: it is empty, partial, or says what its variant cannot check.
        NotGenuineError: its manifest is signed by somebody else.
        ConfigError: its key is unusable.
        MalformedError: its manifest is none.
    """
    from attestation.policy import Policy  # noqa: PLC0415 - Terraform starts us often, and asks for policies seldom

    if given.manifest is not None:
        manifest = signed_of(given).verify(given.public_key or "")
        return manifest.policy(_beside(given, manifest))
    record = rest_of(given) | {"variant": given.variant}
    if given.measurements:
        record["measurements"] = _registers(given)
    if given.launch_digests:
        record["launch_digests"] = list(given.launch_digests)
    return Policy.from_mapping(record)


def signed_of(given: Attestation) -> SignedManifest:
    """Give the manifest and its signature; whether that holds is not known before `verify`.

    Raises:
        MalformedError: the signature is not base64.
    """
    from constellation_core.image_manifest import SignedManifest  # noqa: PLC0415 - as above

    return SignedManifest.from_text((given.manifest or "").encode(), given.signature or "")


def rest_of(given: Attestation) -> dict[str, Any]:
    """Give what the policy says beside registers and digests, as plain data (`policy` in join-config).

    Raises:
        PolicyError: it is not JSON.
    """
    from attestation.errors import MalformedError, PolicyError  # noqa: PLC0415 - as above
    from attestation.policy import MAX_BRACKETS, MAX_SIZE  # noqa: PLC0415
    from attestation.strict_json import load_object  # noqa: PLC0415

    try:
        document = (given.extra_policy or "{}").encode()
        rest = load_object(document, "extra_policy", max_size=MAX_SIZE, max_brackets=MAX_BRACKETS)
    except MalformedError as error:
        raise PolicyError(str(error), hint=error.hint) from None
    return rest | ({"minimum_tcb": dict(given.minimum_tcb)} if given.minimum_tcb else {})


def attestation_of(
    policy: Policy, *, signed: SignedManifest | None = None, image: str = "", public_key: str = ""
) -> Attestation:
    """Give the object of a policy.

    Args:
        policy: what is acceptable.
        signed: the manifest that it comes from, if it does.
        image: name and version of the image, as signed.
        public_key: whose signature it is, PEM.
    """
    record = policy.to_mapping()
    told = {"version", "variant", "measurements", "launch_digests", "minimum_tcb"}
    told |= {"not_for_secrets"} if signed else set()  # the name of the image says it
    rest = {name: value for name, value in record.items() if name not in told}
    return Attestation(
        variant=record["variant"],
        measurements={
            name: Measurement(expected=one["expected"], warn_only=not one["enforced"])
            for name, one in record.get("measurements", {}).items()
        }
        or None,
        launch_digests=record.get("launch_digests"),
        minimum_tcb=record.get("minimum_tcb"),
        extra_policy=json.dumps(rest, sort_keys=True) if rest else None,
        image=image or None,
        manifest=signed.document.decode() if signed else None,
        signature=signed.signature_text if signed else None,
        public_key=public_key or None,
    )


def _beside(given: Attestation, manifest: ImageManifest) -> dict[str, Any]:
    """Give what an object says beside its manifest; what it says otherwise than the manifest would have no effect."""
    from attestation.errors import PolicyError  # noqa: PLC0415 - as above

    registers, signed = _registers(given), manifest.measurements
    for name in registers.keys() & signed.keys():
        if registers[name] != {"expected": signed[name].expected.hex(), "enforced": signed[name].enforced}:
            raise PolicyError(
                f"measurements.{name} is not what the signed manifest says",
                hint="leave out manifest and signature to accept measurements that nobody signed",
            )
    digests = {digest.hex() for digest in manifest.launch_digests}
    if not digests.issuperset(digest.lower() for digest in given.launch_digests or ()):
        raise PolicyError("launch_digests are not what the signed manifest says", hint="leave them to the manifest")
    more = {name: one for name, one in registers.items() if name not in signed}
    return rest_of(given) | {"variant": given.variant} | ({"measurements": more} if more else {})


def _registers(given: Attestation) -> dict[str, Any]:
    return {
        name: {"expected": one.expected.lower(), "enforced": not one.warn_only}
        for name, one in (given.measurements or {}).items()
    }
