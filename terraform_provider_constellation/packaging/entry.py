# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Where the packed provider begins. Not imported: PyInstaller reads it."""

import os

from terraform_provider_constellation.main import main

_VARIABLE = "LD_LIBRARY_PATH"
_BEFORE = "LD_LIBRARY_PATH_ORIG"  # PyInstaller keeps it here

# Programs that the provider starts (QEMU, Go) want the system's libraries, and not the ones that lie beside us.
os.environ.pop(_VARIABLE, None)
if _BEFORE in os.environ:
    os.environ[_VARIABLE] = os.environ.pop(_BEFORE)

main()
