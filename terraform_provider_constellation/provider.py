# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The provider: everything that it has, one line a kind. What each is: the module of the same name."""

from __future__ import annotations

from terraform_provider_constellation.plugin.api import Model, Provider


class Settings(Model):
    """Confidential Kubernetes: every node proves what it booted before it gets a secret. There is nothing to configure.

    Secrets, kubeconfig and machines of a cluster are in its workspace, a folder for you alone, and not in the state.
    """


class Constellation(Provider[Settings]):
    """The provider of Constellation."""

    name = "constellation"

    def __init__(self) -> None:
        self.resources = []
        self.data_sources = []
        self.ephemeral_resources = []
        self.functions = []
