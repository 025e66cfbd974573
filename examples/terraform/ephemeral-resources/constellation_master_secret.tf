# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

# A new one; no state and no plan has it.
ephemeral "constellation_master_secret" "new" {}

locals {
  cluster_id = provider::constellation::cluster_id(
    ephemeral.constellation_master_secret.new.master_secret,
    ephemeral.constellation_master_secret.new.master_secret_salt,
    sha256("a salt of the cluster"),
  )
}
