# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Two machines with a real TPM each, and what judges them."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from attestation.insecure import InsecureIssuer
from attestation.issuer import open_issuer
from attestation.policy import Policy
from attestation.testing.swtpm import running_swtpm
from attestation.variant import Variant
from constellation_core.channel.verifier import PolicyVerifier
from constellation_core.testing.devices import Machines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attestation.issuer import Issuer

# A TPM that just started, and measured nothing.
_FRESH = {str(register): {"expected": "00" * 32, "enforced": True} for register in (4, 9, 11)}


@pytest.fixture(scope="session")
def tpms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """Two machines with a real TPM (swtpm) each."""
    if shutil.which("swtpm") is None:
        pytest.skip("the program swtpm is not installed: apt-get install swtpm swtpm-tools")
    with ExitStack() as stack:
        server, client = (_machine(stack, tmp_path_factory.mktemp(name)) for name in ("server", "client"))
        policy = Policy.from_mapping({"variant": "qemu-vtpm", "measurements": _FRESH})
        yield Machines(server, client, PolicyVerifier(policies=[policy]))


def _machine(stack: ExitStack, directory: Path) -> Issuer:
    running = stack.enter_context(running_swtpm(directory, transport="unix", endorsed=False))
    return stack.enter_context(open_issuer(Variant.QEMU_VTPM, tpm=running.address))


@pytest.fixture(scope="session")
def plain() -> Machines:
    """Two machines whose evidence proves nothing, for tests of everything around it."""
    policy = Policy.from_mapping({"variant": "insecure"})
    return Machines(InsecureIssuer(), InsecureIssuer(), PolicyVerifier(policies=[policy]))
