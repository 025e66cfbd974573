# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The way to AMD's key distribution service over the network: HTTPS, bounded in time and size, without redirects."""

from __future__ import annotations

import ipaddress
from http.client import HTTPException
from typing import IO, TYPE_CHECKING, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from attestation.errors import EndorsementError
from attestation.snp.kds import MAX_SIZE, SEND_ALONG, Answer

if TYPE_CHECKING:
    from http.client import HTTPMessage

KDS_ADDRESS: Final = "https://kdsintf.amd.com"
TIMEOUT: Final = 15.0  # seconds without a byte


class HttpsTransport:
    """Asks the service, or a mirror of it.

    Args:
        address: of the service, without a path; plain HTTP only on the loopback interface.
        timeout: seconds to wait for a connection, and for each part of an answer.

    Raises:
        EndorsementError: the address is none that may be used.
    """

    def __init__(self, address: str = KDS_ADDRESS, *, timeout: float = TIMEOUT) -> None:
        self._address = _checked(address)
        self._timeout = timeout
        self._opener = build_opener(_NoRedirects())

    @property
    def host(self) -> str:
        """Name and port of the service."""
        return urlsplit(self._address).netloc

    def get(self, path: str) -> Answer:
        """Ask for a path.

        Raises:
            EndorsementError: no network reaches the service, or its answer is too large or none of HTTP.
        """
        request = Request(self._address + path)  # noqa: S310 - the scheme was checked
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                status, body = response.status, response.read(MAX_SIZE + 1)
        except HTTPError as error:
            with error:
                return Answer(error.code, retry_after=error.headers.get("Retry-After", ""))
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise EndorsementError(
                f"{self.host} cannot be reached: {reason}", hint=f"is there a network? {SEND_ALONG}"
            ) from None
        if len(body) > MAX_SIZE:
            raise EndorsementError(f"{self.host} gave more than {MAX_SIZE} bytes", hint="is it the right service?")
        return Answer(status, body)


class _NoRedirects(HTTPRedirectHandler):
    """Makes a redirect an error: the service has none, and one could lead to plain HTTP."""

    def redirect_request(
        self,
        req: Request,  # noqa: ARG002 - the signature is urllib's
        fp: IO[bytes],  # noqa: ARG002
        code: int,  # noqa: ARG002
        msg: str,  # noqa: ARG002
        headers: HTTPMessage,  # noqa: ARG002
        newurl: str,  # noqa: ARG002
    ) -> None:
        return None


def _checked(address: str) -> str:
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        usable = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))
    except ValueError:
        host, usable = "", False
    if not host or not usable or parts.path.strip("/") or parts.query or parts.fragment:
        raise EndorsementError(f"{address!r} is not the address of a KDS", hint=f"expected one like {KDS_ADDRESS}")
    return address.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
