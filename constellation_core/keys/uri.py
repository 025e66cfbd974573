# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""URIs of key providers.

| URI | where keys come from |
|---|---|
| `cluster://` | derived from the master secret in the cluster |
| `awskms://<region>/<key id, alias/name or ARN>` | AWS KMS; `?endpoint=https://…` for a VPC endpoint |
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from constellation_core.errors import ConfigError

NOT_YET: Final = ("azurekeyvault", "gcpkms", "vault")

_CHARACTERS: Final = re.compile(r"[!-~]{1,2048}")
_REGION: Final = re.compile(r"[a-z]{2,3}(-[a-z]{2,12}){1,3}-\d{1,2}")
_KEY_NAME: Final = re.compile(
    r"""  # KMS API reference, KeyId
    [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}
    | mrk-[0-9a-f]{32}
    | alias/[A-Za-z0-9/_-]{1,250}
    | arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key/[A-Za-z0-9-]{1,64} | alias/[A-Za-z0-9/_-]{1,250})
    """,
    re.VERBOSE,
)


class Scheme(StrEnum):
    """The kinds of key providers that exist."""

    CLUSTER = "cluster"
    AWS_KMS = "awskms"


@dataclass(frozen=True, slots=True)
class AwsKey:
    """A key in AWS KMS.

    Attributes:
        region: as "eu-central-1".
        name: key id, `alias/…`, or ARN of either. An alias can be led to another key later; an id cannot.
        endpoint: URL of the service; empty for the public one of the region.
    """

    region: str
    name: str
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class ProviderUri:
    """A URI that was understood.

    Attributes:
        text: as it was written.
        scheme: which kind of provider.
        aws_key: what `awskms://` names; None for others.
    """

    text: str
    scheme: Scheme
    aws_key: AwsKey | None = None

    @classmethod
    def parse(cls, uri: str) -> ProviderUri:
        """Read the URI of a key provider.

        Raises:
            ConfigError: no provider is called so, or the rest does not fit it.
        """
        try:
            parts = urlsplit(uri if _CHARACTERS.fullmatch(uri) else "")  # it drops some characters silently
        except ValueError as error:
            raise ConfigError(f"key provider {uri!r:.200} is not a URI: {error}") from None
        match parts.scheme:
            case Scheme.CLUSTER if uri == "cluster://":
                return cls(uri, Scheme.CLUSTER)
            case Scheme.CLUSTER:
                raise ConfigError(f"key provider: expected cluster:// and nothing after it, got {uri!r:.200}")
            case Scheme.AWS_KMS:
                return cls(uri, Scheme.AWS_KMS, _aws_key(parts))
            case name if name in NOT_YET:
                raise ConfigError(f"key provider {name}:// is not supported yet", hint=_choices())
            case _:
                raise ConfigError(f"key provider: expected a URI of a known kind, got {uri!r:.200}", hint=_choices())


def _choices() -> str:
    return "use " + " or ".join(f"{scheme}://" for scheme in Scheme)


def _aws_key(parts: SplitResult) -> AwsKey:
    region, name = parts.netloc, parts.path.removeprefix("/")
    if not _REGION.fullmatch(region):
        raise ConfigError(f"awskms: expected a region as eu-central-1, got {region!r:.80}")
    if not _KEY_NAME.fullmatch(name):
        raise ConfigError(f"awskms: expected a key id, alias/name or ARN after the region, got {name!r:.200}")
    try:
        options = parse_qs(parts.query, keep_blank_values=True, strict_parsing=True) if parts.query else {}
    except ValueError:
        options = {parts.query: []}
    if parts.fragment or not set(options) <= {"endpoint"} or any(len(values) != 1 for values in options.values()):
        raise ConfigError(
            f"awskms: expected no option but one endpoint=URL, got {parts.query or parts.fragment!r:.200}"
        )
    return AwsKey(region, name, _endpoint(options["endpoint"][0]) if options else "")


def _endpoint(url: str) -> str:
    """Check the URL of a service that is told everything: nothing in clear, but to this very machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise ConfigError(f"awskms: endpoint {url!r:.200} is not a URL") from None
    if not host or parts.username or not (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))):
        raise ConfigError(f"awskms: expected an endpoint with https://, got {url!r:.200}")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
