# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""AWS: SEV-SNP instances, and instances with a NitroTPM only.

`cbor` and `document` parse the Nitro system's attestation document, `verify` decides whether it is genuine,
`validator` judges evidence, `issuer` collects it.
"""
