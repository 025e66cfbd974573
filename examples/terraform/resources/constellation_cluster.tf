# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

data "constellation_image" "node" {}

data "constellation_attestation" "node" {
  image = data.constellation_image.node.image
}

resource "constellation_local_machines" "mini" {
  workspace = "${path.root}/cluster"
  image     = data.constellation_image.node.image
}

# No state and no plan has the secret; the workspace has it.
ephemeral "constellation_master_secret" "mini" {}

resource "constellation_cluster" "mini" {
  workspace                = constellation_local_machines.mini.workspace
  uid                      = constellation_local_machines.mini.uid
  machines                 = constellation_local_machines.mini.names
  image                    = data.constellation_image.node.image
  attestation              = data.constellation_attestation.node.attestation
  master_secret_wo         = ephemeral.constellation_master_secret.mini.master_secret
  master_secret_wo_version = 1

  timeouts {
    create = "2h"
  }

  lifecycle {
    postcondition {
      condition     = self.ready
      error_message = join("; ", self.problems)
    }
  }
}

output "kubeconfig_path" {
  value = constellation_cluster.mini.kubeconfig_path
}
