#!/bin/sh
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

# The workspace of a cluster, such as one of `constellation mini up`.
terraform import constellation_cluster.mini ~/.local/share/constellation/mini

# A cluster that lives elsewhere can be looked at and forgotten. Its kubeconfig is a secret: let a block read it, and keep
# it out of command lines.
#
#   import {
#     to = constellation_cluster.other
#     id = "constellation-cluster://?kubeConfig=${filebase64("admin.conf")}&workspace=other"
#   }
