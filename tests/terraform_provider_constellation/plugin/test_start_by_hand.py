# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Who may start a provider, and what it says to others. One line goes to standard output, or none."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from terraform_provider_constellation.plugin.serving.handshake import COOKIE_NAME
from tests.terraform_provider_constellation.plugin.processes import environment, started
from tests.terraform_provider_constellation.plugin.tools import PROGRAM


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-c", PROGRAM, *arguments)
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_started_by_hand_it_says_what_it_is() -> None:
    done = run({name: value for name, value in environment().items() if name != COOKIE_NAME})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("terraform-provider-zoo is a plugin. Terraform and OpenTofu start it")
    assert "Traceback" not in done.stderr


def test_another_protocol_is_refused_by_us_and_by_terraform() -> None:
    done = run(environment(PLUGIN_PROTOCOL_VERSIONS="4,5"))
    assert done.returncode == 1
    assert done.stdout == "1|6|unix||grpc|\n"  # Terraform compares the second field, and says that it does not fit
    assert "speaks protocol 6, it was offered 4, 5" in done.stderr


@pytest.mark.parametrize("certificate", ["x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "ä"])
def test_a_client_certificate_that_is_none(certificate: str) -> None:
    done = run(environment(PLUGIN_CLIENT_CERT=certificate))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("PLUGIN_CLIENT_CERT: expected a certificate in PEM")


def test_one_line_and_nothing_else_on_standard_output() -> None:
    with started(environment()) as provider:
        assert provider.line.startswith("1|6|unix|/")
        assert provider.process.stderr is not None
        assert provider.process.stderr.readline() == "a stray line on standard output\n"
        provider.process.terminate()
        assert provider.process.communicate(timeout=30) == ("", "")
    assert provider.process.returncode == 0


def test_the_socket_is_in_a_folder_of_our_own_and_goes_with_us() -> None:
    with started(environment()) as provider:
        folder = os.path.dirname(provider.socket)  # noqa: PTH120 - to compare with what os gives
        assert os.stat(folder).st_mode & 0o777 == 0o700  # noqa: PTH116
        provider.process.terminate()
        provider.process.wait(timeout=30)
    assert not os.path.exists(folder)  # noqa: PTH110


def test_a_long_name_of_a_temporary_folder() -> None:
    with started(environment(TMPDIR="/tmp/" + "x" * 200)) as provider:
        assert provider.line.startswith("1|6|unix|/tmp/terraform-plugin-")


def test_debugging_says_how_to_attach() -> None:
    command = (sys.executable, "-c", PROGRAM, "--debug")
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
    assert line.startswith('TF_REATTACH_PROVIDERS=\'{"registry.terraform.io/example/zoo": ')
