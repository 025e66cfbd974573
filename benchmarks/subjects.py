# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The verifications that are measured. Each starts from bytes, like the library that it is compared with."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from attestation.roots import VENDOR_ROOTS
from attestation.snp.report import SigningKey, parse_report
from attestation.snp.verify import verify_endorsement, verify_report
from attestation.tdx.chain import verify_chain
from attestation.tdx.quote import parse_quote
from attestation.tdx.verify import verify_quote as verify_td_quote
from attestation.tpm.attestation_key import AttestationKey
from attestation.tpm.verify import verify_quote
from benchmarks.azure import azure_chain
from benchmarks.peer import Peer
from benchmarks.subject import AT, Subject

if TYPE_CHECKING:
    from benchmarks.subject import Verification


def bare_signature(curve: ec.EllipticCurve, algorithm: hashes.HashAlgorithm) -> Verification:
    """One signature and nothing around it: what this machine and OpenSSL can do at most."""
    key, message, scheme = ec.generate_private_key(curve), bytes(128), ec.ECDSA(algorithm)
    signature, public = key.sign(message, scheme), key.public_key()
    return lambda: public.verify(signature, message, scheme)


def snp_chain(report: bytes, certificate: bytes) -> Verification:
    """Parse; verify endorsement key and report. That ARK signed ASK is checked once and remembered, as in a service."""

    def verify() -> object:
        endorsement = verify_endorsement([certificate], kind=SigningKey.VCEK, at=AT, roots=VENDOR_ROOTS)
        return verify_report(parse_report(report), endorsement, at=AT)

    return verify


def snp_report(report: bytes, certificate: bytes) -> Verification:
    """The same for the next report of a chip whose endorsement key was verified before."""
    endorsement = verify_endorsement([certificate], kind=SigningKey.VCEK, at=AT, roots=VENDOR_ROOTS)
    return lambda: verify_report(parse_report(report), endorsement, at=AT)


def tpm_quote(file: bytes) -> Verification:
    """By a known key: its attributes, signature, nonce, selection and digest of 16 registers."""
    quote = json.loads(file)
    public, attest, signature, nonce = (bytes.fromhex(quote[name]) for name in ("public", "attest", "sig", "nonce"))
    registers = {int(index): bytes.fromhex(value) for index, value in quote["pcrs"].items()}

    key = AttestationKey.from_public_area(public)
    return lambda: verify_quote(key, attest, signature, registers, binding=nonce, vouchers=())


def tdx_chain(quote: bytes) -> Verification:
    """Parse; verify platform key, quoting enclave and quote. Intel's own certificates are remembered."""

    def verify() -> object:
        verify_chain.cache_clear()
        return verify_td_quote(parse_quote(quote), at=AT, roots=VENDOR_ROOTS)

    return verify


def tdx_quote(quote: bytes) -> Verification:
    """The same for the next quote of a platform whose key was verified before."""
    return lambda: verify_td_quote(parse_quote(quote), at=AT, roots=VENDOR_ROOTS)


_SNP: Final = ("derived/snp/oak_milan_oc_release/report.bin", "derived/snp/oak_milan_oc_release/vek.der")
_TDX: Final = ("google__go-tdx-guest/testing/testdata/tdx_prod_quote_SPR_E4.dat",)

SUBJECTS: Final = (
    Subject(
        name="one ECDSA P-384 signature alone",
        prepare=partial(bare_signature, ec.SECP384R1(), hashes.SHA384()),
    ),
    Subject(
        name="SNP report and chain",
        files=_SNP,
        prepare=snp_chain,
        target=2_000,
        peer=Peer(module="github.com/google/go-sev-guest", command="snp-chain"),
        ratio=1.8,
    ),
    Subject(
        name="SNP report, endorsement key verified before",
        files=_SNP,
        prepare=snp_report,
        target=2_900,
        peer=Peer(module="github.com/google/go-sev-guest", command="snp-signature"),
    ),
    Subject(
        name="one ECDSA P-256 signature alone",
        prepare=partial(bare_signature, ec.SECP256R1(), hashes.SHA256()),
    ),
    Subject(
        name="TPM quote (ECC)",
        files=("derived/quote_swtpm_ecc.json",),
        prepare=tpm_quote,
        target=15_000,
        peer=Peer(module="github.com/google/go-tpm-tools", command="tpm-quote"),
    ),
    Subject(
        name="Azure chain (SNP, runtime data, RSA quote) and policy",
        files=("confidential-containers__trustee/deps/verifier/test_data/az-snp-vtpm/evidence-v1.json",),
        prepare=azure_chain,
        target=1_700,
    ),
    Subject(
        name="TDX quote and chain",
        files=_TDX,
        prepare=tdx_chain,
        peer=Peer(
            module="github.com/google/go-tdx-guest",
            command="tdx-quote",
            extra=("google__go-tdx-guest/verify/trusted_root.pem",),
        ),
    ),
    Subject(
        name="TDX quote signature, platform key verified before",
        files=_TDX,
        prepare=tdx_quote,
        target=3_300,
    ),
)
