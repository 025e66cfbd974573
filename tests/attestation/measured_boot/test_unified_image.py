# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Unified kernel images: the stub is recognised, and what depends on more than the file is refused."""

from __future__ import annotations

import pytest

from attestation.errors import AttestationError, MalformedError, PredictionError
from attestation.measured_boot.stub import StubRelease, identify_stub
from attestation.measured_boot.uki import MAX_COMMAND_LINE, parse_uki
from attestation.testing.uki import PARTS, FakeUki, build_executable, stub_magic


@pytest.mark.parametrize(
    "version, release",
    [
        ("252.39-1~deb12u1", StubRelease.V252),
        ("253", StubRelease.V253),
        ("254.26-1~bpo12+1", StubRelease.V254),
        ("255.4-1ubuntu8.4", StubRelease.V255),
        ("256.7-1.fc41", StubRelease.V256),
        ("257.5-2-arch", StubRelease.V257),
        ("v257.9", StubRelease.V257),
    ],
)
def test_the_version_strings_of_distributions_are_understood(version: str, release: StubRelease) -> None:
    stub = identify_stub(memoryview(stub_magic(version)))
    assert (stub.version, stub.release) == (version, release)


@pytest.mark.parametrize("version", ["251.2", "258", "262.1-1", "2570", "25", "257~rc2-3", "257-rc1", "257~devel"])
def test_a_stub_whose_behaviour_is_not_known_is_refused_by_name(version: str) -> None:
    with pytest.raises(PredictionError, match=f"systemd-stub {version}") as refusal:
        parse_uki(FakeUki(stub_version=version).build())
    assert refusal.value.hint == "build the image with a release of systemd from 252 to 257"


@pytest.mark.parametrize(
    "magic", [b"", b"\0" * 52, b"#### LoaderInfo: systemd-boot 257 ####", b"#### LoaderInfo: systemd-stub  ####"]
)
def test_a_stub_without_a_version_is_refused(magic: bytes) -> None:
    with pytest.raises(PredictionError, match="does not name a version"):
        identify_stub(memoryview(magic))


def test_releases_measure_more_and_more() -> None:
    counts = [len(release.measured) for release in StubRelease]
    assert counts == [7, 7, 9, 9, 10, 11]


def test_an_executable_that_is_no_image_says_what_it_lacks() -> None:
    with pytest.raises(PredictionError, match=r"no section \.linux and no section \.sdmagic"):
        parse_uki(build_executable({".text": b"\xc3"}))


@pytest.mark.parametrize(
    "name, message",
    [
        (".profile", "chosen at boot"),
        (".dtbauto", "depends on the hardware"),
        (".linuxes", "with a shorter name"),
        (".sbat2", "with a shorter name"),
    ],
)
def test_sections_that_make_a_prediction_impossible_are_refused(name: str, message: str) -> None:
    with pytest.raises(PredictionError, match=message):
        parse_uki(FakeUki(sections={**PARTS, name: b"x"}).build())


@pytest.mark.parametrize("name", [".cmdline", ".pcrsig", ".sdmagic"])
def test_a_section_that_is_there_twice_is_refused(name: str) -> None:
    placeholder = b".twice\0\0"
    image = FakeUki(sections={**PARTS, ".cmdline": b"quiet", ".pcrsig": b"{}", ".twice": b"init=/bin/sh"}).build()
    with pytest.raises(PredictionError, match=rf"2 sections \{name}"):
        parse_uki(image.replace(placeholder, name.encode().ljust(8, b"\0")))


def test_an_empty_section_counts_as_none() -> None:
    assert ".initrd" not in parse_uki(FakeUki(sections={**PARTS, ".initrd": b""}).build()).sections


def test_an_image_for_another_processor_is_refused() -> None:
    with pytest.raises(PredictionError, match="machine 0xaa64"):
        parse_uki(FakeUki(machine=0xAA64).build())


def test_a_kernel_that_is_no_executable_is_refused() -> None:
    with pytest.raises(MalformedError, match="begins with"):
        parse_uki(FakeUki(sections={".linux": b"\x1f\x8bgzip"}).build())


def test_a_kernel_that_the_stub_starts_in_the_old_way_is_refused() -> None:
    old = build_executable({".text": b"\xc3"}, major_image_version=0)
    with pytest.raises(PredictionError, match=r"older than Linux 5\.8"):
        parse_uki(FakeUki(sections={".linux": old}).build())


@pytest.mark.parametrize(
    "section, expected",
    [
        (b"quiet", "quiet"),
        (b"quiet\n", "quiet"),
        (b"a=1\tb=2\n c=3 \t\n", "a=1 b=2  c=3"),
        (b"quiet\0\0\0", "quiet"),
        (b"quiet\0init=/bin/sh", "quiet"),
        (b" \n", ""),
        (b"", None),
    ],
)
def test_the_command_line_is_what_the_stub_hands_over(section: bytes, expected: str | None) -> None:
    assert parse_uki(FakeUki(sections={**PARTS, ".cmdline": section}).build()).command_line == expected


@pytest.mark.parametrize(
    "section", [b" quiet", b"\nquiet", b"\x01quiet", "käse".encode(), b"\xff", b"a\x7fb", b"a" * (MAX_COMMAND_LINE + 1)]
)
def test_a_command_line_that_stubs_treat_differently_is_refused(section: bytes) -> None:
    with pytest.raises(PredictionError, match="command line"):
        parse_uki(FakeUki(sections={**PARTS, ".cmdline": section}).build())


def test_every_refusal_that_a_builder_can_act_on_has_a_hint() -> None:
    broken = [FakeUki(stub_version="258"), FakeUki(sections={}), FakeUki(sections={**PARTS, ".profile": b"x"})]
    for image in broken:
        with pytest.raises(AttestationError) as refusal:
            parse_uki(image.build())
        assert refusal.value.hint
