# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""TPM 2.0: read and verify quotes, and speak to the device that makes them.

`quote`, `public`, `signature` parse; `verify` decides what is genuine; `client` speaks to a device; `issuer` produces
evidence; `event_log` and `replay` explain registers. After "Trusted Platform Module 2.0 Library", revision 1.59.
"""
