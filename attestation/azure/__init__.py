# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Azure: confidential VMs with a paravisor (SEV-SNP, TDX), and trusted launch.

The paravisor ("HCL") runs beneath the guest, holds its vTPM, and puts the key of that vTPM into the hardware's report.
`hcl` and `runtime_data` parse what it hands out, `validator` judges, `issuer` collects.
"""
