# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.guest`: pin the newest Debian packages of the guest, and print which."""

from __future__ import annotations

import sys

from tests.guest.packages import write_lock

if __name__ == "__main__":
    for package in write_lock():
        sys.stdout.write(f"{package.title}\n")
