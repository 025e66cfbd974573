# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Everything `constellation_engine` raises of its own, one tree.

    EngineError
    ├── ComponentError             a program of the cluster cannot be had
    │   ├── ManifestError          components/manifest.toml does not say what it must
    │   ├── UnknownComponentError  no such component, or no such version of Kubernetes
    │   ├── CacheError             the cache cannot be read or written
    │   ├── NotCachedError         the cache does not have it, and nobody else may be asked
    │   ├── DownloadError          a server cannot be reached, or does not answer as it must
    │   ├── HashMismatchError      bytes are not the pinned ones
    │   ├── BuildError             there is no Go, or it does not build
    │   └── GaveUpError            it took longer than it may, or was called off
    ├── ClusterError               the cluster's API server refuses, or does not answer
    │   ├── ObjectNotFoundError    it has no such object
    │   └── ConflictError          somebody else changed the object meanwhile, or it says something else
    ├── ImageBuildError            a container image, or a store with all of a node, cannot be built
    │   ├── PackageLockError       images/services/debian.toml does not say what it must
    │   └── DamagedPackageError    a Debian package is not what its format says
    ├── NodeImageError             a node image, or what belongs to it, cannot be used
    │   ├── ImageKeyError          the key that signs images cannot be used
    │   ├── UnknownImageError      there is no such image, or more than one
    │   └── UploadError            an image did not get to where it was to go
    ├── MachineError               a local virtual machine is not what it should be
    │   ├── MachineSpecError       no machine can be made from this description
    │   ├── MachineExistsError     there is another machine in this folder
    │   ├── MachineNotFoundError   there is no machine in this folder
    │   ├── MissingProgramError    a program or firmware that machines need is not installed
    │   ├── PortTakenError         somebody else uses a port that the machine forwards; carries it
    │   ├── TooLittleError         not enough memory or disk
    │   ├── MachineFailedError     QEMU or the TPM does not start, or stopped; carries the end of its log
    │   └── ServiceManagerError    the host's systemd refuses, or there is none
    ├── EscrowError                keys cannot be put into an escrow, or an escrow cannot be used
    ├── WorkspaceError             a folder is not the workspace that it should be
    ├── BringUpError               a phase of bringing a cluster up did not come to its end
    ├── RequirementError           this machine lacks what a local cluster needs; carries what
    ├── RecoveryError              not enough stopped control planes came back
    ├── SupportError               a bundle for whoever helps cannot be written
    ├── ClusterNotAcceptedError    not every node of a cluster proves what it must; carries the verdict
    └── ControlPlaneError          a control plane for tests does not start, or a program of it stopped

Errors of `constellation_core` and `attestation` pass through as they are. Each carries `hint`: what the reader can do
next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constellation_engine.cluster.cluster_verdict import ClusterVerdict
    from constellation_engine.local_cluster.requirements import Finding


class EngineError(Exception):
    """Root of the tree.

    Args:
        message: one sentence: what was expected, what came.
        hint: what to do next; empty where the message says it all.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ComponentError(EngineError):
    """A program of the cluster cannot be had."""


class ManifestError(ComponentError):
    """The manifest misses a field, has one too many, or one that cannot be used."""


class UnknownComponentError(ComponentError):
    """The manifest has no component, or no version of Kubernetes, of this name."""


class CacheError(ComponentError):
    """The cache cannot be read or written: permissions, a full disk."""


class NotCachedError(ComponentError):
    """The cache does not have a component, and whoever asked wants nobody else to be asked."""


class DownloadError(ComponentError):
    """A server cannot be reached, or answers other than HTTP and the manifest say."""


class HashMismatchError(ComponentError):
    """Bytes are not the ones that the manifest pins. They are not used.

    Args:
        file: what was looked at: a path, a URL, or how it was built.
        expected: SHA-256, hexadecimal.
        got: the same.
        hint: what to do next.
    """

    def __init__(self, file: str, *, expected: str, got: str, hint: str = "") -> None:
        super().__init__(f"{file}: expected sha256 {expected}, got {got}", hint=hint)
        self.file = file
        self.expected = expected
        self.got = got


class BuildError(ComponentError):
    """There is no Go, it cannot have the sources, or they do not compile."""


class GaveUpError(ComponentError):
    """It took longer than the caller allowed, or the caller called it off."""


class ClusterError(EngineError):
    """The cluster's API server refuses what was asked, or does not answer."""


class ObjectNotFoundError(ClusterError):
    """The cluster has no such object."""


class ConflictError(ClusterError):
    """Somebody else changed the object meanwhile, or it is not what the caller took it for."""


class ImageBuildError(EngineError):
    """A container image cannot be built, or the store that a node's images lie in."""


class PackageLockError(ImageBuildError):
    """The list of Debian packages misses a field, has one too many, or one that cannot be used."""


class DamagedPackageError(ImageBuildError):
    """A Debian package is not what its format says."""


class NodeImageError(EngineError):
    """A node image, or what belongs to it, cannot be used."""


class ImageKeyError(NodeImageError):
    """The key that signs images is damaged, of another kind, or not the one that the image was built with."""


class UnknownImageError(NodeImageError):
    """There is no such image, or more than one fits."""


class UploadError(NodeImageError):
    """An image did not get to where it was to go."""


class MachineError(EngineError):
    """A local virtual machine is not what it should be."""


class MachineSpecError(MachineError):
    """No machine can be made from this description: a name, a size, a file."""


class MachineExistsError(MachineError):
    """The folder has a machine, of another description."""


class MachineNotFoundError(MachineError):
    """The folder has no machine."""


class MissingProgramError(MachineError):
    """A program or firmware is not installed, or this host cannot do what the variant needs."""


class PortTakenError(MachineError):
    """Another program listens on a port that the machine forwards.

    Args:
        name: what the port is for: "init".
        port: of 127.0.0.1.
    """

    def __init__(self, name: str, port: int) -> None:
        message = f"port {port} of 127.0.0.1 ({name}): expected it free, another program listens there"
        super().__init__(message, hint=f"who: ss -ltnp 'sport = :{port}'; end that program, or choose another port")
        self.name = name
        self.port = port


class TooLittleError(MachineError):
    """This host has not enough free memory, or not enough space on a disk."""


class MachineFailedError(MachineError):
    """QEMU or the TPM does not start, or stopped. The message has the end of its log."""


class EscrowError(EngineError):
    """Keys cannot be put into an escrow, or what is in its place is none."""


class ServiceManagerError(MachineError):
    """The service manager of the host is not systemd, or does not do what it is asked for."""


class WorkspaceError(EngineError):
    """A folder is not the workspace of a cluster, or of another one than was asked for."""


class BringUpError(EngineError):
    """A phase of bringing a cluster up did not come to its end. It can be repeated."""


class RequirementError(EngineError):
    """This machine lacks what a local cluster needs. Nothing was made.

    Args:
        missing: what is missing, each with what to do about it.
    """

    def __init__(self, missing: Sequence[Finding]) -> None:
        said = "; ".join(f"{finding.name}: {finding.found}" for finding in missing)
        hints = "; ".join(dict.fromkeys(finding.fix for finding in missing if finding.fix))
        super().__init__(f"this machine lacks what the cluster needs: {said}", hint=hints)
        self.missing = tuple(missing)


class RecoveryError(EngineError):
    """Not enough of the control planes that stopped came back. It can be repeated."""


class SupportError(EngineError):
    """A bundle for whoever helps cannot be written."""


class ClusterNotAcceptedError(EngineError):
    """The verdict about a cluster is no. `verdict` lists every reason."""

    def __init__(self, verdict: ClusterVerdict) -> None:
        refused = ", ".join(str(node.endpoint) for node in verdict.nodes if not node.accepted)
        reasons = "; ".join(map(str, verdict.mismatches))
        said = "; ".join(filter(None, (f"not accepted: {refused}" if refused else "", reasons))) or "no node was asked"
        super().__init__(f"the cluster is not accepted: {said}", hint="the table of the nodes has every reason")
        self.verdict = verdict


class ControlPlaneError(EngineError):
    """A control plane for tests does not start, or a program of it stopped."""
