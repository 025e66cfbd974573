# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The policy: what a user accepts of one variant.

A `Policy` is made from a plain mapping, so the same record is JSON here and YAML at the command line. It is refused
when it is empty, partial, misspelt, or says something that its variant cannot check: a field that is silently
ignored on one platform is a hole. `attestation.policy_fields` lists every field, where it takes effect and its shape.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, fields
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from attestation.errors import MalformedError, PolicyError
from attestation.policy_fields import FIELDS, Register, Revocation
from attestation.strict_json import load_object
from attestation.variant import Variant

if TYPE_CHECKING:
    from collections.abc import Mapping

POLICY_VERSION: Final = 1
MAX_SIZE: Final = 1024 * 1024  # bytes of JSON
MAX_BRACKETS: Final = 256  # every field and every register of a variant has fewer than a hundred

_ENVELOPE: Final = ("version", "variant")

# A policy without these would accept machines that nobody described; a tuple means "one of".
_REQUIRED: Final[Mapping[Variant, tuple[tuple[str, ...], ...]]] = MappingProxyType(
    {
        Variant.QEMU_VTPM: (("measurements",),),
        Variant.OPENSTACK_VTPM: (("measurements",),),
        Variant.QEMU_SNP: (("launch_digests",), ("minimum_tcb",)),
        Variant.QEMU_TDX: (("measurements",), ("minimum_tcb",)),
        Variant.AZURE_SEV_SNP: (("measurements",), ("minimum_tcb",), ("id_key_digests", "launch_digests")),
        Variant.AZURE_TDX: (("measurements",), ("minimum_tcb",), ("launch_digests",)),
        Variant.AZURE_TRUSTED_LAUNCH: (("measurements",), ("ak_roots", "ak_names")),
        Variant.AWS_SEV_SNP: (("measurements",), ("minimum_tcb",)),
        Variant.AWS_NITRO_TPM: (("measurements",), ("ak_roots", "ak_names")),
        Variant.GCP_SEV_SNP: (("measurements",), ("minimum_tcb",), ("ak_roots", "ak_names")),
        Variant.GCP_SEV_ES: (("measurements",), ("ak_roots", "ak_names")),
        Variant.GCP_TDX: (("measurements",), ("minimum_tcb",)),
        Variant.INSECURE: (),
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is acceptable. Every attribute but `variant` is described in `attestation.policy_fields`."""

    variant: Variant
    measurements: Mapping[str, Register] = field(default_factory=dict)
    not_for_secrets: bool = False
    minimum_tcb: Mapping[str, int] = field(default_factory=dict)
    minimum_launch_tcb: Mapping[str, int] = field(default_factory=dict)
    products: tuple[str, ...] = ()
    allow_report_v2: bool = False
    allow_debug: bool = False
    allow_smt: bool = False
    allow_unknown_bits: bool = False
    vmpl: tuple[int, ...] = (0,)
    id_key_digests: tuple[bytes, ...] = ()
    author_key_digests: tuple[bytes, ...] = ()
    launch_digests: tuple[bytes, ...] = ()
    launch_manifests: tuple[bytes, ...] = ()
    chip_ids: tuple[bytes, ...] = ()
    platform_flags: tuple[str, ...] = ()
    ak_names: tuple[bytes, ...] = ()
    allow_unlisted_ak: bool = False
    ak_roots: tuple[bytes, ...] = ()
    ek_roots: tuple[bytes, ...] = ()
    require_event_log: bool = False
    mr_seams: tuple[bytes, ...] = ()
    td_attributes: tuple[bytes, ...] = ()
    xfams: tuple[bytes, ...] = ()
    collateral: tuple[bytes, ...] = ()
    tcb_statuses: tuple[str, ...] = ("UpToDate",)
    crl: Revocation = Revocation.REQUIRED
    crl_max_age: timedelta = timedelta(days=30)
    revocation_lists: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        """Freeze the mappings and refuse what is partial or without effect."""
        for name in ("measurements", "minimum_tcb", "minimum_launch_tcb"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        for name, spec in FIELDS.items():
            if self.variant not in spec.variants and getattr(self, name) != _DEFAULTS[name]:
                raise _without_effect(name, self.variant)
        for alternatives in _REQUIRED[self.variant]:
            if not any(getattr(self, name) for name in alternatives):
                raise PolicyError(
                    f"policy for {self.variant} lacks {' or '.join(alternatives)}",
                    hint="a partial policy accepts machines that nobody described",
                )
        self._check_revocation()
        if "mrtd" in self.variant.registers and "mrtd" not in self.measurements:
            raise PolicyError(
                f"policy for {self.variant} says nothing about mrtd",
                hint="without it nobody knows what extended the other registers; enforced: false accepts any",
            )

    def _check_revocation(self) -> None:
        applies = self.variant in FIELDS["crl"].variants
        if applies and self.crl is Revocation.REQUIRED and not (self.revocation_lists or self.collateral):
            raise PolicyError(
                f"policy for {self.variant} requires revocation lists (crl: required) and holds none",
                hint="put the vendor's lists into revocation_lists, or write crl: off and see it in every verdict",
            )

    @property
    def enforced(self) -> Mapping[str, bytes]:
        """Registers that must have the expected value."""
        return {name: register.expected for name, register in self.measurements.items() if register.enforced}

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, variant: Variant | None = None) -> Policy:
        """Read a policy from plain data, as JSON or YAML give it.

        Args:
            mapping: the policy; keys as in `FIELDS`, plus `version` and `variant`.
            variant: the variant to judge, if the caller knows it; must agree with the policy's own word.

        Raises:
            PolicyError: unknown key (with a suggestion), wrong shape, partial, or without effect on the variant.
        """
        if not isinstance(mapping, dict) or not all(isinstance(key, str) for key in mapping):
            raise PolicyError("a policy is a mapping from field names to values")
        if mapping.get("version", POLICY_VERSION) != POLICY_VERSION:
            raise PolicyError(f"policy version is {mapping['version']!r}, expected {POLICY_VERSION}")
        agreed = _agree(mapping.get("variant"), variant)
        values: dict[str, Any] = {}
        for key, value in mapping.items():
            if key in _ENVELOPE:
                continue
            spec = FIELDS.get(key)
            if spec is None:
                raise _unknown(key)
            if agreed not in spec.variants:
                raise _without_effect(key, agreed)
            values[key] = spec.shape.parse(value, key, agreed)
        return cls(variant=agreed, **values)

    @classmethod
    def from_json(cls, data: bytes, *, variant: Variant | None = None) -> Policy:
        """Read a policy from JSON.

        Raises:
            PolicyError: not JSON, too large, repeated keys, or as `from_mapping`.
        """
        try:
            mapping = load_object(data, "policy", max_size=MAX_SIZE, max_brackets=MAX_BRACKETS)
        except MalformedError as error:
            raise PolicyError(str(error), hint=error.hint) from None
        return cls.from_mapping(mapping, variant=variant)

    def to_mapping(self) -> dict[str, Any]:
        """Give plain data that `from_mapping` reads back; fields at their default are left out."""
        record: dict[str, Any] = {"version": POLICY_VERSION, "variant": self.variant.value}
        for name, spec in FIELDS.items():
            value = getattr(self, name)
            if value != _DEFAULTS[name]:
                record[name] = spec.shape.show(value)
        return record


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a policy, as published in `docs/policy.schema.json`."""
    properties: dict[str, Any] = {
        "version": {"const": POLICY_VERSION},
        "variant": {"enum": [variant.value for variant in Variant]},
    }
    for name, spec in FIELDS.items():
        where = ", ".join(variant.value for variant in Variant if variant in spec.variants)
        properties[name] = {**spec.shape.schema, "description": f"{spec.description} Takes effect on: {where}."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Constellation attestation policy",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "allOf": [_variant_rule(variant) for variant in Variant],
    }


def _variant_rule(variant: Variant) -> dict[str, Any]:
    without_effect = [name for name, spec in FIELDS.items() if variant not in spec.variants]
    then: dict[str, Any] = {"properties": dict.fromkeys(without_effect, False)}
    if required := _REQUIRED[variant]:
        then["allOf"] = [{"anyOf": [{"required": [name]} for name in names]} for names in required]
    return {"if": {"properties": {"variant": {"const": variant.value}}, "required": ["variant"]}, "then": then}


def _agree(written: object, asked: Variant | None) -> Variant:
    if written is None:
        if asked is None or asked is Variant.INSECURE:
            raise PolicyError("policy names no variant", hint='add "variant", for example "qemu-snp"')
        return asked
    try:
        variant = Variant(written)
    except ValueError:
        names = [variant.value for variant in Variant]
        close = difflib.get_close_matches(str(written), names, 1)
        hint = f"did you mean {close[0]}?" if close else f"known variants: {', '.join(names)}"
        raise PolicyError(f"policy names the unknown variant {written!r}", hint=hint) from None
    if asked is not None and asked is not variant:
        raise PolicyError(
            f"policy is for {variant}, asked was {asked}", hint="use the policy of the evidence's variant"
        )
    return variant


def _unknown(key: str) -> PolicyError:
    close = difflib.get_close_matches(key, [*FIELDS, *_ENVELOPE], 1)
    hint = f"did you mean {close[0]}?" if close else f"known fields: {', '.join(FIELDS)}"
    return PolicyError(f"policy has the unknown field {key!r}", hint=hint)


def _without_effect(name: str, variant: Variant) -> PolicyError:
    where = ", ".join(other.value for other in Variant if other in FIELDS[name].variants)
    return PolicyError(
        f"policy field {name} has no effect on {variant}", hint=f"remove it; it takes effect on: {where}"
    )


_DEFAULTS: Final = {
    spec.name: spec.default_factory() if callable(spec.default_factory) else spec.default for spec in fields(Policy)
}
