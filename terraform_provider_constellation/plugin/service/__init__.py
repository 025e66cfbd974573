# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The calls of the protocol: each turns a request into models, calls the provider, and turns the result into an answer.

Nothing here knows how requests come; `serving` brings them. Specification: tfplugin6.proto, protocol 6.11.
"""
