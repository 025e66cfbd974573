# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What an administrator asks of a `FakeMachine` that is to become the first node of a cluster."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from attestation.policy import Policy
from constellation_core.join_config import JoinConfig
from constellation_core.keys.key_material import KeyMaterial
from constellation_proto import init_pb2, join_pb2
from node_agent.testing.machine import COMPONENTS, KUBERNETES, MEASUREMENTS

if TYPE_CHECKING:
    from constellation_core.keys.master_secret import MasterSecret


def fake_init_request(
    master: MasterSecret,
    *,
    salt: bytes,
    secret: bytes,
    **changes: Any,  # noqa: ANN401 - as the message says
) -> init_pb2.InitRequest:
    """Make a request that such a machine accepts.

    Args:
        master: what the keys of the cluster derive from.
        salt: the measurement salt, 32 bytes.
        secret: the init secret, whose hash is in the machine's metadata.
        changes: fields that are to be others.
    """
    policy = Policy.from_mapping({"variant": "qemu-vtpm", "measurements": MEASUREMENTS})
    fields: dict[str, Any] = {
        "request_id": str(uuid.uuid4()),
        "init_secret": secret,
        "key_material": KeyMaterial.of(master).to_message(),
        "measurement_salt": salt,
        "cluster_name": "mini",
        "kubernetes_version": KUBERNETES,
        "components": [join_pb2.Component(**component) for component in COMPONENTS],
        "endpoint": "127.0.0.1:6443",
        "certificate_sans": ["localhost", "127.0.0.1"],
        "service_cidr": "10.96.0.0/16",
        "pod_cidr": "10.244.0.0/16",
        "join_config": JoinConfig(explicit=(policy,)).to_yaml(),
    }
    return init_pb2.InitRequest(**(fields | changes))
