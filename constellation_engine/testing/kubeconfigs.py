# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Kubeconfig files of users of a test's control plane."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from constellation_engine.testing.pki import MASTERS, Authority

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ADMINISTRATOR: Final = "kubernetes-admin"


@dataclass(frozen=True, slots=True)
class Kubeconfigs:
    """Writes kubeconfigs.

    Attributes:
        folder: where they are.
        url: of the API server.
        ca_file: certificate of the authority that certified it.
        authority: the one that certifies users.
    """

    folder: Path
    url: str
    ca_file: Path
    authority: Authority

    def with_certificate(self, user: str, groups: tuple[str, ...]) -> Path:
        """Give the kubeconfig of a user with a client certificate, made at the first call."""
        if user == ADMINISTRATOR:
            groups = (*groups, MASTERS)
        path = self._path(user, *groups)
        if not path.exists():
            stem = path.with_suffix("")
            self.authority.certify(stem, user, groups=groups)
            self._write(path, {"client-certificate": f"{stem}.crt", "client-key": f"{stem}.key"})
        return path

    def with_token(self, token: str) -> Path:
        """Give the kubeconfig of whoever a token is for."""
        path = self._path("token", token)
        self._write(path, {"token": token})
        return path

    def _path(self, *identity: str) -> Path:
        self.folder.mkdir(exist_ok=True)
        # Names of users and groups hold any character; names of files do not.
        return self.folder / f"{hashlib.sha256(repr(identity).encode()).hexdigest()[:16]}.conf"

    def _write(self, path: Path, user: Mapping[str, str]) -> None:
        record = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority": str(self.ca_file)}}],
            "users": [{"name": "test", "user": dict(user)}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(record), encoding="utf-8")
