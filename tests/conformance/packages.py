# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Debian packages in the container images of the conformance tests: what those of Kubernetes have beside its programs.

Those are Alpine with busybox, or Debian; here all is of Debian, and the C library is always glibc. Packages are pinned
in debian.toml beside this file; `python -m tests.conformance.packages` writes it anew.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import MappingProxyType
from typing import Final

from constellation_engine.debian.mirror import machine_mirrors, newest
from constellation_engine.debian.packages import PackageList, write_lock

LIST: Final = PackageList(
    "images of the conformance tests",
    Path("tests/conformance/debian.toml"),
    MappingProxyType(
        {
            "base-files": "the frame of a file system, and what system it is",
            "bash-static": "the shell beside busybox: Debian's busybox loses variables whose names have a dash",
            "bind9-dnsutils": "tests ask name servers by dig",
            "bind9-host": "bind9-dnsutils",
            "bind9-libs": "bind9-dnsutils",
            "busybox-static": "tools",
            "curl": "tests ask servers by it",
            "dash": "a shell that starts other programs than its own: that of busybox-static does not",
            "libbrotli1": "libcurl4t64",
            "libbsd0": "netcat-openbsd",
            "libc-bin": "tests ask the C library for hosts by getent",
            "libc6": "everything",
            "libcap2": "bind9-libs",
            "libcom-err2": "libkrb5-3",
            "libcurl4t64": "curl",
            "libedit2": "bind9-dnsutils",
            "libffi8": "libp11-kit0",
            "libfstrm0": "bind9-libs",
            "libgcc-s1": "libjemalloc2",
            "libgmp10": "libgnutls30t64",
            "libgnutls30t64": "librtmp1",
            "libgssapi-krb5-2": "libcurl4t64",
            "libhogweed6t64": "libgnutls30t64",
            "libidn2-0": "bind9-dnsutils, libcurl4t64",
            "libjemalloc2": "bind9-libs",
            "libjson-c5": "bind9-libs",
            "libk5crypto3": "libkrb5-3",
            "libkeyutils1": "libkrb5-3",
            "libkrb5-3": "libgssapi-krb5-2",
            "libkrb5support0": "libkrb5-3",
            "libldap2": "libcurl4t64",
            "liblmdb0": "bind9-libs",
            "liblzma5": "libxml2",
            "libmaxminddb0": "bind9-libs",
            "libmd0": "libbsd0",
            "libnettle8t64": "libgnutls30t64",
            "libnghttp2-14": "bind9-libs, libcurl4t64",
            "libnghttp3-9": "libcurl4t64",
            "libp11-kit0": "libgnutls30t64",
            "libprotobuf-c1": "bind9-libs",
            "libpsl5t64": "libcurl4t64",
            "librtmp1": "libcurl4t64",
            "libsasl2-2": "libldap2",
            "libssh2-1t64": "libcurl4t64",
            "libssl3t64": "bind9-libs, libcurl4t64",
            "libstdc++6": "libjemalloc2",
            "libtasn1-6": "libgnutls30t64",
            "libtinfo6": "libedit2",
            "libunistring5": "libidn2-0",
            "liburcu8t64": "bind9-libs",
            "libuv1t64": "bind9-libs",
            "libxml2": "bind9-libs",
            "libzstd1": "libcurl4t64",
            "netcat-openbsd": "tests connect to ports by nc",
            "zlib1g": "libcurl4t64, libxml2",
        }
    ),
)
LOCK: Final = Path(__file__).with_name("debian.toml")

_LIBRARIES: Final = "usr/lib/x86_64-linux-gnu"
KEPT: Final = (
    *("bin", "lib", "lib64", "sbin"),  # symbolic links into /usr
    *("etc/debian_version", "etc/os-release", "usr/lib/os-release"),
    *("usr/bin/bash-static", "usr/bin/busybox", "usr/bin/curl", "usr/bin/dash", "usr/bin/dig", "usr/bin/getent"),
    "usr/bin/nc.openbsd",
    *("usr/lib64/*", f"{_LIBRARIES}/*.so*", f"!{_LIBRARIES}/gconv/*", "usr/share/doc/*/copyright"),
)
"""Patterns of `constellation_engine.debian.deb.unpack`."""


def write() -> None:
    """Pin the newest version of each package."""
    packages = newest(LIST.wanted, machine_mirrors())
    LOCK.write_text(write_lock(packages, LIST.image, writer="python -m tests.conformance.packages"), encoding="utf-8")


if __name__ == "__main__":
    write()
    sys.stdout.write(f"{LOCK}\n")
