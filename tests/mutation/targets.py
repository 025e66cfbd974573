# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The modules of which every check must be missed by a test when it is gone, and the tests that are asked."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_TESTS: Final = "tests/attestation/"
_POLICY: Final = (f"{_TESTS}records/test_policy_reading.py", f"{_TESTS}records/test_policy_borders.py")
_SNP: Final = (
    f"{_TESTS}snp/test_snp_borders.py",
    f"{_TESTS}snp/test_snp_attacks.py",
    f"{_TESTS}snp/test_snp_policy.py",
    f"{_TESTS}snp/test_real_reports.py",
)
_TDX: Final = (
    f"{_TESTS}tdx/test_td_quote_borders.py",
    f"{_TESTS}tdx/test_td_quote_attacks.py",
    f"{_TESTS}tdx/test_td_quote_format.py",
    f"{_TESTS}tdx/test_td_quote_flips.py",
    f"{_TESTS}tdx/test_tdx_revocation.py",
)
_TPM: Final = (
    f"{_TESTS}tpm/test_quote_verification.py",
    f"{_TESTS}tpm/test_quote_borders.py",
    f"{_TESTS}tpm/test_tpm_parsers.py",
    f"{_TESTS}tpm/test_recorded_quotes.py",
)

# The quickest, and those that fail most easily, come first: a trial ends with the first failure.
TARGETS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "attestation/policy.py": _POLICY,
        "attestation/policy_fields.py": _POLICY,
        "attestation/snp/validate.py": _SNP,
        "attestation/snp/verify.py": _SNP,
        "attestation/tpm/quote.py": _TPM,
        "attestation/tpm/verify.py": _TPM,
        "attestation/tdx/verify.py": _TDX,
    },
)
