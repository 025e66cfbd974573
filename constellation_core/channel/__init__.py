# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The attested channel, `constellation-attest/1` (protocols.md, section 1).

    server = AttestedServer([service], issuer=issuer, verifier=verifier)
    await server.start("0.0.0.0", 9090)

    async with attested_channel("node", 9090, verifier=verifier, issuer=issuer) as channel:
        ticket = await JoinStub(channel).IssueTicket(request)

TCP → TLS 1.3 (`tls`) → four frames (`frames`, `exchange`) → HTTP/2 and gRPC on the same stream (`client`, `server`).
The evidence of both sides is bound to the TLS connection itself, after the handshake and before the first byte of
HTTP/2: whoever holds the server's TLS key still cannot pass evidence from one connection to another.
"""
