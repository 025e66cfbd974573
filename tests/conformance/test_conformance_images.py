# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Images of the conformance tests run in a real containerd, with every program that tests start in them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from constellation_engine.components import Origin, Store
from constellation_engine.container_images.given_images import take_images
from constellation_engine.container_images.store import DESCRIPTION
from tests.conformance.images import AGNHOST, BUSYBOX, GLIBC_DNS, conformance_images
from tests.constellation_engine.container_images.daemon import Daemon, prepared_containerd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),  # agnhost may have to be built first
    pytest.mark.skipif(os.geteuid() != 0, reason="only root runs containers"),
    pytest.mark.skipif(shutil.which("runc") is None, reason="no runc here"),
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt here to ask for a mirror of Debian"),
]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Daemon]:
    """A containerd that has them, as a node does."""
    folder = tmp_path_factory.mktemp("images")
    given = take_images(map(str, conformance_images()), folder)
    program = Store().fetch(["containerd-store"], only=Origin.BUILD)["containerd-store"]
    subprocess.run([program, folder / "store", *(image.layout for image in given)], check=True, timeout=300)
    (folder / "store" / DESCRIPTION).write_text("images of the conformance tests")
    with prepared_containerd(folder / "store", repository) as prepared, prepared.running():
        yield prepared


@pytest.mark.parametrize(
    "image, command, said",
    [
        (AGNHOST, "/agnhost --version", "version 2.63.0"),
        (AGNHOST, "/agnhost-2 entrypoint-tester a b", "[/agnhost-2 entrypoint-tester a b]"),
        (AGNHOST, "sh -c 'echo $((6*7)) && ls -d /uploads'", "42\n/uploads"),
        (AGNHOST, "sh -c 'dig -v 2>&1'", "DiG 9."),
        (AGNHOST, "curl --version", "curl 8."),
        (AGNHOST, "sh -c 'nc -h 2>&1'", "OpenBSD netcat"),
        (AGNHOST, "sh -c 'echo hostName | nc -v -t -w 2 127.0.0.1 1 2>&1 || true'", "Connection refused"),
        (AGNHOST, "getent passwd user-defined-in-image", "x:1000:1000:"),
        (GLIBC_DNS, "sh -c 'echo 10.0.0.1 there > /etc/hosts; getent hosts there'", "10.0.0.1"),
        (GLIBC_DNS, "sh -c 'dig -v 2>&1; for i in `seq 1 2`; do hostname; done'", "DiG 9."),
        (BUSYBOX, "sh -c 'id -u; stat -c %a /tmp; cat /proc/mounts; wget --help 2>&1'", "BusyBox v1.37"),
    ],
)
def test_programs_run(daemon: Daemon, image: str, command: str, said: str) -> None:
    name = f"conformance-{os.getpid()}"
    assert said in daemon.ctr("run", "--rm", image, name, *shlex.split(command))


def test_the_shell_hands_on_every_variable(daemon: Daemon) -> None:
    name = f"conformance-{os.getpid()}"
    assert "data-1=x" in daemon.ctr("run", "--rm", "--env", "data-1=x", BUSYBOX, name, "sh", "-c", "env")
