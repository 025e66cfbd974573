# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A TPM made of software: registers, an attestation key, quotes that verify.

Every part of a quote can be broken with one line:

    tpm = SoftwareTpm()
    tpm.magic = 0                                              # data that the TPM did not make
    tpm.ak_attributes &= ~ObjectAttributes.RESTRICTED          # a key that signs anything
    tpm.quoted_binding = bytes(32)                             # an old nonce
    tpm.quoted_bank = HashAlgorithm.SHA1                       # a weak bank
    tpm.signature_hash = HashAlgorithm.SHA1                    # a weak signature
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from attestation.errors import TpmError
from attestation.evidence import TpmEvidence
from attestation.tpm.algorithms import HashAlgorithm, SignatureScheme
from attestation.tpm.public import DEFAULT_EXPONENT
from attestation.tpm.quote import ATTEST_QUOTE, MAGIC, SignedQuote
from attestation.tpm.signature import ecdsa_signature, rsapss_signature, rsassa_signature
from attestation.tpm.structures import PcrSelection, sized
from attestation.tpm.templates import AK_ATTRIBUTES, RSA_BITS, ecc_attestation_key, rsa_attestation_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attestation.tpm.public import ObjectAttributes, PublicKey

PCR_COUNT = 24
P256_SIZE = 32
TPM_RC_HANDLE_1 = 0x18B


@dataclass(slots=True)
class SoftwareTpm:
    """A TPM whose every lie is a line.

    Attributes:
        key: kind of the attestation key, made anew for every instance.
        pcrs: the SHA-256 bank, index → 32 bytes.
        nv: NV indexes, index → contents.
        event_log: what `evidence` hands over as boot log.
        ak_attributes: what the public area says about the key.
        magic: first four bytes of the quote.
        kind: the type of attestation that the quote claims to be.
        quoted_binding: extra data of every quote, instead of the binding asked for.
        quoted_bank: bank that the quote names.
        quoted_registers: registers that the quote names, instead of those asked for.
        quoted_digest: digest of the registers, instead of the true one.
        signature_hash: hash of the signature.
        rsa_scheme: how an RSA key signs.
        trailing: bytes behind the quote, signed along.
    """

    key: Literal["ecc", "rsa"] = "ecc"
    pcrs: dict[int, bytes] = field(default_factory=lambda: dict.fromkeys(range(PCR_COUNT), bytes(32)))
    nv: dict[int, bytes] = field(default_factory=dict)
    event_log: bytes = b""
    ak_attributes: ObjectAttributes = AK_ATTRIBUTES
    magic: int = MAGIC
    kind: int = ATTEST_QUOTE
    quoted_binding: bytes | None = None
    quoted_bank: HashAlgorithm = HashAlgorithm.SHA256
    quoted_registers: tuple[int, ...] | None = None
    quoted_digest: bytes | None = None
    signature_hash: HashAlgorithm = HashAlgorithm.SHA256
    rsa_scheme: SignatureScheme = SignatureScheme.RSASSA
    trailing: bytes = b""
    _private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the attestation key."""
        if self.key == "ecc":
            self._private = ec.generate_private_key(ec.SECP256R1())
        else:
            self._private = rsa.generate_private_key(DEFAULT_EXPONENT, RSA_BITS)

    @property
    def public_key(self) -> PublicKey:
        """The attestation key, for whoever certifies it or puts it into hardware evidence."""
        return self._private.public_key()

    @property
    def ak_public(self) -> bytes:
        """The attestation key as TPMT_PUBLIC, with the attributes and hash that are set now."""
        key = self.public_key
        if isinstance(key, rsa.RSAPublicKey):
            modulus = key.public_numbers().n.to_bytes(RSA_BITS // 8, "big")
            return rsa_attestation_key(
                attributes=self.ak_attributes,
                scheme=self.rsa_scheme,
                hash_algorithm=self.signature_hash,
                modulus=modulus,
            )
        numbers = key.public_numbers()
        return ecc_attestation_key(
            attributes=self.ak_attributes,
            hash_algorithm=self.signature_hash,
            x=numbers.x.to_bytes(P256_SIZE, "big"),
            y=numbers.y.to_bytes(P256_SIZE, "big"),
        )

    def extend(self, index: int, digest: bytes) -> None:
        """Extend a register with a digest of 32 bytes."""
        self.pcrs[index] = hashlib.sha256(self.pcrs[index] + digest).digest()

    def event(self, index: int, data: bytes) -> None:
        """Extend a register with the hash of some data."""
        self.extend(index, hashlib.sha256(data).digest())

    def quote(self, binding: bytes, registers: Iterable[int] | None = None) -> SignedQuote:
        """Quote registers; all of them unless some are named."""
        quoted = self.quoted_registers if self.quoted_registers is not None else sorted(registers or self.pcrs)
        attest = self._attest(binding if self.quoted_binding is None else self.quoted_binding, quoted)
        return SignedQuote(attest, self.sign(attest))

    def evidence(self, binding: bytes) -> TpmEvidence:
        """Quote all registers and hand over everything that a verifier needs."""
        quote = self.quote(binding)
        return TpmEvidence(
            attest=quote.attest,
            signature=quote.signature,
            pcrs=dict(self.pcrs),
            ak_public=self.ak_public,
            event_log=self.event_log,
        )

    def nv_read(self, index: int) -> bytes:
        """Read an NV index."""
        if index not in self.nv:
            raise TpmError("TPM2_NV_ReadPublic", TPM_RC_HANDLE_1)
        return self.nv[index]

    def nv_write(self, index: int, data: bytes) -> None:
        """Write an NV index, defined or not."""
        self.nv[index] = data

    def sign(self, data: bytes) -> bytes:
        """Sign anything, as a restricted key never would; gives a TPMT_SIGNATURE."""
        algorithm = self.signature_hash
        if isinstance(self._private, rsa.RSAPrivateKey):
            if self.rsa_scheme is SignatureScheme.RSAPSS:
                pss = padding.PSS(padding.MGF1(algorithm.primitive), padding.PSS.DIGEST_LENGTH)
                return rsapss_signature(self._private.sign(data, pss, algorithm.primitive), algorithm)
            return rsassa_signature(self._private.sign(data, padding.PKCS1v15(), algorithm.primitive), algorithm)
        r, s = decode_dss_signature(self._private.sign(data, ec.ECDSA(algorithm.primitive)))
        return ecdsa_signature(r, s, P256_SIZE, algorithm)

    def _attest(self, extra_data: bytes, registers: Iterable[int]) -> bytes:
        name = struct.pack(">H", HashAlgorithm.SHA256) + hashlib.sha256(self.ak_public).digest()
        clock_and_firmware = struct.pack(">QIIBQ", 1000, 1, 0, 1, 0)
        digest = self.quoted_digest
        if digest is None:
            digest = self.signature_hash.digest(b"".join(self.pcrs[index] for index in registers))
        return (
            struct.pack(">IH", self.magic, self.kind)
            + sized(name)
            + sized(extra_data)
            + clock_and_firmware
            + PcrSelection.of(registers, self.quoted_bank).to_bytes()
            + sized(digest)
            + self.trailing
        )
