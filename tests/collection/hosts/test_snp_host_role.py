# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The role on a host without SEV-SNP says exactly what is missing, and leaves alone what nothing can help."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.constellation.core.plugins.module_utils.snp_host import certificate_files
from tests.collection.snp_host.described_hosts import CHIP, REPORTED_TCB

if TYPE_CHECKING:
    from tests.collection.hosts.bed import Host
    from tests.collection.playing import Player

GRUB = "/etc/default/grub.d/constellation-snp.cfg"
MODPROBE = "/etc/modprobe.d/constellation-snp.conf"
ROLE: dict[str, Any] = {"ansible.builtin.include_role": {"name": "constellation.core.snp_host"}}
PARAMETERS: dict[str, Any] = {
    "ansible.builtin.include_role": {"name": "constellation.core.snp_host", "tasks_from": "parameters"}
}
NO_PACKAGES = {"snp_host_install_packages": False}

pytestmark = pytest.mark.skipif(Path("/dev/sev").exists(), reason="this may be an SEV-SNP host")


@pytest.fixture
def grub(hypervisor: Host) -> Host:
    """A host with a boot loader that remembers that it was configured."""
    script = "mkdir -p /etc/default/grub.d; printf '#!/bin/sh\\necho made >>/run/grub\\n' >/usr/sbin/update-grub"
    hypervisor.run("sh", "-c", f"{script}; chmod +x /usr/sbin/update-grub; rm -f /run/grub {GRUB} {MODPROBE}")
    return hypervisor


def test_a_host_without_snp_is_told_what_is_missing(play: Player, inventory: Path) -> None:
    played = play(
        "constellation.core.snp_host", inventory=inventory, variables={**NO_PACKAGES, "ansible_become": False}
    )
    assert played.status == 2
    assert "This host cannot start SEV-SNP guests" in played.text
    assert "/dev/sev: expected a device that answers" in played.text
    assert played.changed == {"hypervisor-0": 0}


def test_it_goes_on_where_it_is_told_to(play: Player, inventory: Path) -> None:
    played = play([ROLE], inventory=inventory, variables={**NO_PACKAGES, "snp_host_required": False})
    assert played.status == 0
    assert "modprobe ccp" in played.text
    assert played.changed == {"hypervisor-0": 0}


@pytest.mark.slow
def test_parameters_are_set_once(play: Player, inventory: Path, grub: Host) -> None:
    first = play([PARAMETERS], inventory=inventory)
    assert first.status == 0, first.text
    assert first.changed == {"hypervisor-0": 2}
    assert "sev_snp=1" in grub.read(MODPROBE)
    assert grub.read("/run/grub") == "made\n"
    assert play([PARAMETERS], inventory=inventory).changed == {"hypervisor-0": 0}
    words = "GRUB_CMDLINE_LINUX='quiet iommu=pt kvm_amd.sev_snp=0 kvm-amd.sev=0 iommu=ptarmigan'"
    said = grub.run("sh", "-c", f'{words}; . {GRUB}; echo "$GRUB_CMDLINE_LINUX"').stdout
    assert said == "quiet iommu=ptarmigan iommu=nopt\n"


@pytest.mark.slow
def test_where_a_step_fails_the_host_is_as_it_was(play: Player, inventory: Path, grub: Host) -> None:
    grub.run("sh", "-c", f"echo before >{MODPROBE}; echo 'exit 1' >>/usr/sbin/update-grub")
    played = play([PARAMETERS], inventory=inventory)
    assert played.status == 2
    assert "the host is as it was" in played.text
    assert grub.read(MODPROBE) == "before\n"
    assert grub.run("test", "-e", GRUB).returncode == 1


def test_certificates_that_the_controller_keeps_come_to_the_host(
    play: Player, inventory: Path, hypervisor: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    cache = play.home / ".cache/constellation/certificates/hypervisor-0"
    cache.mkdir(parents=True)
    for name in certificate_files("Milan", REPORTED_TCB):
        (cache / name).write_text(name)
    host = {"product": "Milan", "chip_ids": [CHIP.hex()], "reported_tcb": REPORTED_TCB.hex()}
    fetch = {"ansible.builtin.include_role": {"name": "constellation.core.snp_host", "tasks_from": "certificates"}}
    variables = {"snp_host_before": host, "snp_host_kds": "http://127.0.0.1:1"}
    played = play([fetch], inventory=inventory, variables=variables)
    assert played.status == 0, played.text
    assert hypervisor.read("/var/lib/constellation/certificates/milan-chain.pem") == "milan-chain.pem"
