# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What Azure's host answers to its guests: AMD's certificates, and quotes made of TD reports.

After Azure's "Trusted Hardware Identity Management" and "Instance Metadata Service" pages. The host is not trusted:
whatever it answers is verified like everything else.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import urllib.request
from dataclasses import dataclass
from typing import Any, Final, Protocol

from attestation.errors import EndorsementError, MalformedError
from attestation.snp.certificate import split_pem

ADDRESS: Final = "http://169.254.169.254"
CERTIFICATES_PATH: Final = "/metadata/THIM/amd/certification"
QUOTE_PATH: Final = "/acc/tdquote"
TIMEOUT: Final = 30.0  # seconds
MAX_ANSWER: Final = 256 * 1024  # bytes


class Metadata(Protocol):
    """The host's metadata service."""

    def get(self, path: str) -> bytes:
        """Ask for something.

        Raises:
            EndorsementError: no answer, or not with 200.
        """

    def post(self, path: str, body: bytes) -> bytes:
        """Send JSON and give what comes back.

        Raises:
            EndorsementError: no answer, or not with 200.
        """


@dataclass(frozen=True, slots=True)
class HostMetadata:
    """The service of the host that we run on.

    Attributes:
        address: where it listens; link-local, never through a proxy.
        timeout: seconds for one answer.
    """

    address: str = ADDRESS
    timeout: float = TIMEOUT

    def get(self, path: str) -> bytes:
        """Ask for something."""
        return self._ask(urllib.request.Request(self.address + path, headers={"Metadata": "true"}))  # noqa: S310

    def post(self, path: str, body: bytes) -> bytes:
        """Send JSON and give what comes back."""
        headers = {"Metadata": "true", "Content-Type": "application/json"}
        return self._ask(urllib.request.Request(self.address + path, data=body, headers=headers))  # noqa: S310

    def _ask(self, request: urllib.request.Request) -> bytes:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=self.timeout) as response:
                answer: bytes = response.read(MAX_ANSWER + 1)
        except (OSError, http.client.HTTPException) as error:
            raise EndorsementError(
                f"{request.full_url} does not answer: {error}",
                hint="only confidential VMs on Azure have this service",
            ) from None
        if len(answer) > MAX_ANSWER:
            raise EndorsementError(f"{request.full_url} answers with more than {MAX_ANSWER} bytes")
        return answer


def amd_certificates(metadata: Metadata) -> tuple[bytes, ...]:
    """Ask for the certificates of this machine's chip.

    Returns:
        DER: VCEK, ASK, ARK.

    Raises:
        EndorsementError: no answer, or not this one.
    """
    record = _record(metadata.get(CERTIFICATES_PATH), CERTIFICATES_PATH)
    try:
        return (
            *split_pem(_text(record, "vcekCert", CERTIFICATES_PATH).encode()),
            *split_pem(_text(record, "certificateChain", CERTIFICATES_PATH).encode()),
        )
    except MalformedError as error:
        raise EndorsementError(f"{CERTIFICATES_PATH}: {error}") from None


def td_quote(metadata: Metadata, td_report: bytes) -> bytes:
    """Have the host's quoting enclave make a quote.

    Args:
        metadata: the host.
        td_report: TDREPORT, 1024 bytes.

    Raises:
        EndorsementError: no answer, or not this one.
    """
    report = base64.urlsafe_b64encode(td_report).rstrip(b"=").decode("ascii")
    record = _record(metadata.post(QUOTE_PATH, json.dumps({"report": report}).encode()), QUOTE_PATH)
    text = _text(record, "quote", QUOTE_PATH)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise EndorsementError(f"{QUOTE_PATH} answers with a quote that is not base64url") from None


def _record(answer: bytes, path: str) -> dict[str, Any]:
    try:
        record = json.loads(answer)
    except (ValueError, RecursionError):
        raise EndorsementError(f"{path} answers with something that is not JSON") from None
    if not isinstance(record, dict):
        raise EndorsementError(f"{path} answers with something that is not a JSON object")
    return record


def _text(record: dict[str, Any], name: str, path: str) -> str:
    value = record.get(name)
    if not isinstance(value, str):
        raise EndorsementError(f"{path} answers without {name}")
    return value
