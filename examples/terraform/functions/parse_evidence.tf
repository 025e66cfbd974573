# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

locals {
  evidence = provider::constellation::parse_evidence(file("evidence.json"))
}

output "booted" {
  value = local.evidence.measurements["11"]
}
