# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Own servers and OpenStack: a vTPM of the hypervisor, SEV-SNP or TDX with nothing of a cloud in between."""
