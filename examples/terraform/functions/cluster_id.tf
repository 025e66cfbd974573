# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

variable "master_secret" {
  description = "64 hexadecimal digits."
  type        = string
  ephemeral   = true
}

variable "salt" {
  description = "64 hexadecimal digits."
  type        = string
  ephemeral   = true
}

locals {
  # As secret as the secret: ephemeral, because its arguments are.
  cluster_id = provider::constellation::cluster_id(var.master_secret, var.salt, sha256("measurement salt"))
}
