# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Partition tables, FAT and dm-verity: whatever the bytes, an answer or a `MalformedError`."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedError
from constellation_engine.node_image.disk import UKI_PATH, Disk, root_hash_of
from constellation_engine.node_image.fat import FatVolume, Width
from constellation_engine.node_image.gpt import SECTOR, PartitionType, parse_partitions
from constellation_engine.node_image.verity import compute_root_hash, parse_verity
from constellation_engine.testing.node_disk import (
    BLOCK,
    FAT_CLUSTERS,
    FakeDisk,
    build_fat,
    build_gpt,
    build_verity,
)

if TYPE_CHECKING:
    from pathlib import Path

FILES = {UKI_PATH: b"a kernel" * 1000, "constellation/measurements.json": b"{}", "empty": b""}
FAT = build_fat(FILES)
GPT = build_gpt([(PartitionType.ESP, "esp", bytes(8 * SECTOR)), (PartitionType.ROOT, "root", bytes(8 * SECTOR))])
DATA = random.Random(0).randbytes(300 * BLOCK)  # three levels of hashes
HASHES, ROOT_HASH = build_verity(DATA)
BOOT_SECTOR, ROOT_FOLDER = 0, SECTOR * (1 + -(-(FAT_CLUSTERS + 2) * 2 // SECTOR))


def changed(data: bytes, offset: int, value: bytes) -> memoryview:
    return memoryview(data[:offset] + value + data[offset + len(value) :])


def read_all(data: memoryview) -> dict[str, bytes]:
    volume = FatVolume(data)
    return {file.path: volume.read(file) for file in volume.files()}


def flips(data: bytes, where: range) -> st.SearchStrategy[memoryview]:
    places = st.integers(where.start, min(where.stop, len(data)) - 1)
    return st.tuples(places, st.binary(min_size=1, max_size=8)).map(lambda one: changed(data, *one)[: len(data)])


class TestPartitionTable:
    def test_partitions_are_read_in_order(self) -> None:
        esp, root = parse_partitions(memoryview(GPT))
        assert (esp.name, esp.type, esp.offset, esp.size) == ("esp", PartitionType.ESP, 2048 * SECTOR, 8 * SECTOR)
        assert (root.name, root.type, root.offset) == ("root", PartitionType.ROOT, esp.offset + esp.size)

    @given(st.integers(0, len(GPT) - 1))
    def test_a_disk_that_was_cut_off_is_refused(self, size: int) -> None:
        with pytest.raises(MalformedError):
            parse_partitions(memoryview(GPT)[:size])

    @given(flips(GPT, range(SECTOR, SECTOR * 34)) | flips(GPT, range(len(GPT) - SECTOR * 33, len(GPT))))
    def test_a_damaged_table_is_refused(self, disk: memoryview) -> None:
        with suppress(MalformedError):
            assert parse_partitions(disk) == parse_partitions(memoryview(GPT))

    @given(st.binary(max_size=4096))
    def test_anything_else_is_refused(self, data: bytes) -> None:
        with pytest.raises(MalformedError):
            parse_partitions(memoryview(data))

    def test_a_disk_that_grew_is_read(self) -> None:
        assert len(parse_partitions(memoryview(GPT + bytes(SECTOR)))) == 2

    def test_a_missing_or_second_partition_is_told(self) -> None:
        disk = Disk.parse(memoryview(GPT))
        with pytest.raises(MalformedError, match="expected one partition of type ROOT_VERITY on the disk, got 0"):
            disk.partition(PartitionType.ROOT_VERITY)
        twice = build_gpt([(PartitionType.ESP, "one", bytes(SECTOR)), (PartitionType.ESP, "two", bytes(SECTOR))])
        with pytest.raises(MalformedError, match="got 2"):
            Disk.parse(memoryview(twice)).esp()


class TestFat:
    def test_files_are_read_by_their_long_names(self) -> None:
        assert read_all(memoryview(FAT)) == dict(sorted(FILES.items()))

    @pytest.mark.parametrize(
        "clusters, width",
        [(1, 12), (4084, 12), (4085, 16), (65524, 16), (65525, 32), (200_000, 32)],
    )
    def test_the_number_of_clusters_decides(self, clusters: int, width: int) -> None:
        assert Width.of(clusters) == width

    @given(flips(FAT, range(BOOT_SECTOR, 64)))
    def test_a_damaged_boot_sector(self, data: memoryview) -> None:
        with suppress(MalformedError):
            read_all(data)

    @given(flips(FAT, range(SECTOR, SECTOR + 128)))
    def test_a_damaged_allocation_table(self, data: memoryview) -> None:
        with suppress(MalformedError):
            read_all(data)

    @given(flips(FAT, range(ROOT_FOLDER, ROOT_FOLDER + 512)) | flips(FAT, range(ROOT_FOLDER + 16384, len(FAT))))
    def test_damaged_folders(self, data: memoryview) -> None:
        with suppress(MalformedError):
            read_all(data)

    @given(st.integers(0, len(FAT) - 1))
    def test_a_partition_that_was_cut_off(self, size: int) -> None:
        with pytest.raises(MalformedError):
            FatVolume(memoryview(FAT)[:size])

    def test_an_undersized_fat32_is_refused_as_firmware_does(self) -> None:
        boot = bytearray(FAT)
        boot[22:24], boot[36:40] = b"\0\0", (33).to_bytes(4, "little")
        with pytest.raises(MalformedError, match="firmware does not read it"):
            FatVolume(memoryview(boot))

    def test_a_chain_in_a_circle_ends(self) -> None:
        file = next(file for file in FatVolume(memoryview(FAT)).files() if file.path == UKI_PATH)
        data = changed(FAT, SECTOR + 2 * file.cluster, file.cluster.to_bytes(2, "little"))
        assert len(FatVolume(data).read(file)) == file.size

    def test_a_folder_that_holds_itself_is_refused(self) -> None:
        data = build_fat({"folder/file": b"x" * SECTOR, "other/file": b"y"})
        folder = ROOT_FOLDER + 32  # after one part of its long name
        root_of_other = changed(data, folder + 2 * 32 + 26, data[folder + 26 : folder + 28])
        with pytest.raises(MalformedError, match="inside of another twice"):
            FatVolume(root_of_other).files()

    def test_two_files_of_one_name_are_refused(self) -> None:
        with pytest.raises(MalformedError, match="two files in one folder are called"):
            FatVolume(memoryview(build_fat({"a/File": b"1", "a/FILE": b"2"}))).files()

    def test_a_long_name_that_belongs_to_nothing_is_not_believed(self) -> None:
        data = changed(build_fat({"harmless": b""}), ROOT_FOLDER + 13, b"\xff")
        assert [file.path for file in FatVolume(data).files()] == ["FILE0000.BIN"]

    def test_a_missing_file_is_told(self) -> None:
        esp = Disk.parse(memoryview(FakeDisk(b"uki").build())).esp()
        assert esp.read("efi/boot/bootx64.efi") == b"uki"
        with pytest.raises(MalformedError, match=r"expected nothing\.efi in the ESP, got EFI/BOOT/BOOTX64\.EFI"):
            esp.read("nothing.efi")


class TestVerity:
    def test_the_root_hash_is_that_of_the_data(self) -> None:
        assert compute_root_hash(memoryview(DATA), memoryview(HASHES)).hex() == ROOT_HASH
        assert parse_verity(memoryview(HASHES)).data_size == len(DATA)

    @given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
    def test_a_changed_byte_is_found_and_its_block_named(self, offset: int, change: int) -> None:
        data = changed(DATA, offset, bytes([DATA[offset] ^ change]))
        with pytest.raises(MalformedError, match=f"block {offset // BLOCK} was changed, and 0 more"):
            compute_root_hash(data, memoryview(HASHES))

    @given(st.integers(BLOCK, len(HASHES) - 1), st.integers(1, 255))
    def test_a_changed_hash_is_found(self, offset: int, change: int) -> None:
        hashes = changed(HASHES, offset, bytes([HASHES[offset] ^ change]))
        with pytest.raises(MalformedError):
            compute_root_hash(memoryview(DATA), hashes)

    @given(flips(HASHES, range(256)))
    def test_a_damaged_superblock(self, hashes: memoryview) -> None:
        with suppress(MalformedError):
            compute_root_hash(memoryview(DATA), hashes)

    @given(st.integers(0, len(HASHES) - 1))
    def test_hashes_that_were_cut_off(self, size: int) -> None:
        with pytest.raises(MalformedError):
            compute_root_hash(memoryview(DATA), memoryview(HASHES)[:size])

    @pytest.mark.parametrize(
        "line, expected",
        [("quiet roothash=ab", "ab"), ("quiet", ""), ("roothash=a roothash=b", ""), ("xroothash=a", "")],
    )
    def test_the_root_hash_of_a_command_line(self, line: str, expected: str) -> None:
        assert root_hash_of(line) == expected


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed here: {', '.join(missing)}")


def run(*command: object) -> str:
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=50).stdout


class TestOthersMakeWhatWeRead:
    @needs("mkfs.vfat", "mmd", "mcopy")
    @pytest.mark.parametrize("width, size", [(12, 4 << 20), (16, 32 << 20), (32, 64 << 20)])
    def test_dosfstools_and_mtools(self, tmp_path: Path, width: int, size: int) -> None:
        volume, kernel = tmp_path / "esp", tmp_path / "kernel"
        kernel.write_bytes(content := os.urandom(1_000_001))
        volume.touch()
        os.truncate(volume, size)
        run("mkfs.vfat", "-F", width, "-s", {12: 4, 16: 4, 32: 1}[width], "-n", "ESP", volume)
        run("mmd", "-i", volume, "::EFI", "::EFI/BOOT", "::constellation")
        for path in (UKI_PATH, "constellation/measurements.json", "lower.efi"):
            run("mcopy", "-i", volume, kernel, f"::{path}")
        found = read_all(memoryview(volume.read_bytes()))
        assert found == dict.fromkeys((UKI_PATH, "constellation/measurements.json", "lower.efi"), content)

    @needs("sgdisk")
    def test_gdisk(self, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.touch()
        os.truncate(disk, 64 << 20)
        run("sgdisk", "-n", "1:0:+8M", "-t", "1:ef00", "-c", "1:esp", "-n", "2:0:+8M", "-t", "2:8304", disk)
        assert [one.type for one in parse_partitions(memoryview(disk.read_bytes()))] == [
            PartitionType.ESP,
            PartitionType.ROOT,
        ]

    @needs("veritysetup")
    @pytest.mark.parametrize("sizes", [(4096, 4096), (512, 512), (512, 4096), (4096, 512)])
    @pytest.mark.parametrize("blocks", [1, 2, 300])
    def test_cryptsetup(self, tmp_path: Path, sizes: tuple[int, int], blocks: int) -> None:
        data, options = DATA[: blocks * BLOCK], ("--data-block-size", sizes[0], "--hash-block-size", sizes[1])
        (tmp_path / "data").write_bytes(data)
        said = run("veritysetup", "format", *options, tmp_path / "data", tmp_path / "hashes")
        hashes = memoryview((tmp_path / "hashes").read_bytes())
        assert compute_root_hash(memoryview(data), hashes).hex() in said
