# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The key service: gives each caller in the cluster its own class of keys, and no other (protocols.md, 3 and 4).

TLS 1.3 by the cluster's authority (`certificate`) → who calls (`authentication`, `token_review`) → how often
(`rate_limit`) → what that caller may have (`permissions`) → the key (`constellation_core.keys`) → one line that says so
(`audit`).
"""

import os

# grpcio has no option for the least version of TLS. This makes every handshake of TLS 1.2 fail: our certificates are
# ECDSA, and the only cipher suite left to it is one for RSA. TLS 1.3 has its own. gRPC reads this once, when it is
# imported: `service` tries it out, and stops if it was too late.
os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-RSA-AES256-GCM-SHA384"

# It writes about every handshake that fails, in a format of its own: whoever wants to fill logs would make many.
os.environ["GRPC_VERBOSITY"] = "NONE"
