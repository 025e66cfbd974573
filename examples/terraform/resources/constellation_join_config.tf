# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

variable "kubeconfig_path" {
  description = "Kubeconfig of the cluster's administrator."
  type        = string
}

data "constellation_image" "current" {
  path = "image"
}

data "constellation_image" "next" {
  path = "next-image"
}

data "constellation_attestation" "accepted" {
  for_each = {
    current = data.constellation_image.current.image
    next    = data.constellation_image.next.image
  }
  image      = each.value
  public_key = file("image.pub")
}

# Machines of both images may join while the cluster goes over to the next one.
resource "constellation_join_config" "cluster" {
  kubeconfig_path = var.kubeconfig_path
  attestations    = [for one in data.constellation_attestation.accepted : one.attestation]

  control_planes = {
    max      = 3
    approval = true
  }
}
