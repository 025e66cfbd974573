# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""OpenTofu, built from its Go module once for every machine (some minutes), and kept outside the repository."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from pathlib import Path

MODULES = Path(__file__).parents[1] / "opentofu"


def built() -> Path:
    """The program; several test runs at once build it once."""
    pins = b"".join((MODULES / name).read_bytes() for name in ("go.mod", "go.sum"))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "constellation" / "opentofu"
    program = cache / hashlib.sha256(pins).hexdigest()[:16] / "tofu"
    program.parent.mkdir(parents=True, exist_ok=True)
    with (program.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _build(program)
    return program


def _build(program: Path) -> None:
    fresh = program.with_suffix(".new")
    options = ("-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", str(fresh))
    environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    command = ("nice", "go", "build", *options, "github.com/opentofu/opentofu/cmd/tofu")
    subprocess.run(command, cwd=MODULES, env=environment, check=True)
    fresh.rename(program)
