# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The attestation report of SEV-SNP: bytes to record, no cryptography.

Layout: AMD 56860, "ATTESTATION_REPORT", versions 2 to 5. Bits and bytes that the version does not define are kept
and named in `Report.unknown`; only `validate` has an opinion on them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, Final

from attestation.errors import MalformedError
from attestation.snp.product import Product

if TYPE_CHECKING:
    from collections.abc import Iterator

REPORT_SIZE: Final = 0x4A0
SIGNED_SIZE: Final = 0x2A0  # bytes from the front that the signature covers
COMPONENT_SIZE: Final = 72  # bytes of each of r and s, little endian
ECDSA_P384_SHA384: Final = 1
VERSIONS: Final = range(2, 6)
FIRST_WITH_CPUID: Final = 3
FIRST_WITH_MITIGATIONS: Final = 5


class SigningKey(IntEnum):
    """Which key signed the report."""

    VCEK = 0
    VLEK = 1
    NONE = 7


class GuestPolicy(IntFlag):
    """Bits of the guest policy above the two ABI version bytes."""

    SMT = 1 << 16
    RESERVED_ONE = 1 << 17
    MIGRATE_MA = 1 << 18
    DEBUG = 1 << 19
    SINGLE_SOCKET = 1 << 20
    CXL_ALLOW = 1 << 21
    MEM_AES_256_XTS = 1 << 22
    RAPL_DIS = 1 << 23
    CIPHERTEXT_HIDING = 1 << 24
    PAGE_SWAP_DISABLE = 1 << 25


class PlatformInfo(IntFlag):
    """Bits of PLATFORM_INFO."""

    SMT_ENABLED = 1 << 0
    TSME = 1 << 1
    ECC = 1 << 2
    RAPL_DISABLED = 1 << 3
    CIPHERTEXT_HIDING = 1 << 4
    ALIAS_CHECK = 1 << 5
    SEV_TIO = 1 << 7


# Field → flags that a policy can demand; SMT counts when it is off.
PLATFORM_FLAGS: Final = ("smt_disabled", "tsme", "ecc", "rapl_disabled", "ciphertext_hiding", "alias_check", "sev_tio")

_POLICY_KNOWN: Final = 0x3FFFFFF
_PLATFORM_KNOWN: Final = sum(PlatformInfo)
_SIGNER_KNOWN: Final = 0x1F


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """Version of the SNP firmware."""

    major: int
    minor: int
    build: int

    def __str__(self) -> str:
        """Give it as AMD writes it."""
        return f"{self.major}.{self.minor}.{self.build}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An attestation report; sizes in bytes.

    Attributes:
        raw: the 1184 bytes it was read from.
        version: 2 to 5.
        policy: guest policy, 64 bits.
        vmpl: privilege level of who asked, or all ones for the host.
        signing_key: which key signed, or None for a value that is not known.
        report_data: 64, chosen by the guest.
        measurement: 48, launch digest.
        host_data: 32, chosen by the host at launch.
        id_key_digest: 48.
        author_key_digest: 48; meaningful where `author_key_enabled`.
        chip_id: 64; all zero where the host masks it.
        current_tcb, reported_tcb, committed_tcb, launch_tcb: 8 each, laid out as the product does.
        family, model, stepping: of the CPU; None in version 2.
        unknown: names and values of bits that this version does not define.
    """

    raw: bytes
    version: int
    guest_svn: int
    policy: int
    family_id: bytes
    image_id: bytes
    vmpl: int
    signature_algorithm: int
    current_tcb: bytes
    platform_info: int
    author_key_enabled: bool
    chip_key_masked: bool
    signing_key: SigningKey | None
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    reported_tcb: bytes
    family: int | None
    model: int | None
    stepping: int | None
    chip_id: bytes
    committed_tcb: bytes
    current_firmware: Firmware
    committed_firmware: Firmware
    launch_tcb: bytes
    launch_mitigations: int | None
    current_mitigations: int | None
    unknown: tuple[str, ...]

    @property
    def product(self) -> Product | None:
        """Product line by the CPU's own word; None in version 2 and for CPUs that are not known."""
        if self.family is None or self.model is None:
            return None
        return Product.from_cpuid(self.family, self.model)

    @property
    def signed(self) -> bytes:
        """The part that the signature covers."""
        return self.raw[:SIGNED_SIZE]

    @property
    def signature_r(self) -> int:
        """First half of the ECDSA signature."""
        return int.from_bytes(self.raw[SIGNED_SIZE : SIGNED_SIZE + COMPONENT_SIZE], "little")

    @property
    def signature_s(self) -> int:
        """Second half of the ECDSA signature."""
        return int.from_bytes(self.raw[SIGNED_SIZE + COMPONENT_SIZE : SIGNED_SIZE + 2 * COMPONENT_SIZE], "little")

    @property
    def debug(self) -> bool:
        """Whether the host may read the guest's memory."""
        return bool(self.policy & GuestPolicy.DEBUG)

    @property
    def smt_allowed(self) -> bool:
        """Whether the guest may run beside another on the same core."""
        return bool(self.policy & GuestPolicy.SMT)

    @property
    def migration_agent(self) -> bool:
        """Whether a migration agent may export the guest."""
        return bool(self.policy & GuestPolicy.MIGRATE_MA)

    @property
    def platform_flags(self) -> frozenset[str]:
        """Names out of `PLATFORM_FLAGS` that hold."""
        info = PlatformInfo(self.platform_info & _PLATFORM_KNOWN)
        names = {flag.name.lower() for flag in info if flag.name is not None} - {"smt_enabled"}
        return frozenset(names if PlatformInfo.SMT_ENABLED in info else names | {"smt_disabled"})


# One row a field: offset order, little endian. `x` skips what `_unknown` reports.
_LAYOUT: Final = struct.Struct("<IIQ16s16sII8sQI4x64s48s32s48s48s32s32s8sBBB21x64s8s4B4B8sQQ")


def parse_report(data: bytes) -> Report:
    """Read a report.

    Args:
        data: 1184 bytes.

    Raises:
        MalformedError: another length, an unknown version, or bytes beside the signature.
    """
    if len(data) != REPORT_SIZE:
        raise MalformedError(
            f"SNP report has {len(data)} bytes, expected {REPORT_SIZE}",
            hint="pass the bare report: no certificate table, no hexadecimal",
        )
    fields = _LAYOUT.unpack_from(data)
    version = fields[0]
    if version not in VERSIONS:
        raise MalformedError(f"SNP report has version {version}, expected {VERSIONS.start} to {VERSIONS.stop - 1}")
    if any(data[SIGNED_SIZE + 2 * COMPONENT_SIZE :]):
        raise MalformedError("SNP report has bytes beside its signature")
    key_info = fields[9]
    has_cpuid = version >= FIRST_WITH_CPUID
    has_mitigations = version >= FIRST_WITH_MITIGATIONS
    return Report(
        raw=bytes(data),
        version=version,
        guest_svn=fields[1],
        policy=fields[2],
        family_id=fields[3],
        image_id=fields[4],
        vmpl=fields[5],
        signature_algorithm=fields[6],
        current_tcb=fields[7],
        platform_info=fields[8],
        author_key_enabled=bool(key_info & 1),
        chip_key_masked=bool(key_info & 2),
        signing_key=_signing_key(key_info >> 2 & 7),
        report_data=fields[10],
        measurement=fields[11],
        host_data=fields[12],
        id_key_digest=fields[13],
        author_key_digest=fields[14],
        report_id=fields[15],
        report_id_ma=fields[16],
        reported_tcb=fields[17],
        family=fields[18] if has_cpuid else None,
        model=fields[19] if has_cpuid else None,
        stepping=fields[20] if has_cpuid else None,
        chip_id=fields[21],
        committed_tcb=fields[22],
        current_firmware=Firmware(build=fields[23], minor=fields[24], major=fields[25]),
        committed_firmware=Firmware(build=fields[27], minor=fields[28], major=fields[29]),
        launch_tcb=fields[31],
        launch_mitigations=fields[32] if has_mitigations else None,
        current_mitigations=fields[33] if has_mitigations else None,
        unknown=tuple(_unknown(data, version, policy=fields[2], platform=fields[8], key_info=key_info)),
    )


def _signing_key(value: int) -> SigningKey | None:
    return SigningKey(value) if value in _SIGNING_KEYS else None


def _unknown(data: bytes, version: int, *, policy: int, platform: int, key_info: int) -> Iterator[str]:
    for name, value, known in (
        ("policy", policy, _POLICY_KNOWN),
        ("platform_info", platform, _PLATFORM_KNOWN),
        ("key_info", key_info, _SIGNER_KNOWN),
    ):
        if value & ~known:
            yield f"{name} bits {value & ~known:#x}"
    for start, end in _reserved(version):
        if any(data[start:end]):
            yield f"reserved {start:#x} = {data[start:end].hex()}"


def _reserved(version: int) -> tuple[tuple[int, int], ...]:
    after_tcb = 0x18B if version >= FIRST_WITH_CPUID else 0x188
    after_launch = 0x208 if version >= FIRST_WITH_MITIGATIONS else 0x1F8
    return ((0x4C, 0x50), (after_tcb, 0x1A0), (0x1EB, 0x1EC), (0x1EF, 0x1F0), (after_launch, SIGNED_SIZE))


_SIGNING_KEYS: Final = frozenset(SigningKey)
