# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

locals {
  image = {
    "4"  = { expected = sha256("boot loader"), warn_only = false }
    "11" = { expected = sha256("unified kernel image"), warn_only = false }
  }
  firmware = {
    "0" = { expected = sha256("firmware"), warn_only = true }
  }
}

output "measurements" {
  value = provider::constellation::measurements_merge(local.image, local.firmware)
}
