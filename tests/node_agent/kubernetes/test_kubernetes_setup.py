# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What has to be done is written down whole, read back the same, and leaves nothing behind."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from constellation_core import cluster_objects
from constellation_core.cluster_facts import ClusterFacts
from constellation_core.component_list import ComponentList
from constellation_core.keys.secret import Secret
from node_agent.errors import PermanentError
from node_agent.kubernetes import objects, setup
from node_agent.kubernetes.encryption import encryption_configuration
from node_agent.kubernetes.paths import ENCRYPTION_CONFIGURATION
from node_agent.kubernetes.patience import Patience
from node_agent.kubernetes.setup import FINISHED, Kind, Setup
from node_agent.kubernetes.steps import init_setup, join_setup
from node_agent.parts import ControlPlaneFile
from tests.node_agent.kubernetes.plans import SECRETS_KEY, cluster_plan, join_plan, pem

CONTENTS = st.binary(min_size=1, max_size=40).map(Secret)
PATHS = st.text("abc", min_size=1).map(lambda name: Path("/etc/kubernetes") / name)


@given(
    setup_=st.builds(
        Setup,
        kind=st.sampled_from([Kind.INIT, Kind.JOIN]),
        documents=st.text(min_size=1).map(lambda text: Secret(text.encode("utf-8", "replace"))),
        files=st.dictionaries(PATHS, CONTENTS),
        links=st.dictionaries(PATHS, st.text("xyz", min_size=1)),
        objects=st.none() | st.just(Secret(b"a: 1")),
        endpoint=st.text("a.:0"),
        ca_hash=st.text("a:"),
    )
)
def test_what_is_written_is_read(setup_: Setup) -> None:
    assert Setup.from_json(setup_.to_json()) == setup_


@given(text=st.binary(min_size=1) | st.sampled_from([b"[]", b"{}", b'{"version": 2}', b'{"version": 1, "kind": "x"}']))
def test_what_is_not_ours_is_refused(text: bytes) -> None:
    with pytest.raises(PermanentError):
        Setup.from_json(Secret(text))


@given(cut=st.integers(min_value=1, max_value=400))
def test_half_a_file_is_refused(cut: int) -> None:
    whole = join_setup(join_plan(), Patience.REAL).to_json().reveal()
    with pytest.raises(PermanentError):
        Setup.from_json(Secret(whole[: -min(cut, len(whole) - 1)]))


def test_nothing_is_nothing(tmp_path: Path) -> None:
    assert setup.load(root=tmp_path) is None


def test_what_was_begun_is_replaced_by_what_is_finished(tmp_path: Path) -> None:
    setup.save(init_setup(cluster_plan(), Patience.REAL), root=tmp_path)
    setup.save(FINISHED, root=tmp_path)
    assert setup.load(root=tmp_path) == FINISHED
    (file,) = (tmp_path / "etc/kubernetes/constellation").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "key" not in file.read_text(encoding="utf-8")


def test_no_secret_is_shown() -> None:
    shown = repr(init_setup(cluster_plan(), Patience.REAL)) + repr(join_setup(join_plan(), Patience.REAL))
    assert "PRIVATE KEY" not in shown
    assert "secretbox" not in shown


def test_what_is_laid_out_is_private(tmp_path: Path) -> None:
    setup.lay_out(join_setup(join_plan(control_plane=True, whose="worker-0"), Patience.REAL), root=tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    current = tmp_path / "var/lib/kubelet/pki/kubelet-client-current.pem"
    assert current.readlink() == Path("kubelet-client-2026-11-21-12-00-00.pem")
    assert current.read_bytes().startswith(pem("worker-0"))


def test_leftovers_go_and_the_setup_stays(tmp_path: Path) -> None:
    setup.save(init_setup(cluster_plan(), Patience.REAL), root=tmp_path)
    for path in ("etc/kubernetes/admin.conf", "etc/kubernetes/pki/etcd/ca.key", "var/lib/etcd/member/snap/db"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    (tmp_path / "etc/kubernetes/way-out").symlink_to(tmp_path)
    setup.clear(root=tmp_path)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir())
    assert left == ["etc/kubernetes/constellation/setup.json"]
    assert (tmp_path / "var/lib/etcd").is_dir()


def test_a_member_of_etcd_is_known_by_its_data(tmp_path: Path) -> None:
    work = join_setup(join_plan(), Patience.REAL)
    assert not setup.is_member(work, root=tmp_path)
    (tmp_path / "var/lib/etcd/member").mkdir(parents=True)
    assert setup.is_member(work, root=tmp_path)
    assert not setup.is_member(init_setup(cluster_plan(), Patience.REAL), root=tmp_path)


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "/etc/passwd", "pki/../admin.conf", "admin.conf", "pki/apiserver.key", ""]
)
def test_a_ticket_writes_no_other_files(path: str) -> None:
    files = (ControlPlaneFile(path, Secret(b"x")),)
    with pytest.raises(PermanentError, match="expected files that control planes share"):
        join_setup(join_plan(control_plane=True, files=files), Patience.REAL)


def test_a_ticket_with_another_authority_is_refused() -> None:
    files = (ControlPlaneFile("pki/ca.crt", Secret(pem("somebody"))),)
    with pytest.raises(PermanentError, match="expected the authority sha256:"):
        join_setup(join_plan(control_plane=True, files=files), Patience.REAL)


def test_a_certificate_for_another_key_is_refused() -> None:
    with pytest.raises(PermanentError, match="not for the key"):
        join_setup(join_plan(whose="somebody"), Patience.REAL)


def test_secrets_are_encrypted_with_the_derived_key_alone() -> None:
    document = yaml.safe_load(encryption_configuration(SECRETS_KEY).reveal())
    (rule,) = document["resources"]
    assert rule["resources"] == ["secrets"]
    assert [list(provider) for provider in rule["providers"]] == [["secretbox"]]
    assert Path(ENCRYPTION_CONFIGURATION) in init_setup(cluster_plan(), Patience.REAL).files


def first_objects() -> dict[str, Any]:
    text = objects.first_objects(cluster_plan()).reveal()
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in yaml.safe_load_all(text)}


def test_the_first_objects_are_what_their_readers_read() -> None:
    found = first_objects()
    facts = ClusterFacts.from_yaml(found["ConfigMap/cluster"]["data"]["cluster.yaml"])
    programs = found[f"ConfigMap/{facts.components}"]["data"]
    assert ComponentList.from_data(facts.components, programs).components == cluster_plan().components
    assert facts.measurement_salt == cluster_plan().measurement_salt
    assert objects.GROUP == cluster_objects.GROUP


def test_every_object_has_its_place() -> None:
    kinds = sorted({name.partition("/")[0] for name in first_objects()})
    assert kinds == ["ConfigMap", "Lease", "NodeIdentity", "Secret"]
