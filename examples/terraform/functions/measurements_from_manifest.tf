# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

output "measurements" {
  value = provider::constellation::measurements_from_manifest(
    file("image/measurements.json"),
    file("image/measurements.json.sig"),
    file("image.pub"),
  )
}
