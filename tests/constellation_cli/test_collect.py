# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation evidence collect`: against swtpm for real, and what happens without a device."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from attestation.evidence import Evidence
from attestation.testing.swtpm import running_swtpm
from attestation.variant import Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typer.testing import Result

BINDING = bytes(range(32))


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real TPM made of software."""
    if shutil.which("swtpm") is None:
        pytest.skip("swtpm is not installed")
    with running_swtpm(tmp_path_factory.mktemp("tpm"), endorsed=False) as swtpm:
        yield swtpm.address


@pytest.fixture
def collected(constellation: Callable[..., Result], tpm: str, tmp_path: Path) -> Path:
    """A file of evidence, bound to `BINDING`."""
    path = tmp_path / "evidence.json"
    words = ("--variant", "openstack-vtpm", "--tpm", tpm, "--binding", BINDING.hex(), "-o", path)
    result = constellation("evidence", "collect", *words)
    assert (result.exit_code, result.stdout) == (0, "")
    next_step = f"next: constellation evidence verify --policy FILE --binding {BINDING.hex()} {path}\n"
    assert result.stderr == next_step
    return path


def test_what_is_collected_is_canonical(collected: Path) -> None:
    data = collected.read_bytes()
    evidence = Evidence.from_json(data)
    assert (evidence.variant, evidence.to_json()) == (Variant.OPENSTACK_VTPM, data)


def test_what_is_collected_is_accepted(
    constellation: Callable[..., Result], collected: Path, policy_file: Callable[..., Path]
) -> None:
    name = json.loads(constellation("evidence", "inspect", "-o", "json", collected).stdout)
    ak_name = name["files"][0]["fields"]["tpm"]["ak_public"]["name"]
    measurements = {"12": {"expected": "00" * 32, "enforced": True}}
    policy = policy_file(variant="openstack-vtpm", measurements=measurements, ak_names=[ak_name])
    words = ("evidence", "verify", "--policy", policy, "-o", "json", collected)
    fresh, stale = (constellation(*words, "--binding", value.hex()) for value in (BINDING, bytes(32)))
    assert (fresh.exit_code, json.loads(fresh.stdout)["mismatches"]) == (0, [])
    assert (stale.exit_code, json.loads(stale.stdout)["mismatches"][0]["name"]) == (2, "tpm.binding")


def test_parts_of_other_tools_make_the_same_evidence(
    constellation: Callable[..., Result], collected: Path, policy_file: Callable[..., Path], tmp_path: Path
) -> None:
    tpm = Evidence.from_json(collected.read_bytes()).tpm
    assert tpm is not None
    registers = "sha256:\n" + "".join(f"  {index:<2}: 0x{value.hex().upper()}\n" for index, value in tpm.pcrs.items())
    sized_public = len(tpm.ak_public).to_bytes(2, "big") + tpm.ak_public
    parts = {"quote": tpm.attest, "signature": tpm.signature, "ak": sized_public, "pcrs": registers.encode()}
    for name, data in parts.items():
        (tmp_path / name).write_bytes(data)
    policy = policy_file(variant="openstack-vtpm", measurements={"12": {"expected": "00" * 32, "enforced": True}})
    paths = [tmp_path / name for name in parts]
    words = ("evidence", "verify", "--policy", policy, "-o", "json")
    from_parts, from_one = (constellation(*words, *files) for files in (paths, [collected]))
    assert json.loads(from_parts.stdout)["evidence_sha256"] == json.loads(from_one.stdout)["evidence_sha256"]


def test_without_a_file_it_goes_to_stdout(constellation: Callable[..., Result], tpm: str) -> None:
    result = constellation("evidence", "collect", "--tpm", tpm)
    assert Evidence.from_json(result.stdout.encode()).variant is Variant.QEMU_VTPM
    assert result.stderr.startswith("warning: nobody chose what is signed; it is the random binding ")


def test_a_boot_log_can_be_named(constellation: Callable[..., Result], tpm: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"events")
    result = constellation("evidence", "collect", "--tpm", tpm, "--boot-log", tmp_path / "log")
    evidence = Evidence.from_json(result.stdout.encode())
    assert evidence.tpm is not None
    assert evidence.tpm.event_log == b"events"


@pytest.mark.parametrize(
    "words, reason",
    [
        ("--tpm tcp://127.0.0.1:1", "cannot reach a TPM at 127.0.0.1:1"),
        ("--tpm nowhere:1", "'nowhere:1' is not the address of a TPM"),
        ("--tpm /dev/no-such-tpm", "no TPM at /dev/no-such-tpm"),
        ("--variant qemu-snp", "this machine offers no SEV-SNP reports"),
    ],
)
def test_a_device_that_is_not_there(constellation: Callable[..., Result], words: str, reason: str) -> None:
    if "snp" in words and Path("/sys/kernel/config/tsm/report").exists():
        pytest.skip("this machine has a report device")
    result = constellation("evidence", "collect", "--binding", BINDING.hex(), *words.split())
    assert (result.exit_code, result.stdout) == (1, "")
    error, hint = result.stderr.splitlines()
    assert error.startswith(f"error: {reason}")
    assert hint.startswith("hint: ")


def test_a_silent_tpm_is_given_up(constellation: Callable[..., Result]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        result = constellation("evidence", "collect", "--tpm", address, "--timeout", "0.2")
    assert result.exit_code == 1
    assert "error: " in result.stderr


def test_a_file_that_cannot_be_written(constellation: Callable[..., Result]) -> None:
    result = constellation("evidence", "collect", "--variant", "insecure", "-o", "/nowhere/evidence.json")
    assert result.exit_code == 1
    assert "error: /nowhere/evidence.json cannot be written: No such file or directory" in result.stderr
