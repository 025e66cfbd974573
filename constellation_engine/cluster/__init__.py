# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A cluster from its administrator's side: what is put into it, and how it is verified."""
