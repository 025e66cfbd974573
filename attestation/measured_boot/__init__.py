# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Measured boot: predict the registers of a TPM from the file that will be booted.

`pe` reads the executable, `stub` knows what each release of systemd-stub measures, `uki` puts both together, `predict`
computes the registers. After the TCG PC Client Platform Firmware Profile, the UAPI specification of unified kernel
images, and the sources of systemd-stub, EDK II and Linux; compared with real boots.
"""
