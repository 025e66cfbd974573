# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

# The newest release on this machine, as `constellation image build` made it.
data "constellation_image" "node" {
  attestation_variant = "qemu-vtpm"
  profile             = "release"
}

output "kubernetes_version" {
  value = data.constellation_image.node.image.kubernetes_version
}
