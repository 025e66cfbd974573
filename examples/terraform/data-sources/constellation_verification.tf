# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

data "constellation_image" "node" {}

data "constellation_attestation" "node" {
  image = data.constellation_image.node.image
}

variable "cluster_id" {
  description = "ID of the cluster."
  type        = string
}

variable "nodes" {
  description = "Its nodes, as NAME=HOST:PORT."
  type        = list(string)
}

# Every plan warns if a node does not prove what it must.
check "every_node_is_attested" {
  data "constellation_verification" "cluster" {
    endpoints    = var.nodes
    cluster_id   = var.cluster_id
    attestations = [data.constellation_attestation.node.attestation]
  }

  assert {
    condition     = data.constellation_verification.cluster.accepted
    error_message = data.constellation_verification.cluster.summary
  }
}
