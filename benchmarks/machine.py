# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""On what the figures were measured: enough to judge them, nothing that names the machine."""

from __future__ import annotations

import platform
import re
from datetime import UTC, datetime
from pathlib import Path

import cryptography
from cryptography.hazmat.backends.openssl import backend


def describe(go_version: str | None) -> str:
    """One sentence: date, processor, kernel, and the versions of what computes."""
    openssl = " ".join(backend.openssl_version_text().split()[:2])
    versions = [
        f"Python {platform.python_version()}",
        f"cryptography {cryptography.__version__} ({openssl})",
        *([f"Go {go_version}"] if go_version is not None else []),
    ]
    today = datetime.now(UTC).date()
    return f"{today}, one core of {_processor()}, Linux {platform.release()}, {', '.join(versions)}"


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1].strip() if found else platform.machine()
