#!/bin/sh
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

# The workspace of a cluster, such as one of `constellation mini up`.
terraform import constellation_cluster.mini ~/.local/share/constellation/mini

# A cluster that lives elsewhere, by its kubeconfig: it can be looked at and forgotten.
terraform import constellation_cluster.other "constellation-cluster://?kubeConfig=$(base64 -w0 admin.conf)&workspace=other"
