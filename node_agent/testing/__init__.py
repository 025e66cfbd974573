# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A machine for tests: a real TPM and a real channel; disk, mesh, Kubernetes and power that one line breaks."""
