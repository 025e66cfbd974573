# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Objects that data sources give and resources take: an image, and what is acceptable."""
