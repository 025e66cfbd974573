# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

run "what_is_planned" {
  command = plan

  assert {
    condition     = constellation_local_machines.mini.names == tolist(["control-plane-0", "worker-0"])
    error_message = "Expected a control plane and a worker."
  }
}

run "more_workers" {
  command = plan

  variables {
    workers = 3
  }

  assert {
    condition     = length(constellation_cluster.mini.machines) == 4
    error_message = "Expected a machine for each worker."
  }
}

run "too_many_workers" {
  command = plan

  variables {
    workers = 33
  }

  expect_failures = [var.workers]
}
