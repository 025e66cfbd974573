# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m node_agent`."""

from node_agent.main import main

if __name__ == "__main__":
    main()
