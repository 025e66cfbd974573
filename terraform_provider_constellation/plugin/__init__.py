# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A framework for Terraform providers in Python: protocol 6.11. It knows nothing of what is provided.

    api.py       what a provider's author writes with
    schema/      models and their attributes          planning/   from configuration and state to the plan
    service/     the calls of the protocol            serving/    the process: handshake, TLS, signals, logs
    wire/        messages, types and values           testing.py  a provider in the test's own process

Nothing is imported here: a program announces itself to Terraform first, and then loads what it is made of.
"""
