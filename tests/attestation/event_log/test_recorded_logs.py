# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Logs of real machines replay to the registers that were published, or quoted, with them."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.ccel import parse_ccel_table, replay_rtmrs
from attestation.tpm.event_log import EventLog, LogFormat, parse_event_log
from attestation.tpm.event_types import EventType
from attestation.tpm.gce_event import GceTechnology, gce_technology
from attestation.tpm.replay import replay, unproved_events

if TYPE_CHECKING:
    from pathlib import Path

GO_TPM_TOOLS = "google__go-tpm-tools/internal/test/eventlogs"
LEGACY = "google__go-eventlog/testdata/legacydata"
TRUSTEE = "confidential-containers__trustee/deps/eventlog/test_data"
SHA1, SHA256, SHA384 = HashAlgorithm.SHA1, HashAlgorithm.SHA256, HashAlgorithm.SHA384
NOTHING = "00" * 48

# Registers 0, 4, 5, 7, 8 and 9 of the SHA-256 bank, as go-tpm-tools publishes them with the logs.
PUBLISHED = {
    "ubuntu-1804-amd-sev.bin": (
        "0f35c214608d93c7a6e68ae7359b4a8be5a0e99eea9107ece427c4dea4e439cf",
        "b4b94e840fc9352e20bdb5b456b4c242af0fb146755b6935d8eda000ea368a31",
        "0b75168095fd6464ff1f9943b762ec009a3ae84c5e76cf67361e16b9db30d28e",
        "61af3f499f1a86be54458fd30d193fa913a7e23ca3103fa3d0abaefd3cd4f9b8",
        "c324da9d0c54252c37af697cdd58b066f2bb0f4a69752d27623bc738d02e9486",
        "2d334f1eeb9a16dabaccaa746ff1c0dce2e9aeb3f3a4a314e5e1e61b01e940d0",
    ),
    "ubuntu-2104-no-dbx.bin": (
        "24af52a4f429b71a3184a6d64cddad17e54ea030e2aa6576bf3a5a3d8bd3328f",
        "295aeaeacad1d507930bab18418f905eeda633ea67b2ab94c5e5fd3a4d47ac58",
        "e4f1359accfe48b19af7d38e98a3f373116b55b7f7a6f58f826f409a91d9fd28",
        "ca37324eeffabd318d30a20f15bf27ce25dc33e2c9856279ff6c2ced58b02efa",
        "2f2559cae74bb441d75afea5edb78d9a645db9f4bf8dea84bab0861ce6032e18",
        "9f27883322aaaf043662c27542d9685790c687ea554e4e2ae30f0e099a2e4889",
    ),
    "ubuntu-2104-no-secure-boot.bin": (
        "24af52a4f429b71a3184a6d64cddad17e54ea030e2aa6576bf3a5a3d8bd3328f",
        "ebc7ae25d0347868250995c9a8fff16bf79e048453262d0ef2756e213c76181c",
        "47715f9f2c10769da6ee23be5633fd88e247caf162f4eeb0b6f8482ccfeadfb5",
        "0d8847bc5eca06452df10e2f214363845c7ac11d47525a5474e225e72ce25dfe",
        "b9a324947de94ec2fd4b04483ecfcb37dfdd520a7c0ecf73c77bf2595549c84f",
        "adb87be3efd96cc3a2f66b8aa7564f9727563ef494a95d571a3f38ff4afb25dd",
    ),
    "cos-85-amd-sev.bin": (
        "0f35c214608d93c7a6e68ae7359b4a8be5a0e99eea9107ece427c4dea4e439cf",
        "d690bdac2aa8b73a1d718cb91990df07d0747b07ea57b3b2d0f0d511f0d90491",
        "e9e0b32564b6f8215b1bd43954d9f910682d39c3b18abd4737ac3b797cf269e0",
        "3365d7fa2b024c852913c06e04ffbfa6ea5289f743bbf1a76f7ffdf21ed84793",
        "9e9b6511ae6ad443aae4c7bf998ffffbcd271c874f1efab9d692f129eb6e6c18",
        "f4f2d92d6d54f6c41f2706fd98091317642e0680a7902c72893d41e3464a93b7",
    ),
}

# RTMR 0 to 3: of the first the values in a quote of the same machine, of the others as trustee publishes them.
RTMRS = {
    "google__go-tdx-guest/testing/testdata/ccel/ccel_data.dat": (
        "3fa2f61f395b7f5feefb4ec2df61297f109ad8abcd6410c1b7df60f21f37b19297fc35e544039c7e1edece752afd17f6",
        "f62dbc072bd5d3f3438b7b35c39a727f5aea2ffc2473f43723953f530daf62504f0a7944aa62c41a86e8a878c2b122c1",
        "4969684dc87381fc3b3134176c8d8806eaf0a901859f5f70cfae8d17714b46c10a8de219048c9fc09f11f381a6fbe7c1",
        NOTHING,
    ),
    f"{TRUSTEE}/CCEL_data_gcp": (
        "3300980705adf09d28b707b79699d9874892164280832be2c386a715b6e204e0897fb564a064f810659207ba862b304f",
        "204d49f78d29918fe7b2f694e76653861a0c2a018987d2c3a54266eff737232524cf0af68c4d180e2f8c2c0937f21967",
        NOTHING,
        NOTHING,
    ),
    f"{TRUSTEE}/CCEL_data_grub": (
        "cec0a104f691f60da2387fea3c2de00c4ac035e2bb479ff02edcce69039d9e9907f0b3e55031da3dc7038f423adebd79",
        "6c289e0c62182d41ebe97bdbc9872d10998a08eaa86adcdc684001a363207ee72942c7522cdf00a4bbc3d784bed7b670",
        "08919d017ba0e52cd6d966351c7de16fe76c1d3d3d3da4554239e4c7d16cb8b82a94e7eaea3a0e6e18eb690b999fd31e",
        NOTHING,
    ),
    f"{TRUSTEE}/CCEL_data_ovmf": (
        "8566f998798db09443b244c62de9a3041fb02e2e6936c4396d784bba2e90177329ec5aba3bb484404f2ab9cc90abe193",
        "775b9f6bfe99f8a31396f0d0218e67ffa796d3b96ccf961cbb0deba48c79c00f082cda1a5567c1c16305f1fc210c13c6",
        "94eaf7a7bf398ed8d888c91057ae0261802e4f3df084213a76ca7f0b5055ac9d2241de43cd58d9e8b49c503bbf25f34a",
        NOTHING,
    ),
}


def read(path: Path) -> EventLog:
    return parse_event_log(path.read_bytes())


@pytest.mark.parametrize("name", PUBLISHED)
def test_registers_are_those_published(vectors: Path, name: str) -> None:
    replayed = replay(read(vectors / GO_TPM_TOOLS / name), SHA256)
    assert tuple(replayed[index].hex() for index in (0, 4, 5, 7, 8, 9)) == PUBLISHED[name]


def test_desktop_without_locality_event(vectors: Path) -> None:
    replayed = replay(read(vectors / GO_TPM_TOOLS / "arch-linux-workstation.bin"), SHA256)
    assert replayed[0].hex() == "758b773d94feabf52ef5a4c00a7ad2c80d8d6e6d9d58756150be9bc973da9087"
    assert replayed[8].hex() == "47591b43af431963eaeb5238a5c42eda1eb0014c27f7de7ae483066a2d2a2e61"


def test_log_of_tcg_1_2(vectors: Path) -> None:
    log = read(vectors / GO_TPM_TOOLS / "debian-10.bin")
    assert log.format is LogFormat.TCG_1_2
    replayed = replay(log, SHA1)
    assert replayed[4].hex() == "1eb30816474a3f144e99b24e4ad480b2e51fd9e1"
    assert replayed[7].hex() == "9e6c57e850f371c2a7fe02bca552149363952318"


@pytest.mark.parametrize("stub", ["252", "257"])
def test_own_boots_replay_to_the_registers_of_the_running_machine(vectors: Path, stub: str) -> None:
    folder = vectors / "derived" / "qemu_ovmf_uki"
    recorded = json.loads((folder / f"pcrs_stub{stub}.json").read_text(encoding="utf-8"))["pcr_sha256"]
    replayed = replay(read(folder / f"eventlog_stub{stub}.bin"), SHA256)
    later = {10}  # Linux extends register 10 after the boot log ends
    assert {index: value.hex() for index, value in replayed.items()} == {
        index: recorded[str(index)] for index in replayed
    }
    assert all(int(value, 16) == 0 for index, value in recorded.items() if int(index) not in {*replayed, *later})


@pytest.mark.parametrize("name", RTMRS)
def test_rtmrs_are_those_published(vectors: Path, name: str) -> None:
    assert tuple(value.hex() for value in replay_rtmrs(read(vectors / name)).values()) == RTMRS[name]


@pytest.mark.parametrize("kind", ["grub", "ovmf"])
def test_events_are_those_that_another_parser_sees(vectors: Path, kind: str) -> None:
    folder = vectors / TRUSTEE
    others = json.loads((folder / f"CCEL_data_{kind}_out.json").read_text(encoding="utf-8"))["uefi_event_logs"]
    ours = read(folder / f"CCEL_data_{kind}").events[1:]
    assert [
        (event.register, event.type_name, event.digests[SHA384].hex(), event.data, event.proves_data(SHA384))
        for event in ours
    ] == [
        (
            other["index"],
            other["type_name"],
            other["digests"][0]["digest"],
            base64.b64decode(other["event"]),
            other["digest_matches_event"],
        )
        for other in others
    ]


def test_startup_locality_is_the_start_of_register_0(vectors: Path) -> None:
    log = read(vectors / "keylime__keylime/test/data/create-mb-policy/binary_bios_measurements")
    assert log.events[1].data == b"StartupLocality\0\x03"
    without = EventLog(log.format, log.algorithms, (log.events[0], *log.events[2:]))
    assert replay(log, SHA256)[0] != replay(without, SHA256)[0]
    assert replay(log, SHA256)[4] == replay(without, SHA256)[4]


def test_log_that_only_informs(vectors: Path) -> None:
    log = read(vectors / LEGACY / "short_no_action_eventlog")
    assert len(log.events) == 1
    assert replay(log, SHA1) == {0: bytes(19) + b"\x03"}


def test_log_that_ends_before_the_operating_system_starts(vectors: Path) -> None:
    log = read(vectors / LEGACY / "ebs_event_missing_eventlog")
    assert len(log.events) == 38
    assert sorted(replay(log, SHA1)) == list(range(8))


def test_reference_manifests_do_not_extend(vectors: Path) -> None:
    log = read(vectors / GO_TPM_TOOLS / "eventlogwithsp800155.bin")
    assert sum(event.data.startswith(b"SP800-155 Event3") for event in log.events) == 2
    assert replay(log, SHA256)[0].hex().startswith("d0c70a9310cd0b55")


def test_every_bank_of_a_log_replays(vectors: Path) -> None:
    log = read(vectors / GO_TPM_TOOLS / "cos-85-amd-sev.bin")
    assert set(log.algorithms) == {SHA1, SHA256, SHA384}
    for algorithm in (SHA1, SHA256, SHA384):
        assert sorted(replay(log, algorithm)) == list(range(10))


@pytest.mark.parametrize(
    "name,technology",
    [
        ("ubuntu-1804-amd-sev.bin", GceTechnology.SEV),
        ("cos-85-amd-sev.bin", GceTechnology.SEV),
        ("ubuntu-2104-no-dbx.bin", GceTechnology.NONE),
        ("arch-linux-workstation.bin", None),
    ],
)
def test_technology_that_compute_engine_measured(vectors: Path, name: str, technology: GceTechnology | None) -> None:
    assert gce_technology(read(vectors / GO_TPM_TOOLS / name), SHA256) is technology


def test_boot_loader_that_logs_more_than_it_measures_is_shown(vectors: Path) -> None:
    log = read(vectors / GO_TPM_TOOLS / "cos-85-amd-sev.bin")
    assert {log.events[index].type for index in unproved_events(log, SHA256)} == {EventType.EV_EFI_VARIABLE_AUTHORITY}


@pytest.mark.parametrize(
    "path,size",
    [
        ("google__go-tdx-guest/testing/testdata/ccel/ccel_table.dat", 262144),
        ("google__go-eventlog/testdata/eventlogs/ccel/CCEL.bin", 65536),
    ],
)
def test_acpi_table(vectors: Path, path: str, size: int) -> None:
    table = parse_ccel_table((vectors / path).read_bytes())
    assert (table.cc_type, table.log_size) == (2, size)


@pytest.mark.parametrize("name", ["CCEL_unpadded.data.bin", "event_log.bin"])
def test_area_with_and_without_filling(vectors: Path, name: str) -> None:
    log = read(vectors / "google__go-eventlog/testdata/eventlogs/ccel" / name)
    assert all(log.events[index].register <= 4 for index in range(len(log.events)))
    assert replay_rtmrs(log)[3] == bytes(48)
