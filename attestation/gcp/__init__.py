# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Google Cloud: SEV-SNP beside a vTPM of the hypervisor, SEV-ES with that vTPM alone, TDX."""
