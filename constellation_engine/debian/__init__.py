# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Debian packages: pinned by hash, fetched from any mirror, unpacked without root."""
