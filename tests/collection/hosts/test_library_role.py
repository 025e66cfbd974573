# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The library comes to a host without any network, whole or not at all, and once."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collection.hosts.bed import Host
    from tests.collection.playing import Player

ROLE: dict[str, Any] = {"ansible.builtin.include_role": {"name": "constellation.core.library"}}
PLACE = "/opt/constellation/library"


def write_wheels(folder: Path, version: str, *, broken: bool = False) -> dict[str, str]:
    """Write a folder with one wheel, which stands for the library, and its requirements; give the role's variables."""
    folder.mkdir()
    wheel = folder / f"constellation_kubernetes-{version}-py3-none-any.whl"
    about = f"constellation_kubernetes-{version}.dist-info"
    files = {
        "constellation_engine/__init__.py": "",
        "constellation_engine/errors.py": f"VERSION = {version!r}\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: constellation-kubernetes\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        records = [f"{name},sha256={_record_hash(text)},{len(text)}" for name, text in files.items()]
        archive.writestr(f"{about}/RECORD", "\n".join([*records, f"{about}/RECORD,,"]) + "\n")
    digest = hashlib.sha256(b"another" if broken else wheel.read_bytes()).hexdigest()
    requirements = folder / "requirements.txt"
    requirements.write_text(
        f"# locked\nconstellation-kubernetes=={version} \\\n    --hash=sha256:{digest}\n    # via -r\n"
    )
    return {"library_requirements": str(requirements), "library_wheels": str(folder)}


def _record_hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def version(host: Host) -> str:
    program = "from constellation_engine.errors import VERSION; print(VERSION)"
    return host.run(f"{PLACE}/bin/python", "-c", program).stdout.strip()


@pytest.mark.slow
def test_it_comes_once_and_a_failure_leaves_the_one_before(
    play: Player, inventory: Path, hypervisor: Host, tmp_path: Path
) -> None:
    wanted = write_wheels(tmp_path / "first", "1.0")
    predicted = play([ROLE], inventory=inventory, variables=wanted, check=True)
    assert predicted.status == 0, predicted.text
    first = play([ROLE], inventory=inventory, variables=wanted)
    assert first.status == 0, first.text
    assert version(hypervisor) == "1.0"
    assert play([ROLE], inventory=inventory, variables=wanted).changed == {"hypervisor-0": 0}
    broken = play([ROLE], inventory=inventory, variables=write_wheels(tmp_path / "broken", "2.0", broken=True))
    assert broken.status == 2
    assert "the host is as it was" in broken.text
    assert version(hypervisor) == "1.0"
    assert len(hypervisor.run("sh", "-c", f"ls -d {PLACE}.*").stdout.split()) == 1


@pytest.mark.parametrize(
    "variables, said",
    [
        ({"library_requirements": "/nowhere"}, "Option library_requirements: expected a file on the controller"),
        ({}, "library_requirements"),
        ({"library_requirements": "{unpinned}"}, "these are not: requests"),
        (
            {"library_requirements": "{pinned}", "library_python": "/bin/false"},
            "Option library_python: expected Python",
        ),
    ],
)
def test_what_is_wrong_with_variables_is_named(
    variables: dict[str, str], said: str, play: Player, inventory: Path, tmp_path: Path
) -> None:
    unpinned, pinned = tmp_path / "unpinned.txt", tmp_path / "pinned.txt"
    unpinned.write_text("requests>=2\n")
    pinned.write_text(f"requests==2.0 --hash=sha256:{'ab' * 32}\n")
    given = {name: value.format(unpinned=unpinned, pinned=pinned) for name, value in variables.items()}
    played = play([ROLE], inventory=inventory, variables=given)
    assert played.status == 2
    assert said in " ".join(played.text.split())
    assert played.changed == {"hypervisor-0": 0}
