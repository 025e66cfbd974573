# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Container images that a node brings with it, and the containerd store that they lie in.

    sources = Sources(Store(), repository=find_repository(), mirrors=machine_mirrors())
    services = Path("build/services-image")
    facts = build_store(Path("containerd"), kubernetes="1.36", services=services, sources=sources, report=print)
    facts.images  # {"registry.k8s.io/kube-apiserver:v1.36.4": "sha256:…", …}

Nothing of it needs a container daemon, a registry or root, and the same sources give the same bytes.
"""

from constellation_engine.container_images.build import Sources
from constellation_engine.container_images.store import StoreFacts, build_store

__all__ = ["Sources", "StoreFacts", "build_store"]
