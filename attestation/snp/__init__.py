# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""AMD SEV-SNP: attestation reports, the keys that sign them, and AMD's chain above those keys."""
