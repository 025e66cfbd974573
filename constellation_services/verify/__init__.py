# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The verification service: every node proves itself to whoever asks, at any time.

A question is a nonce, the answer a statement: evidence bound to the nonce and to the cluster (`statement_maker`). It
comes over the attested channel (`rpc`) and as JSON over plain HTTP (`web`): a statement proves itself. `service` puts
all together.
"""
