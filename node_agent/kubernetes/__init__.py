# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Kubernetes on a node: kubeadm, kubelet and containerd of the measured image, told what a plan says."""

from node_agent.kubernetes.node import Kubernetes

__all__ = ["Kubernetes"]
