# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

output "kubeconfig" {
  description = "For `kubectl --kubeconfig`."
  value       = constellation_cluster.mini.kubeconfig_path
}

output "cluster_id" {
  description = "What every node carries as its mark."
  value       = constellation_cluster.mini.cluster_id
}

output "nodes" {
  value = { for node in constellation_cluster.mini.nodes : node.name => node.ready ? "Ready" : node.reason }
}
