# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

# A confidential cluster on this machine: `constellation image build` first, then `terraform apply`.

terraform {
  required_version = ">= 1.11"
  required_providers {
    constellation = { source = "constellation-kubernetes/constellation" }
  }
}

data "constellation_image" "node" {
  path = var.image
}

resource "constellation_local_machines" "mini" {
  workspace = "${path.root}/cluster"
  image     = data.constellation_image.node.image
  workers   = var.workers
}

resource "constellation_cluster" "mini" {
  workspace = constellation_local_machines.mini.workspace
  uid       = constellation_local_machines.mini.uid
  machines  = constellation_local_machines.mini.names

  lifecycle {
    postcondition {
      condition     = self.ready
      error_message = "Not up yet: ${join("; ", self.problems)}. Apply again."
    }
  }
}
