# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`packages.json`, where it comes from, and the SBOM that follows from it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedError
from constellation_engine.errors import DamagedPackageError, NodeImageError
from constellation_engine.node_image.installed import (
    InstalledPackage,
    describe,
    from_dpkg_status,
    from_mkosi_manifest,
    read_control,
)
from constellation_engine.node_image.packages import ContainerImage, DebianPackage, PackageManifest
from constellation_engine.node_image.sbom import read_sbom, write_sbom
from constellation_engine.testing.debian_packages import build_deb, write_deb
from constellation_engine.testing.node_images import BUILD, PACKAGES

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = PACKAGES.to_document()
STATUS = """\
Package: zlib1g
Status: install ok installed
Architecture: amd64
Source: zlib (1:1.3)
Version: 1:1.3+b1
Description: compression
 library: of long
 .
 standing

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: adduser
Status: install ok installed
Architecture: all
Version: 3.1
"""


def changed(**fields: object) -> bytes:
    return json.dumps({**json.loads(DOCUMENT), **fields}).encode()


class TestManifest:
    def test_it_is_read_back(self) -> None:
        assert PackageManifest.from_document(DOCUMENT) == PACKAGES

    def test_order_does_not_matter(self) -> None:
        assert replace(PACKAGES, debian=PACKAGES.debian[::-1]).to_document() == DOCUMENT

    @pytest.mark.parametrize("field", json.loads(DOCUMENT))
    def test_a_missing_field_is_named(self, field: str) -> None:
        record = json.loads(DOCUMENT)
        del record[field]
        with pytest.raises(MalformedError, match=field):
            PackageManifest.from_document(json.dumps(record).encode())

    @pytest.mark.parametrize(
        "fields, words",
        [
            ({"version": 2}, "expected 1, got 2"),
            ({"surprise": 1}, "unknown field 'surprise'"),
            ({"debian": [{}]}, "Debian package lacks name"),
            ({"debian": [{**PACKAGES.debian[0].to_record(), "sha256": "00"}]}, "sha256: expected 64 digits"),
            ({"debian": [PACKAGES.debian[0].to_record()] * 2}, "debian: libc6 is there twice"),
            ({"tools": [{**PACKAGES.debian[0].to_record(), "name": "../x"}]}, "expected the name of a package"),
            ({"python": [{"name": "x"}]}, "Python package lacks version"),
            ({"containers": [{"name": "pause", "digest": "latest"}]}, "digest: expected sha256:"),
            ({"components": "all"}, "components: expected a list"),
            ({"source_date": "yesterday"}, "expected a time in UTC"),
        ],
    )
    def test_a_wrong_field_is_named(self, fields: dict[str, Any], words: str) -> None:
        with pytest.raises(MalformedError, match=words):
            PackageManifest.from_document(changed(**fields))

    def test_the_same_version_twice_is_refused_whatever_its_hash(self) -> None:
        other = replace(PACKAGES.debian[0], sha256="00" * 32)
        with pytest.raises(MalformedError, match="libc6 is there twice"):
            replace(PACKAGES, debian=(*PACKAGES.debian, other))

    def test_an_image_may_be_there_in_two_versions(self) -> None:
        other = ContainerImage(PACKAGES.containers[0].name, f"sha256:{'00' * 32}")
        assert len(replace(PACKAGES, containers=(*PACKAGES.containers, other)).containers) == 2

    @given(st.binary(max_size=200) | st.integers(0, len(DOCUMENT)).map(lambda size: DOCUMENT[:size]))
    def test_any_bytes_are_a_manifest_or_refused(self, document: bytes) -> None:
        with suppress(MalformedError):
            PackageManifest.from_document(document)

    def test_too_deep_a_document_is_refused(self) -> None:
        with pytest.raises(MalformedError, match="is not JSON"):
            PackageManifest.from_document(b'{"version": ' + b"[" * 100_000)


class TestWhereItComesFrom:
    def test_dpkg_lists_what_is_installed(self, tmp_path: Path) -> None:
        (tmp_path / "var/lib/dpkg").mkdir(parents=True)
        (tmp_path / "var/lib/dpkg/status").write_text(STATUS)
        assert from_dpkg_status(tmp_path) == (
            InstalledPackage("adduser", "3.1", "all"),
            InstalledPackage("zlib1g", "1:1.3+b1", "amd64"),
        )

    def test_a_tree_without_a_list_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(NodeImageError, match="var/lib/dpkg/status cannot be read"):
            from_dpkg_status(tmp_path)

    def test_a_list_without_versions_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "var/lib/dpkg").mkdir(parents=True)
        (tmp_path / "var/lib/dpkg/status").write_text(STATUS.replace("Version: 3.1\n", ""))
        with pytest.raises(MalformedError, match="lacks 'Version': adduser"):
            from_dpkg_status(tmp_path)

    def test_mkosi_lists_what_it_installed(self) -> None:
        entry = {"type": "deb", "name": "adduser", "version": "3.1", "architecture": "all"}
        document = json.dumps({"manifest_version": 1, "packages": [entry, {**entry, "type": "rpm"}, entry]}).encode()
        assert from_mkosi_manifest(document) == (InstalledPackage("adduser", "3.1", "all"),)

    @pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"packages": [1]}', b'{"packages": [{"type": "deb"}]}'])
    def test_another_manifest_is_told(self, document: bytes) -> None:
        with pytest.raises(MalformedError, match="expected a manifest of mkosi"):
            from_mkosi_manifest(document)

    def test_hashes_and_sources_come_from_the_files(self, tmp_path: Path) -> None:
        packages = (
            write_deb(tmp_path / "cache/archives", "zlib1g", "1:1.3+b1", source="zlib (1:1.3)"),
            write_deb(tmp_path / "other", "adduser", "3.1", "all"),
        )
        wanted = [InstalledPackage(one.name, one.version, one.architecture) for one in packages]
        assert describe(wanted, [tmp_path / "cache", tmp_path / "other"]) == packages

    def test_a_file_may_have_the_name_of_an_archive(self, tmp_path: Path) -> None:
        package = write_deb(tmp_path, "zlib1g", "1:1.3", source="zlib")
        (tmp_path / "zlib1g_1%3a1.3_amd64.deb").rename(tmp_path / package.file_name)
        assert describe([InstalledPackage("zlib1g", "1:1.3", "amd64")], [tmp_path])[0].sha256 == package.sha256

    def test_missing_files_are_all_named(self, tmp_path: Path) -> None:
        wanted = [InstalledPackage("one", "1", "all"), InstalledPackage("two", "2", "all")]
        with pytest.raises(NodeImageError, match=r"2 are missing: one 1 \(all\), two 2 \(all\)"):
            describe(wanted, [tmp_path])

    def test_a_file_that_is_another_package_is_refused(self, tmp_path: Path) -> None:
        write_deb(tmp_path, "one", "1")
        (tmp_path / "one_1_amd64.deb").rename(tmp_path / "two_1_amd64.deb")
        with pytest.raises(DamagedPackageError, match=r"expected two 1 \(amd64\), got one 1 \(amd64\)"):
            describe([InstalledPackage("two", "1", "amd64")], [tmp_path])

    @given(st.data())
    def test_a_damaged_package_is_refused(self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
        file = tmp_path_factory.getbasetemp() / "damaged.deb"
        package = build_deb("Package: x\n")
        place = data.draw(st.integers(0, len(package) - 1))
        file.write_bytes(package[:place] + data.draw(st.binary(max_size=8)))
        with suppress(DamagedPackageError):
            read_control(file)


class TestSbom:
    SBOM = write_sbom(PACKAGES, BUILD)

    def test_the_same_packages_give_the_same_bytes(self) -> None:
        assert write_sbom(PACKAGES, BUILD) == self.SBOM
        assert json.loads(self.SBOM)["creationInfo"]["created"] == "2026-11-21T12:00:00Z"

    def test_every_part_is_described_once(self) -> None:
        record = json.loads(self.SBOM)
        names = sorted(package["name"] for package in record["packages"])
        assert names == sorted(
            ["constellation-node", "libc6", "zlib1g", "mkosi", "grpclib", "kubelet", "registry.k8s.io/pause"]
        )
        assert read_sbom(self.SBOM) == len(names)

    def test_relationships_name_what_is_there(self) -> None:
        record = json.loads(self.SBOM)
        there = {package["SPDXID"] for package in record["packages"]} | {"SPDXRef-DOCUMENT"}
        assert len(there) == len(record["packages"]) + 1
        ends = {one[end] for one in record["relationships"] for end in ("spdxElementId", "relatedSpdxElement")}
        assert ends == there

    def test_what_built_the_image_is_not_in_it(self) -> None:
        record = json.loads(self.SBOM)
        tool = next(package["SPDXID"] for package in record["packages"] if package["name"] == "mkosi")
        kinds = [one["relationshipType"] for one in record["relationships"] if tool in one.values()]
        assert kinds == ["BUILD_TOOL_OF"]

    def test_packages_have_a_name_that_scanners_know(self) -> None:
        package = next(one for one in json.loads(self.SBOM)["packages"] if one["name"] == "zlib1g")
        assert package["externalRefs"][0]["referenceLocator"] == (
            "pkg:deb/debian/zlib1g@1%3A1.3.dfsg%2Breally1.3.1-1%2Bb1?arch=amd64&distro=trixie"
        )
        assert package["checksums"] == [{"algorithm": "SHA256", "checksumValue": "21" * 32}]
        assert package["sourceInfo"] == "built from zlib 1:1.3.dfsg+really1.3.1-1"

    def test_names_that_look_alike_have_identifiers_of_their_own(self) -> None:
        alike = tuple(DebianPackage(name, "1", "all", "00" * 32, "x", "1") for name in ("g++", "g--", "g+-"))
        record = json.loads(write_sbom(replace(PACKAGES, debian=alike), BUILD))
        identifiers = [package["SPDXID"] for package in record["packages"]]
        assert len(set(identifiers)) == len(identifiers)

    @pytest.mark.parametrize(
        "document", [b"", b"[]", b"{}", b'{"spdxVersion": "SPDX-2.3"}', b'{"spdxVersion": "SPDX-3.0"}']
    )
    def test_something_else_is_refused(self, document: bytes) -> None:
        with pytest.raises(MalformedError):
            read_sbom(document)
