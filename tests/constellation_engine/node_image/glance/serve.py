# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Serve the real image service of OpenStack to everybody on the loopback, as an administrator: tests start this.

Keystone is left out: what it would say of who asks is said here. Run by the interpreter that has Glance, in the folder
with its configuration: `python serve.py PORT`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ADMINISTRATOR = {
    "HTTP_X_IDENTITY_STATUS": "Confirmed",
    "HTTP_X_USER_ID": "user",
    "HTTP_X_PROJECT_ID": "project",
    "HTTP_X_ROLES": "admin,member,reader",
}


def main() -> None:
    """Serve until somebody ends it."""
    os.environ["OS_GLANCE_CONFIG_DIR"] = str(Path.cwd())
    port, sys.argv[1:] = sys.argv[1], []
    import waitress  # type: ignore[import-untyped] # noqa: PLC0415 - configured before
    from glance.wsgi.api import application  # type: ignore[import-not-found] # noqa: PLC0415 - the same

    def as_administrator(environment: dict[str, Any], start: Callable[..., object]) -> object:
        return application({**environment, **ADMINISTRATOR}, start)

    waitress.serve(as_administrator, host="127.0.0.1", port=int(port), max_request_body_size=1 << 40)


if __name__ == "__main__":
    main()
