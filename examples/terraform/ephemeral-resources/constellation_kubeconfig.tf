# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

data "constellation_image" "node" {}

resource "constellation_local_machines" "mini" {
  workspace = "${path.root}/cluster"
  image     = data.constellation_image.node.image
}

resource "constellation_cluster" "mini" {
  workspace = constellation_local_machines.mini.workspace
  uid       = constellation_local_machines.mini.uid
  machines  = constellation_local_machines.mini.names
}

# Read when the cluster is there; nothing of it is stored.
ephemeral "constellation_kubeconfig" "mini" {
  kubeconfig_path = constellation_cluster.mini.kubeconfig_path
}

# Other providers take the parts:
#
#   provider "kubernetes" {
#     host                   = ephemeral.constellation_kubeconfig.mini.host
#     client_certificate     = ephemeral.constellation_kubeconfig.mini.client_certificate
#     client_key             = ephemeral.constellation_kubeconfig.mini.client_key
#     cluster_ca_certificate = ephemeral.constellation_kubeconfig.mini.cluster_ca_certificate
#   }
