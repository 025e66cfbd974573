# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Key material is read from a folder or a message, and fits together or is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from constellation_core.errors import ConfigError
from constellation_core.keys.cluster import ClusterKeyProvider
from constellation_core.keys.derivation import derive
from constellation_core.keys.key_material import KeyMaterial
from constellation_core.keys.master_secret import MasterSecret
from constellation_core.keys.opening import open_provider
from constellation_core.keys.secret import Secret
from constellation_core.keys.uri import ProviderUri

if TYPE_CHECKING:
    from pathlib import Path

MASTER = MasterSecret(Secret(bytes(range(32))), bytes(range(32, 64)))
MATERIAL = KeyMaterial.of(MASTER)
KMS = ProviderUri.parse("awskms://eu-central-1/alias/x")


def folder_with(folder: Path, **files: bytes) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_it_is_read_from_a_mounted_secret(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, uri=b"cluster://", secret=MASTER.secret.reveal(), salt=MASTER.salt)
    assert KeyMaterial.read(folder) == MATERIAL


@pytest.mark.parametrize("files", [{}, {"secret": b""}])
def test_a_provider_outside_needs_no_secret(tmp_path: Path, files: dict[str, bytes]) -> None:
    folder = folder_with(tmp_path, uri=KMS.text.encode(), salt=MASTER.salt, **files)
    assert KeyMaterial.read(folder) == KeyMaterial(KMS, MASTER.salt)


@pytest.mark.parametrize("missing", ["uri", "salt", "secret"])
def test_a_missing_file_is_an_error(tmp_path: Path, missing: str) -> None:
    folder = folder_with(tmp_path, uri=b"cluster://", secret=MASTER.secret.reveal(), salt=MASTER.salt)
    (folder / missing).unlink()
    with pytest.raises(ConfigError, match="key material"):
        KeyMaterial.read(folder)


@pytest.mark.parametrize(
    "name, content",
    [
        ("uri", b"cluster://\n"),
        ("uri", b"vault://x"),
        ("uri", b"\xff"),
        ("uri", b"x" * 100_000),
        ("secret", bytes(31)),
        ("secret", bytes(33)),
        ("secret", b""),
        ("salt", b""),
        ("salt", bytes(64)),
    ],
)
def test_a_wrong_file_is_an_error(tmp_path: Path, name: str, content: bytes) -> None:
    files = {"uri": b"cluster://", "secret": MASTER.secret.reveal(), "salt": MASTER.salt, name: content}
    with pytest.raises(ConfigError):
        KeyMaterial.read(folder_with(tmp_path, **files))


@pytest.mark.parametrize("material", [MATERIAL, KeyMaterial(KMS, MASTER.salt)])
def test_a_message_brings_it_as_it_was(material: KeyMaterial) -> None:
    assert KeyMaterial.from_message(material.to_message()) == material


@pytest.mark.parametrize("field, content", [("uri", "x"), ("secret", b"short"), ("salt", b""), ("secret", b"")])
def test_a_message_that_does_not_fit_together_is_refused(field: str, content: object) -> None:
    message = MATERIAL.to_message()
    setattr(message, field, content)
    with pytest.raises(ConfigError):
        KeyMaterial.from_message(message)


def test_a_provider_outside_takes_no_secret() -> None:
    with pytest.raises(ConfigError, match="takes a secret of 0 bytes, got 32"):
        KeyMaterial(KMS, MASTER.salt, MASTER.secret)


def test_it_does_not_show_the_secret() -> None:
    assert "secret=<secret>" in repr(MATERIAL)


async def test_the_cluster_is_opened() -> None:
    async with open_provider(MATERIAL) as provider:
        assert isinstance(provider, ClusterKeyProvider)
        assert await provider.data_key("s3proxy/kek", 32) == derive(MASTER.secret, MASTER.salt, "s3proxy/kek")
