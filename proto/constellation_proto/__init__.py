# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Messages and stubs of every RPC, generated from the `.proto` files beside this file by `make generate`."""
