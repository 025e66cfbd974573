# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

output "launch_digest" {
  value = provider::constellation::snp_launch_digest(
    "OVMF.amdsev.fd",
    "image/vmlinuz",
    "image/initrd",
    file("image/cmdline"),
    2,
    "EPYC-Milan",
  )
}
