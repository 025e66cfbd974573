# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Shipped fakes: peers and devices made of software, in which one line breaks one property."""
