# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Keys of a cluster: secrets in memory, derivation, and where keys come from."""
