#!/bin/sh
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

# The workspace of a cluster, such as one of `constellation mini up`.
terraform import constellation_local_machines.mini ~/.local/share/constellation/mini
