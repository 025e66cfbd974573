#!/bin/sh
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

# Plan, verify every node, and fail on drift. Needs terraform and jq.
#
# Exit status: 0 all is as it should be; 2 the cluster differs, or a node does not prove what it must; 1 no plan.

set -eu
cd "$(dirname "$0")"

plan=$(mktemp)
trap 'rm -f "$plan" "$plan.json"' EXIT

terraform init -input=false > /dev/null || exit 1
terraform plan -input=false -lock=false -out="$plan" || exit 1
terraform show -json "$plan" > "$plan.json" || exit 1

# Failed checks are warnings of a plan. Here they are failures, and so is a check that nobody could decide.
checks=$(jq -r '
  .checks[]
  | select(.status != "pass")
  | "\(.address.to_display) is \(.status): \([.instances[]?.problems[]?.message] | join("; "))"' "$plan.json")

# `-detailed-exitcode` does not tell: what checks ask is asked again by an apply, which counts as a change.
changes=$(jq -r '
  .resource_changes[]?
  | select(.mode == "managed" and .change.actions != ["no-op"])
  | "\(.address): \(.change.actions | join(" and "))"' "$plan.json")

if [ -n "$checks" ]; then
  printf 'NOT VERIFIED\n%s\n' "$checks" >&2
fi
if [ -n "$changes" ]; then
  printf 'DRIFT: the cluster is not as it is written here; the plan above says how\n%s\n' "$changes" >&2
fi
if [ -n "$checks$changes" ]; then
  exit 2
fi
printf 'verified: every node proved what it must, and nothing differs\n'
