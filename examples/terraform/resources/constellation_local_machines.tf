# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

data "constellation_image" "node" {}

resource "constellation_local_machines" "mini" {
  workspace      = "${path.root}/cluster"
  image          = data.constellation_image.node.image
  control_planes = 1
  workers        = 2

  timeouts {
    create = "30m"
  }
}
