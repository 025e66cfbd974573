# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a PCK certificate says of its platform: the extension that Intel puts into it.

After Intel, "SGX PCK Certificate and Certificate Revocation List Profile Specification", 1.3.5 (extension
1.2.840.113741.1.13.1): a SEQUENCE of pairs of an object identifier below that of the extension, and a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from attestation.der import Element, Tag, parse_der
from attestation.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Mapping

SGX_EXTENSION: Final = "1.2.840.113741.1.13.1"
PPID_SIZE: Final = 16
CPU_SVN_SIZE: Final = 16
PCE_ID_SIZE: Final = 2
FMSPC_SIZE: Final = 6
INSTANCE_ID_SIZE: Final = 16
MAX_COMPONENT_SVN: Final = 255
MAX_PCE_SVN: Final = 65535

_PREFIX: Final = bytes.fromhex("2a864886f84d010d01")  # content of SGX_EXTENSION
_PPID, _TCB, _PCE_ID, _FMSPC, _SGX_TYPE, _INSTANCE_ID, _CONFIGURATION = (_PREFIX + bytes([arc]) for arc in range(1, 8))
_COMPONENTS: Final = tuple(_TCB + bytes([arc]) for arc in range(1, 17))
_PCE_SVN, _CPU_SVN = _TCB + b"\x11", _TCB + b"\x12"
_DYNAMIC_PLATFORM, _CACHED_KEYS, _SMT_ENABLED = (_CONFIGURATION + bytes([arc]) for arc in range(1, 4))


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform as its PCK certificate describes it; sizes in bytes.

    Attributes:
        ppid: 16, provisioning ID of the platform, the same for all its PCK certificates.
        components: security versions of the sixteen TCB components.
        pce_svn: security version of the provisioning enclave.
        cpu_svn: 16, the components as the CPU encodes them.
        pce_id: 2, provisioning enclave.
        fmspc: 6, family, model, stepping, platform type and custom SKU: the key to Intel's TCB info.
        sgx_type: kind of memory protection, 0 standard, 1 scalable, 2 scalable with integrity.
        instance_id: 16, platform instance; None below the Processor CA.
        dynamic_platform: whether packages can be added; None below the Processor CA.
        cached_keys: whether Intel keeps the platform's root keys; None below the Processor CA.
        smt_enabled: whether cores run two threads; None below the Processor CA.
    """

    ppid: bytes
    components: tuple[int, ...]
    pce_svn: int
    cpu_svn: bytes
    pce_id: bytes
    fmspc: bytes
    sgx_type: int
    instance_id: bytes | None = None
    dynamic_platform: bool | None = None
    cached_keys: bool | None = None
    smt_enabled: bool | None = None


def parse_sgx_extension(der: bytes) -> Platform:
    """Read the extension. What it holds beyond the specification is ignored.

    Raises:
        MalformedError: not DER, or a field is missing, there twice, or of another size.
    """
    fields = _pairs(parse_der(der))
    tcb = _pairs(_need(fields, _TCB))
    instance_id = fields.get(_INSTANCE_ID)
    configuration = fields.get(_CONFIGURATION)
    flags = _pairs(configuration) if configuration is not None else {}
    return Platform(
        ppid=_octets(_need(fields, _PPID), PPID_SIZE),
        components=tuple(_number(_need(tcb, name), MAX_COMPONENT_SVN) for name in _COMPONENTS),
        pce_svn=_number(_need(tcb, _PCE_SVN), MAX_PCE_SVN),
        cpu_svn=_octets(_need(tcb, _CPU_SVN), CPU_SVN_SIZE),
        pce_id=_octets(_need(fields, _PCE_ID), PCE_ID_SIZE),
        fmspc=_octets(_need(fields, _FMSPC), FMSPC_SIZE),
        sgx_type=_number(_need(fields, _SGX_TYPE), MAX_COMPONENT_SVN),
        instance_id=_octets(instance_id, INSTANCE_ID_SIZE) if instance_id is not None else None,
        dynamic_platform=_flag(flags, _DYNAMIC_PLATFORM),
        cached_keys=_flag(flags, _CACHED_KEYS),
        smt_enabled=_flag(flags, _SMT_ENABLED),
    )


def _pairs(sequence: Element) -> dict[bytes, Element]:
    """Give the values by the content of their object identifiers."""
    values: dict[bytes, Element] = {}
    for pair in sequence.expect(Tag.SEQUENCE, "SGX extension").children():
        inside = tuple(pair.children())
        if len(inside) != 2 or inside[0].tag != Tag.OBJECT_IDENTIFIER:  # noqa: PLR2004 - name and value
            raise MalformedError("SGX extension: a field is not a pair of name and value")
        name, value = inside
        if name.value in values:
            raise MalformedError(f"SGX extension: field {name.oid()} is there twice")
        values[name.value] = value
    return values


def _need(values: Mapping[bytes, Element], name: bytes) -> Element:
    if name not in values:
        arcs = ".".join(str(arc) for arc in name[len(_PREFIX) :])
        raise MalformedError(f"SGX extension: field {SGX_EXTENSION}.{arcs} is missing")
    return values[name]


def _octets(element: Element, size: int) -> bytes:
    data = element.octets()
    if len(data) != size:
        raise MalformedError(f"SGX extension: a field has {len(data)} bytes, expected {size}")
    return data


def _number(element: Element, highest: int) -> int:
    number = element.integer()
    if not 0 <= number <= highest:
        raise MalformedError(f"SGX extension: security version {number} is not within 0 to {highest}")
    return number


def _flag(flags: Mapping[bytes, Element], name: bytes) -> bool | None:
    return flags[name].boolean() if name in flags else None
