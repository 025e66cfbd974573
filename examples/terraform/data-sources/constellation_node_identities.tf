# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

variable "kubeconfig_path" {
  description = "Kubeconfig of the cluster's administrator."
  type        = string
}

data "constellation_node_identities" "cluster" {
  kubeconfig_path = var.kubeconfig_path
}

output "control_planes" {
  value = [
    for node in data.constellation_node_identities.cluster.nodes : node.name if node.role == "control-plane"
  ]
}
