# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m constellation_cli`."""

from constellation_cli.main import main

main()
