# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The machine that other tests run in is what they think it is."""

from __future__ import annotations

import os
import platform
import subprocess

import pytest

pytestmark = pytest.mark.guest


def test_the_kernel_is_that_of_nodes() -> None:
    assert platform.release().endswith("-cloud-amd64")


@pytest.mark.parametrize("module", ["dm-crypt", "dm-integrity", "wireguard", "nf_tables", "ext4", "veth", "bridge"])
def test_the_kernel_has(module: str) -> None:
    subprocess.run(["modprobe", module], check=True)


def test_the_interpreter_is_that_of_nodes() -> None:
    assert platform.python_version().startswith("3.13.")


def test_a_test_is_root() -> None:
    assert os.geteuid() == 0
