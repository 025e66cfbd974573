# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What runs in every node: one program, one state machine (so far: how a node asks to join)."""
