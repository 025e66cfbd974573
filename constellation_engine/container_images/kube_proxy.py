# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The image of kube-proxy in nftables mode.

kube-proxy is a static program, but it starts `nft` for every change, so the image has Debian's. Connection tracking it
changes by netlink itself (k8s.io/kubernetes/pkg/proxy/conntrack), and iptables it needs only to clean up behind its
other modes, which a node of ours never ran in: neither program is there.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Final

from constellation_engine.container_images import frame
from constellation_engine.debian.packages import PackageList

LIST: Final = PackageList(
    "image of kube-proxy",
    Path("images/kube-proxy/debian.toml"),
    MappingProxyType(
        {
            "base-files": "the frame of a file system, and what system it is",
            "libbsd0": "libedit2",
            "libc6": "everything",
            "libedit2": "nft",
            "libgmp10": "libnftables1",
            "libjansson4": "libnftables1",
            "libmd0": "libbsd0",
            "libmnl0": "libnftables1",
            "libnftables1": "nft",
            "libnftnl11": "libnftables1",
            "libtinfo6": "libedit2",
            "libxtables12": "libnftables1",
            "nftables": "nft",
        }
    ),
)

KEPT: Final = (*frame.KEPT, "usr/sbin/nft")
"""Patterns of `constellation_engine.debian.deb.unpack`."""
