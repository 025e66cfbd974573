# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

# What must be true of a cluster, as code: which machines may join, and that every node proves what it booted.
#
# `verify.sh` plans this and fails where the cluster differs, or a node does not prove what it must.

terraform {
  required_version = ">= 1.5"

  required_providers {
    constellation = {
      source = "constellation-kubernetes/constellation"
    }
  }

  # Add a backend here: a pipeline that runs elsewhere each time needs its state.
}

variable "kubeconfig_path" {
  description = "Kubeconfig of somebody who may read nodes, their identities and the join-config."
  type        = string
}

variable "cluster_id" {
  description = "ID of the cluster: `constellation status` shows it."
  type        = string
}

variable "image_key" {
  description = "Who builds images that are trusted: ECDSA P-256, PEM."
  type        = string
}

variable "control_planes" {
  description = "How many control planes there may be."
  type        = number
  default     = 3
}

data "constellation_image" "node" {
  catalogue = "${path.root}/images.json"
  profile   = "release"
}

data "constellation_attestation" "node" {
  image      = data.constellation_image.node.image
  public_key = var.image_key
}

# Whatever somebody else writes there is a difference, which the next plan shows.
resource "constellation_join_config" "cluster" {
  kubeconfig_path = var.kubeconfig_path
  attestations    = [data.constellation_attestation.node.attestation]

  control_planes = {
    max = var.control_planes
  }
}

check "every_node_is_attested" {
  data "constellation_verification" "cluster" {
    kubeconfig_path = var.kubeconfig_path
    cluster_id      = var.cluster_id
    attestations    = [data.constellation_attestation.node.attestation]
  }

  assert {
    condition = data.constellation_verification.cluster.accepted
    error_message = join("; ", concat(
      [data.constellation_verification.cluster.summary],
      [for one in data.constellation_verification.cluster.mismatches : "${one.name}: expected ${one.expected}, got ${one.got}"],
      flatten([
        for node in data.constellation_verification.cluster.nodes : [
          for one in node.mismatches : "${coalesce(node.name, node.address)}: ${one.name}: expected ${one.expected}, got ${one.got}"
        ]
      ]),
      [for node in data.constellation_verification.cluster.nodes : "${coalesce(node.name, node.address)}: ${node.failure}" if node.failure != null],
    ))
  }
}

check "control_planes_are_few" {
  data "constellation_node_identities" "cluster" {
    kubeconfig_path = var.kubeconfig_path
  }

  assert {
    condition = var.control_planes >= length([
      for node in data.constellation_node_identities.cluster.nodes : node if node.role == "control-plane"
    ])
    error_message = "There are more control planes than there may be."
  }
}
