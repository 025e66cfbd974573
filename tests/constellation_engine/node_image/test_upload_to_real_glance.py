# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The real image service of OpenStack, from PyPI, takes our images."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import openstack
import pytest

from attestation.variant import Variant
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.node_image.upload.openstack import PROPERTIES, OpenStackUploader
from constellation_engine.node_image.upload.uploader import say_nothing
from constellation_engine.testing.node_images import BUILD, FakeImage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openstack.connection import Connection

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
]

FILES = Path(__file__).parent / "glance"
PACKAGES = ("glance==33.*", "waitress==3.*")


def run(*command: object, folder: Path) -> None:
    subprocess.run([str(word) for word in command], cwd=folder, check=True, capture_output=True, timeout=300)


@pytest.fixture(scope="module")
def glance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Glance installed and configured."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("no uv here, which installs Glance")
    folder = tmp_path_factory.mktemp("glance")
    run(uv, "venv", "--quiet", "--python", sys.executable, "venv", folder=folder)
    try:
        run(uv, "pip", "install", "--quiet", "--python", "venv/bin/python", *PACKAGES, folder=folder)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"Glance cannot be installed: {error.stderr.decode()[-200:]}")
    for file in FILES.iterdir():
        if file.is_file():
            (folder / file.name).write_text(file.read_text().replace("FOLDER", str(folder)))
    for name in ("images", "staging", "tasks"):
        (folder / name).mkdir()
    run("venv/bin/glance-manage", "--config-file", "glance-api.conf", "db_sync", folder=folder)
    return folder


@pytest.fixture
def connection(glance: Path) -> Iterator[Connection]:
    """A connection to the running service."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["venv/bin/python", "serve.py", str(port)]
    with (glance / "log").open("ab") as log, subprocess.Popen(command, cwd=glance, stdout=log, stderr=log) as service:
        try:
            _wait_for(port, service, glance / "log")
            yield openstack.connect(auth_type="none", endpoint=f"http://127.0.0.1:{port}")
        finally:
            service.terminate()


def _wait_for(port: int, service: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and service.poll() is None:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"Glance does not start:\n{log.read_text()[-2000:]}")


def test_an_image_is_stored_and_found_again(connection: Connection, glance: Path, tmp_path: Path) -> None:
    build = replace(BUILD, variant=Variant.OPENSTACK_VTPM, target="openstack-vtpm")
    image = FakeImage(build=build).write(tmp_path / "image")
    uploader = OpenStackUploader(connect=lambda _cloud: connection)
    place = uploader.upload(image, report=say_nothing)
    stored = connection.image.get_image(place.location)
    assert (stored.status, stored.size, stored.visibility) == ("active", place.size, "private")
    assert stored.hash_value == hashlib.sha512(image.read(ImageFile.DISK)).hexdigest()
    assert connection.image.get(f"/images/{place.location}").json().items() >= PROPERTIES.items()
    assert (glance / "images" / place.location).read_bytes() == image.read(ImageFile.DISK)
    assert uploader.upload(image, report=say_nothing) == place
    assert len(list((glance / "images").iterdir())) == 1
