# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The program: what it says to people, and what it does not load before Terraform has its answer."""

from __future__ import annotations

import subprocess
import sys

from terraform_provider_constellation.provider import Constellation

START = "from terraform_provider_constellation.main import main; main()"
LOADED = """
import sys
from terraform_provider_constellation import provider
provider.Constellation()
print(*sorted(name for name in sys.modules if name.partition(".")[0] in {unwanted}))
"""


def test_started_by_hand_it_says_what_it_is() -> None:
    done = subprocess.run((sys.executable, "-c", START), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("terraform-provider-constellation is a plugin.")
    assert "Traceback" not in done.stderr


def test_the_provider_wants_no_configuration() -> None:
    assert not Constellation().schema.attributes


def test_the_engine_is_loaded_by_whoever_needs_it() -> None:
    unwanted = {"constellation_engine", "constellation_proto", "lightkube", "yaml", "bcrypt"}
    code = LOADED.format(unwanted=unwanted)
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
