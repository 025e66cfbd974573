# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`sbom.spdx.json`: what an image is made of, in a form that scanners read: SPDX 2.3, as JSON.

The document follows from `packages.json` alone: times are those of the sources, identifiers are hashes. The same image
gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from attestation.errors import MalformedError
from constellation_engine.node_image.build_record import write_time
from constellation_engine.node_image.long_records import load_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from constellation_core.component_list import Component
    from constellation_engine.node_image.build_record import BuildRecord
    from constellation_engine.node_image.packages import (
        ContainerImage,
        DebianPackage,
        PackageManifest,
        PythonPackage,
    )

SPDX_VERSION: Final = "SPDX-2.3"
MAX_SIZE: Final = 16 * 1024 * 1024  # bytes
_NAMESPACE: Final = "https://constellation.invalid/spdx"  # a name, not a place: RFC 6761 § 6.4
_DOCUMENT: Final = "SPDXRef-DOCUMENT"
_IMAGE: Final = "SPDXRef-image"
_NOT_IN_AN_ID: Final = re.compile(r"[^A-Za-z0-9.-]")
_UNKNOWN: Final = "NOASSERTION"


def write_sbom(packages: PackageManifest, build: BuildRecord) -> bytes:
    """Write the document.

    Args:
        packages: what the image is made of.
        build: what the image is.
    """
    contents = [
        *(_debian(package, packages.release) for package in packages.debian),
        *map(_python, packages.python),
        *map(_component, packages.components),
        *map(_container, packages.containers),
    ]
    tools = [_debian(package, packages.release, prefix="tool") for package in packages.tools]
    digest = hashlib.sha256(packages.to_document() + build.to_document()).hexdigest()
    image = _package("image", build.name, build.version, purpose="OPERATING-SYSTEM")
    image["comment"] = f"node image for {build.variant}, profile {build.profile}, Kubernetes {build.kubernetes}"
    record = {
        "spdxVersion": SPDX_VERSION,
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": f"{build.name}-{build.version}-{build.variant}",
        "documentNamespace": f"{_NAMESPACE}/{build.name}/{digest}",
        "creationInfo": {
            "created": write_time(packages.source_date),
            "creators": ["Tool: constellation", "Organization: The Constellation authors"],
        },
        "packages": [image, *contents, *tools],
        "relationships": list(_relationships(contents, tools)),
    }
    return json.dumps(record, indent=1).encode("ascii") + b"\n"


def read_sbom(document: bytes) -> int:
    """See that a document is such a one; give the number of packages that it describes.

    Raises:
        MalformedError: it is none.
    """
    record = load_record(document, "SBOM", max_size=MAX_SIZE)
    if record.get("spdxVersion") != SPDX_VERSION or not isinstance(record.get("packages"), list):
        raise MalformedError(f"SBOM: expected {SPDX_VERSION} with packages, got {record.get('spdxVersion')!r:.40}")
    return len(record["packages"])


def _relationships(contents: Iterable[dict[str, Any]], tools: Iterable[dict[str, Any]]) -> Iterator[dict[str, str]]:
    yield _relation(_DOCUMENT, "DESCRIBES", _IMAGE)
    for package in contents:
        yield _relation(_IMAGE, "CONTAINS", package["SPDXID"])
    for package in tools:
        yield _relation(package["SPDXID"], "BUILD_TOOL_OF", _IMAGE)


def _relation(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def _package(
    kind: str, name: str, version: str, *, sha256: str = "", purl: str = "", purpose: str = ""
) -> dict[str, Any]:
    """Give a package as SPDX has it; nobody looked into its files or its licences here."""
    record: dict[str, Any] = {
        "SPDXID": _IMAGE if kind == "image" else _identifier(kind, name, version, sha256),
        "name": name,
        "versionInfo": version,
        "downloadLocation": _UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": _UNKNOWN,
        "licenseDeclared": _UNKNOWN,
        "copyrightText": _UNKNOWN,
    }
    if purpose:
        record["primaryPackagePurpose"] = purpose
    if sha256:
        record["checksums"] = [{"algorithm": "SHA256", "checksumValue": sha256}]
    if purl:
        reference = {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}
        record["externalRefs"] = [reference]
    return record


def _identifier(kind: str, name: str, *rest: str) -> str:
    # A hash tells names apart that only differ in characters which identifiers do not have.
    short = hashlib.sha256("\0".join((name, *rest)).encode()).hexdigest()[:8]
    return f"SPDXRef-{kind}-{_NOT_IN_AN_ID.sub('-', name)}-{short}"


def _debian(package: DebianPackage, release: str, *, prefix: str = "deb") -> dict[str, Any]:
    purl = f"pkg:deb/debian/{quote(package.name)}@{quote(package.version)}?arch={package.architecture}&distro={release}"
    record = _package(prefix, package.name, package.version, sha256=package.sha256, purl=purl)
    record["supplier"] = "Organization: Debian"
    record["sourceInfo"] = f"built from {package.source} {package.source_version}"
    return record


def _python(package: PythonPackage) -> dict[str, Any]:
    name = re.sub(r"[-_.]+", "-", package.name).lower()
    purl = f"pkg:pypi/{quote(name)}@{quote(package.version)}"
    return _package("pypi", package.name, package.version, sha256=package.sha256, purl=purl)


def _component(component: Component) -> dict[str, Any]:
    return _package("component", component.name, component.version, sha256=component.sha256, purpose="APPLICATION")


def _container(image: ContainerImage) -> dict[str, Any]:
    repository = image.name.rpartition("/")[2].lower()
    purl = f"pkg:oci/{quote(repository)}@{quote(image.digest, safe='')}?repository_url={quote(image.name, safe='')}"
    sha256 = image.digest.removeprefix("sha256:")
    return _package("container", image.name, image.digest, sha256=sha256, purl=purl, purpose="CONTAINER")
