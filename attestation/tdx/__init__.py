# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Intel TDX: quotes of trust domains (TDs), the keys that sign them, and Intel's chain above those keys."""
