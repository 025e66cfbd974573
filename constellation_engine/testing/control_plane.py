# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes API server for tests: etcd and kube-apiserver as processes, on loopback, with TLS.

    with running_control_plane(tmp_path / "cluster") as control_plane:
        names = [namespace.metadata.name for namespace in control_plane.client().list(Namespace)]

It authenticates client certificates, service-account tokens and bootstrap tokens, and authorises by RBAC and for nodes
as a real one does. Nothing else of a cluster runs: no controllers (so nothing makes default service accounts, collects
garbage or expires tokens), no scheduler, no nodes.
"""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from lightkube import AsyncClient, Client, KubeConfig

from constellation_core.names import NAMESPACE
from constellation_engine.components import Store
from constellation_engine.testing.arguments import ISSUER, Ports, api_server_arguments, etcd_arguments
from constellation_engine.testing.cleaning import clean
from constellation_engine.testing.kubeconfigs import ADMINISTRATOR, Kubeconfigs
from constellation_engine.testing.pki import make_pki
from constellation_engine.testing.programs import RunningProgram, Starter, free_port
from constellation_engine.testing.readiness import client_tls, wait_until_ready
from constellation_engine.testing.service_accounts import issue_token

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

PROGRAMS: Final = ("etcd", "kube-apiserver", "kubectl")


class ControlPlane:
    """A control plane that runs. `running_control_plane` makes one.

    Attributes:
        directory: certificates, kubeconfigs, logs and data are in here.
        pki: folder of keys and certificates, as kubeadm's `/etc/kubernetes/pki`.
        ca_file: certificate of the cluster's authority.
        url: of the API server.
        etcd_port: where etcd serves clients, on loopback.
        kubectl: the program, of the API server's release.
    """

    def __init__(self, directory: Path, programs: Mapping[str, Path], resources: ExitStack) -> None:
        self.directory = directory
        self.pki = directory / "pki"
        self.ca_file = self.pki / "ca.crt"
        self.kubectl = programs["kubectl"]
        self._programs = programs
        self._ports = Ports(free_port(), free_port(), free_port())
        self.url = f"https://127.0.0.1:{self._ports.api_server}"
        self.etcd_port = self._ports.etcd
        self._kubeconfigs = Kubeconfigs(directory / "users", self.url, self.ca_file, make_pki(self.pki))
        self._data = directory / "etcd"
        self._starter = resources.enter_context(Starter(directory))
        self._etcd: RunningProgram | None = None
        self._api_server: RunningProgram | None = None
        self._resources = resources
        self._clients: dict[Path, Client] = {}
        resources.callback(self._stop)

    def kubeconfig(self, user: str = ADMINISTRATOR, groups: Sequence[str] = ()) -> Path:
        """Make a kubeconfig with a client certificate by the cluster's authority.

        Args:
            user: name; the default one may do everything.
            groups: its groups, as `system:nodes`.

        Returns:
            The file; the same for the same user and groups. Key and certificate are beside it.
        """
        return self._kubeconfigs.with_certificate(user, tuple(groups))

    def token_kubeconfig(self, token: str) -> Path:
        """Make a kubeconfig with a token: of a service account or a bootstrap token."""
        return self._kubeconfigs.with_token(token)

    def client(self, kubeconfig: Path | None = None) -> Client:
        """Give a lightkube client, of the administrator by default. It is closed in the end, not by the caller."""
        path = kubeconfig or self.kubeconfig()
        if path not in self._clients:
            client = Client(KubeConfig.from_file(path), trust_env=False)
            self._clients[path] = self._resources.enter_context(client)
        return self._clients[path]

    def async_client(self, kubeconfig: Path | None = None) -> AsyncClient:
        """Make a lightkube client, of the administrator by default, for `async with`."""
        return AsyncClient(KubeConfig.from_file(kubeconfig or self.kubeconfig()), trust_env=False)

    def token(
        self,
        service_account: str,
        audience: str = ISSUER,
        *,
        namespace: str = NAMESPACE,
        pod: str = "",
        node: str = "",
        seconds: int = 3600,
    ) -> str:
        """Have the API server issue a token for a service account, as a kubelet projects it into a pod.

        Args:
            service_account: its name; account and namespace are made where they do not exist.
            audience: for whom the token is; by default the API server.
            namespace: of the account.
            pod: name of the pod that the token is bound to, made where it does not exist; empty for none.
            node: on which a pod that is made here is said to run.
            seconds: lifetime; the API server refuses less than 600.
        """
        names = {"namespace": namespace, "service_account": service_account, "pod": pod, "node": node}
        return issue_token(self.client(), audience, seconds, **names)

    def run_kubectl(self, *arguments: str) -> str:
        """Run kubectl as the administrator and give what it writes to stdout.

        Raises:
            subprocess.CalledProcessError: it fails.
        """
        command = (str(self.kubectl), f"--kubeconfig={self.kubeconfig()}", f"--cache-dir={self.directory}", *arguments)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - ours

    def clean(self) -> None:
        """Remove what tests left there; `constellation_engine.testing.cleaning` says what."""
        clean(self.client())

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Of etcd and the API server, as far as they were started."""
        return tuple(program.process.pid for program in (self._etcd, self._api_server) if program)

    def start_etcd(self) -> None:
        """Start etcd, with the data that it had, and wait until it is ready."""
        self._etcd = self._starter.start(self._programs["etcd"], etcd_arguments(self.pki, self._ports, self._data))
        tls = client_tls(self.pki / "etcd" / "ca.crt", self.pki / "apiserver-etcd-client")
        wait_until_ready(self._etcd, self._ports.etcd, tls)

    def stop_etcd(self) -> None:
        """Kill etcd, as a crash would: requests to the API server hang until their client gives up."""
        if self._etcd:
            self._etcd.kill()

    def start_api_server(self) -> None:
        """Start the API server, where it was before, and wait until it is ready."""
        arguments = api_server_arguments(self.pki, self._ports)
        self._api_server = self._starter.start(self._programs["kube-apiserver"], arguments)
        tls = client_tls(self.ca_file, self.pki / "apiserver-kubelet-client")
        wait_until_ready(self._api_server, self._ports.api_server, tls)

    def stop_api_server(self) -> None:
        """Kill the API server, as a crash would: connections break off."""
        if self._api_server:
            self._api_server.kill()

    def restart_api_server(self) -> None:
        """Kill the API server, start it again and wait until it is ready."""
        self.stop_api_server()
        self.start_api_server()

    def _stop(self) -> None:
        self.stop_api_server()
        self.stop_etcd()
        shutil.rmtree(self._data, ignore_errors=True)  # etcd sets aside 64 MiB for its log


@contextmanager
def running_control_plane(directory: Path, *, programs: Mapping[str, Path] | None = None) -> Iterator[ControlPlane]:
    """Run etcd and an API server until the block, or this process, ends.

    Args:
        directory: for everything that they read and write; must not exist, or be empty.
        programs: paths of etcd, kube-apiserver and kubectl, by name; by default those of the component store.

    Raises:
        NotCachedError: the component store does not have them.
        ControlPlaneError: one of them does not start; with the end of its log.
    """
    store = Store()
    with ExitStack() as resources:
        control_plane = ControlPlane(directory, programs or {name: store.path(name) for name in PROGRAMS}, resources)
        control_plane.start_etcd()
        control_plane.start_api_server()
        yield control_plane
