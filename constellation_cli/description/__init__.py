# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Files in words: one module for each technology, each function from bytes to a plain record of named fields."""
