# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

data "constellation_image" "node" {}

# The signature is verified here. Whom you trust to build images is your decision: name their key.
data "constellation_attestation" "node" {
  image      = data.constellation_image.node.image
  public_key = file("image.pub")
}

output "measurements" {
  value = data.constellation_attestation.node.attestation.measurements
}
