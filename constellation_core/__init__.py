# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What several programs of Constellation share: the attested channel, keys, formats, named conditions."""
