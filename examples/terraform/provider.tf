# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

terraform {
  required_providers {
    constellation = {
      source = "constellation-kubernetes/constellation"
    }
  }
}

provider "constellation" {}
