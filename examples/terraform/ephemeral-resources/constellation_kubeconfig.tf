# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

variable "workspace" {
  description = "Workspace of a cluster on this machine."
  type        = string
}

ephemeral "constellation_kubeconfig" "cluster" {
  workspace = var.workspace
}

# Other providers take the parts; nothing of it is stored.
#
#   provider "kubernetes" {
#     host                   = ephemeral.constellation_kubeconfig.cluster.host
#     client_certificate     = ephemeral.constellation_kubeconfig.cluster.client_certificate
#     client_key             = ephemeral.constellation_kubeconfig.cluster.client_key
#     cluster_ca_certificate = ephemeral.constellation_kubeconfig.cluster.cluster_ca_certificate
#   }
