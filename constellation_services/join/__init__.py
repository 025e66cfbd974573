# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The join service: a node that proved itself gets what it needs to be one of the cluster.

A request goes through `application` (is it well-formed?), `admission` (may this role join now?), `registry` (is this
the machine that holds the name and the disk?) and `tickets` (what it gets). `rpc` is the way in, `service` puts all
together.
"""
