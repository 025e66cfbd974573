#!/bin/sh
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

# A workspace, or the kubeconfig of a cluster that lives elsewhere.
terraform import constellation_join_config.cluster ./admin.conf
