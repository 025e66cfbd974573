# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

# What the check says of what nodes say: `terraform test`. It needs no cluster.

mock_provider "constellation" {
  source = "./tests/mocks"
}

mock_provider "constellation" {
  alias  = "unlucky"
  source = "./tests/mocks"

  override_data {
    target = data.constellation_verification.cluster
    values = {
      accepted = false
      summary  = "NOT ACCEPTED: 1 of 2 nodes proved what they must"
    }
  }
}

variables {
  kubeconfig_path = "kubeconfig"
  cluster_id      = "0000000000000000000000000000000000000000000000000000000000000000"
  image_key       = "-----BEGIN PUBLIC KEY-----"
}

run "all_is_well" {
  command = plan
}

run "a_node_that_is_not_accepted_fails_the_check" {
  command = plan

  providers = {
    constellation = constellation.unlucky
  }

  expect_failures = [check.every_node_is_attested]
}
