# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The client against a real TPM."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from attestation.errors import DeviceError, MalformedError, TpmError
from attestation.testing.swtpm import running_swtpm
from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.attestation_key import AttestationKey
from attestation.tpm.client import Tpm
from attestation.tpm.commands import Command
from attestation.tpm.device import open_device
from attestation.tpm.nv import nv_define, nv_read, nv_read_public, nv_undefine, nv_write
from attestation.tpm.public import parse_public
from attestation.tpm.sessions import SessionAttributes, SessionType
from attestation.tpm.structures import Hierarchy
from attestation.tpm.templates import ecc_attestation_key, ecc_storage_key, rsa_attestation_key
from attestation.tpm.verify import verify_quote

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from attestation.testing.swtpm import Swtpm

BINDING = bytes(range(32))
INDEX = 0x01800100


@pytest.mark.parametrize("template", [ecc_attestation_key(), rsa_attestation_key()], ids=["ecc", "rsa"])
def test_quote_of_a_real_tpm_is_genuine(tpm: Tpm, template: bytes) -> None:
    with tpm.primary(Hierarchy.ENDORSEMENT, template) as key:
        quote = tpm.quote(key, BINDING, range(24))
        proof = verify_quote(
            AttestationKey.from_public_area(key.public),
            quote.attest,
            quote.signature,
            tpm.pcr_read(range(24)),
            binding=BINDING,
            vouchers=(),
        )
    assert proof.key.name == key.name


@pytest.mark.parametrize("bank", [HashAlgorithm.SHA1, HashAlgorithm.SHA256, HashAlgorithm.SHA384])
def test_every_bank_can_be_quoted(tpm: Tpm, bank: HashAlgorithm) -> None:
    with tpm.primary(Hierarchy.ENDORSEMENT, ecc_attestation_key()) as key:
        quote = tpm.quote(key, BINDING, [0, 15], bank)
        values = tpm.pcr_read([0, 15], bank)
    ak = AttestationKey.from_public_area(key.public)
    verify_quote(ak, quote.attest, quote.signature, values, binding=BINDING, vouchers=(), bank=bank)


def test_attestation_key_is_the_same_after_a_reboot_and_stored_nowhere(tmp_path: Path) -> None:
    names = []
    transports: tuple[Literal["tcp", "unix"], ...] = ("tcp", "unix")
    for transport in transports:
        with running_swtpm(tmp_path, transport=transport, endorsed=False) as running, Tpm.open(running.address) as tpm:
            with tpm.primary(Hierarchy.ENDORSEMENT, ecc_attestation_key()) as key:
                names.append(key.name)
            assert tpm.handles(0x81000000) == ()
    assert names[0] == names[1]


def test_extend_is_the_hash_of_old_value_and_digest(fresh_tpm: Tpm) -> None:
    digest = hashlib.sha256(b"measured").digest()
    fresh_tpm.pcr_extend(15, digest)
    assert fresh_tpm.pcr_read([15])[15] == hashlib.sha256(bytes(32) + digest).digest()
    assert fresh_tpm.pcr_read([15], HashAlgorithm.SHA1)[15] == bytes(20)


def test_event_extends_every_bank(fresh_tpm: Tpm) -> None:
    digests = fresh_tpm.pcr_event(15, b"cluster")
    assert digests[HashAlgorithm.SHA256] == hashlib.sha256(b"cluster").digest()
    assert fresh_tpm.pcr_read([15])[15] == hashlib.sha256(bytes(32) + digests[HashAlgorithm.SHA256]).digest()


def test_all_registers_are_read_although_a_tpm_returns_eight_at_once(fresh_tpm: Tpm) -> None:
    values = fresh_tpm.pcr_read(reversed(range(24)))
    assert list(values) == list(range(24))
    assert values[0] == bytes(32)
    assert values[17] == b"\xff" * 32


def test_bank_that_is_not_active_is_named(tpm: Tpm) -> None:
    banks = {bank.bank: bank.registers for bank in tpm.pcr_banks()}
    assert banks[HashAlgorithm.SHA256] == tuple(range(24))
    assert banks[HashAlgorithm.SHA512] == ()
    with pytest.raises(DeviceError, match="no register 0 in its sha512 bank"):
        tpm.pcr_read([0], HashAlgorithm.SHA512)


def test_register_that_does_not_exist_is_refused(tpm: Tpm) -> None:
    with pytest.raises(TpmError):
        tpm.pcr_extend(99, bytes(32))


def test_random_bytes_differ(tpm: Tpm) -> None:
    assert len(tpm.get_random(100)) == 100
    assert tpm.get_random(32) != tpm.get_random(32)
    assert tpm.get_random(0) == b""


def test_key_that_is_not_stored_is_named(tpm: Tpm) -> None:
    with pytest.raises(TpmError) as refusal:
        tpm.persistent(0x81000099)
    assert "nothing is stored under this handle" in refusal.value.hint


def test_stored_key_stays_until_it_is_evicted(fresh_tpm: Tpm) -> None:
    with fresh_tpm.primary(Hierarchy.OWNER, ecc_attestation_key()) as key:
        fresh_tpm.persist(key, 0x81000003)
    assert fresh_tpm.persistent(0x81000003).name == key.name
    fresh_tpm.evict(0x81000003)
    assert fresh_tpm.handles(0x81000000) == ()


@pytest.mark.parametrize("size", [1, 512, 513, 1500])
def test_index_is_read_and_written_in_blocks(fresh_tpm: Tpm, size: int) -> None:
    data = bytes(index % 251 for index in range(size))
    nv_define(fresh_tpm, INDEX, size)
    nv_write(fresh_tpm, INDEX, data)
    assert nv_read(fresh_tpm, INDEX) == data
    assert nv_read_public(fresh_tpm, INDEX).size == size
    nv_undefine(fresh_tpm, INDEX)
    with pytest.raises(TpmError):
        nv_read(fresh_tpm, INDEX)


def test_index_that_was_never_written_is_named(fresh_tpm: Tpm) -> None:
    nv_define(fresh_tpm, INDEX, 8)
    with pytest.raises(TpmError) as refusal:
        nv_read(fresh_tpm, INDEX)
    assert "never written" in refusal.value.hint


@pytest.mark.parametrize("what", ["objects", "sessions", "salted sessions"])
def test_fifty_times_leak_no_slot_although_there_are_three(tpm: Tpm, what: str) -> None:
    for _ in range(50):
        with tpm.primary(Hierarchy.OWNER, ecc_storage_key()) as key:
            if what == "sessions":
                with tpm.session(SessionType.POLICY):
                    pass
            if what == "salted sessions":
                with tpm.session(SessionType.HMAC, salt_key=key):
                    pass


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_slots_are_freed_however_a_block_ends(tpm: Tpm, failure: type[BaseException]) -> None:
    for _ in range(5):
        with (
            pytest.raises(failure),
            tpm.primary(Hierarchy.OWNER, ecc_storage_key()) as key,
            tpm.session(SessionType.POLICY, salt_key=key),
        ):
            raise failure


def test_first_failure_is_told_although_the_device_died_too(swtpm: Swtpm) -> None:
    device = open_device(swtpm.address)

    def fail() -> None:
        device.close()
        raise LookupError("first")

    with pytest.raises(LookupError, match="first"), Tpm(device).session(SessionType.POLICY):
        fail()
    with Tpm.open(swtpm.address) as tpm:
        for handle in (*tpm.handles(0x02000000), *tpm.handles(0x03000000)):
            tpm.flush(handle)


def test_fourth_object_is_refused_with_a_hint(tpm: Tpm) -> None:
    with (
        tpm.primary(Hierarchy.OWNER, ecc_storage_key()),
        tpm.primary(Hierarchy.OWNER, ecc_storage_key()),
        tpm.primary(Hierarchy.OWNER, ecc_storage_key()),
        pytest.raises(TpmError) as refusal,
        tpm.primary(Hierarchy.OWNER, ecc_storage_key()),
    ):
        pass
    assert refusal.value.code == 0x902
    assert "did not flush" in refusal.value.hint


def test_salted_session_needs_a_decryption_key(tpm: Tpm) -> None:
    with (
        tpm.primary(Hierarchy.OWNER, ecc_attestation_key()) as key,
        pytest.raises((TpmError, MalformedError)),
        tpm.session(SessionType.HMAC, salt_key=key),
    ):
        pass


def test_storage_key_is_what_the_template_says(tpm: Tpm) -> None:
    with tpm.primary(Hierarchy.OWNER, ecc_storage_key()) as key:
        public = parse_public(key.public)
    assert public.symmetric is not None
    assert (public.symmetric.algorithm, public.symmetric.key_bits, public.symmetric.mode) == (0x0006, 128, 0x0043)


@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_salted_session_signs_and_encrypts_in_both_directions(
    tmp_path: Path, transport: Literal["tcp", "unix"]
) -> None:
    both = SessionAttributes.CONTINUE | SessionAttributes.ENCRYPT
    with (
        running_swtpm(tmp_path, transport=transport, endorsed=False) as running,
        Tpm.open(running.address) as tpm,
        tpm.primary(Hierarchy.OWNER, ecc_storage_key()) as key,
        tpm.session(SessionType.HMAC, salt_key=key, attributes=both) as session,
    ):
        for _ in range(3):
            response = tpm.execute(Command.GET_RANDOM, authorizations=[session], parameters=b"\x00\x10")
            assert len(response.parameters) == 18
