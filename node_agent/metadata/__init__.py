# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the platform says a machine is to be (protocols, section 8). It steers, and decides nothing."""
