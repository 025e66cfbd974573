# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Commands about the nodes of a cluster: who waits for a decision, who is who, and whom to forget."""
