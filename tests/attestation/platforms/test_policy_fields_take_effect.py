# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Every policy field takes effect on every variant, or is refused there.

One case for each field. What stands before its `yield` leaves evidence good under a policy that uses the field. What
stands after it changes just that field, or what the field speaks about; then the verdict must refuse, and name the
field. Whoever adds a field adds a case: the first test fails otherwise.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from attestation import Policy, Variant
from attestation.errors import PolicyError
from attestation.policy_fields import FIELDS
from attestation.snp.product import Product
from attestation.snp.report import GuestPolicy, PlatformInfo
from attestation.testing.authority import FakeAuthority
from attestation.testing.node import FakeNode
from attestation.testing.tdx_collateral import FakeCollateral
from attestation.testing.tpm import SoftwareTpm
from attestation.tpm.attestation_key import AttestationKey
from attestation.variant import Technology

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from attestation.verdict import Verdict

    Case = Callable[[FakeNode, dict[str, Any]], Iterator[None]]

BINDING = hashlib.sha256(b"binding").digest()
OTHER_DIGEST = hashlib.sha384(b"other").hexdigest()
WITHOUT_EFFECT = [
    (name, variant) for name, spec in FIELDS.items() for variant in Variant if variant not in spec.variants
]
WARNS = "not_for_secrets"
"""The one field that refuses nobody: it is about what is accepted, and every verdict repeats it."""
EFFECTIVE = [
    (name, variant)
    for name, spec in FIELDS.items()
    for variant in Variant
    if variant in spec.variants and name != WARNS
]


def is_snp(node: FakeNode) -> bool:
    return Technology.SNP in node.variant.technologies


def text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def measurements(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    yield
    name = "4" if "4" in policy["measurements"] else "rtmr1"
    policy["measurements"][name]["expected"] = bytes(node.variant.register_width).hex()


def minimum_tcb(_node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    yield
    policy["minimum_tcb"]["microcode"] += 1


def minimum_launch_tcb(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    policy["minimum_launch_tcb"] = dict(node.snp.tcb)
    yield
    node.snp.launch_tcb = node.snp.tcb | {"snp": 1}


def products(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    policy["products"] = [node.product.value]
    yield
    policy["products"] = [Product.TURIN.value]


def allow_report_v2(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    node.snp.version = 2
    policy["allow_report_v2"] = True
    yield
    policy["allow_report_v2"] = False


def allow_unknown_bits(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    node.snp.reserved[0x210] = b"\x01"
    policy["allow_unknown_bits"] = True
    yield
    policy["allow_unknown_bits"] = False


def allow_unlisted_ak(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    del node
    policy["allow_unlisted_ak"] = True
    yield
    policy["allow_unlisted_ak"] = False


def allow_debug(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    node.snp.debug = node.tdx.debug = True
    policy["allow_debug"] = True
    yield
    policy["allow_debug"] = False


def allow_smt(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    node.snp.policy |= GuestPolicy.SMT
    policy["allow_smt"] = True
    yield
    policy["allow_smt"] = False


def vmpl(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    node.snp.vmpl = 1
    policy["vmpl"] = [1]
    yield
    policy["vmpl"] = [0]


def id_key_digests(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    policy["id_key_digests"] = [node.snp.id_key_digest.hex()]
    yield
    policy["id_key_digests"] = [OTHER_DIGEST]


def author_key_digests(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    node.snp.author_key_enabled = True
    policy["author_key_digests"] = [node.snp.author_key_digest.hex()]
    yield
    node.snp.author_key_enabled = False


def launch_digests(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    policy["launch_digests"] = [(node.snp.measurement if is_snp(node) else node.tdx.mr_td).hex()]
    yield
    policy["launch_digests"] = [OTHER_DIGEST]


def launch_manifests(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    good = node.snp.host_data if is_snp(node) else node.tdx.mr_config_id
    policy["launch_manifests"] = [good.hex()]
    yield
    policy["launch_manifests"] = ["ff" * len(good)]


def chip_ids(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    good = node.snp.chip_id if is_snp(node) else node.tdx.ppid
    policy["chip_ids"] = [good.hex()]
    yield
    policy["chip_ids"] = ["ff" * len(good)]


def platform_flags(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    policy["platform_flags"] = ["tsme", "alias_check"]
    yield
    node.snp.platform_info &= ~PlatformInfo.ALIAS_CHECK


def ak_names(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    policy["ak_names"] = [node.ak_name.hex()]
    yield
    other = AttestationKey.from_public_area(SoftwareTpm().ak_public)
    policy["ak_names"] = [(other.name or b"").hex()]


def ak_roots(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    policy["ak_names"] = [node.ak_name.hex()]
    yield
    policy["ak_roots"] = [FakeAuthority(node.authority.name, owner="mallory").root_pem]


def ek_roots(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    policy["ek_roots"] = [node.authority.root_pem]
    policy["ak_names"] = [node.ak_name.hex()]
    yield
    policy["ek_roots"] = [FakeAuthority(node.authority.name, owner="mallory").root_pem]


def require_event_log(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    policy["require_event_log"] = True
    yield
    node.tpm.event_log = b""
    node.parts["ccel"] = None


def mr_seams(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    policy["mr_seams"] = [node.tdx.mr_seam.hex()]
    yield
    policy["mr_seams"] = [OTHER_DIGEST]


def td_attributes(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    policy["td_attributes"] = [node.tdx.td_attributes.hex()]
    yield
    policy["td_attributes"] = [bytes(8).hex()]


def xfams(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    policy["xfams"] = [node.tdx.xfam.hex()]
    yield
    policy["xfams"] = [bytes(8).hex()]


def fresh_collateral(node: FakeNode) -> FakeCollateral:
    return FakeCollateral(node.tdx, issued=node.at - timedelta(days=1), next_update=node.at + timedelta(days=29))


def collateral(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    fresh = fresh_collateral(node)
    policy["collateral"] = [text(fresh.to_json())]
    yield
    fresh.fmspc = bytes(6)
    policy["collateral"] = [text(fresh.to_json())]


def tcb_statuses(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    fresh = fresh_collateral(node)
    fresh.status = "OutOfDate"
    policy["collateral"] = [text(fresh.to_json())]
    policy["tcb_statuses"] = ["UpToDate", "OutOfDate"]
    yield
    policy["tcb_statuses"] = ["UpToDate"]


def old_lists(node: FakeNode, days: int) -> list[str]:
    made, end = node.at - timedelta(days=days), node.at + timedelta(days=30)
    if is_snp(node):
        return [text(node.snp.amd.crl(node.product, this_update=made, next_update=end))]
    return [text(der) for der in node.tdx.intel.revocation_lists(this_update=made, next_update=end)]


def crl(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    policy["crl"] = "off"
    policy["revocation_lists"] = old_lists(node, 31)
    yield
    policy["crl"] = "required"


def crl_max_age(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    policy["revocation_lists"] = old_lists(node, 40)
    policy["crl_max_age"] = "41d"
    yield
    policy["crl_max_age"] = "39d"


def revocation_lists(node: FakeNode, policy: dict[str, Any]) -> Iterator[None]:
    yield
    policy["revocation_lists"] = old_lists(node, 31)


CASES: dict[str, Case] = {
    case.__name__: case
    for case in (
        measurements,
        minimum_tcb,
        minimum_launch_tcb,
        products,
        allow_report_v2,
        allow_unknown_bits,
        allow_unlisted_ak,
        allow_debug,
        allow_smt,
        vmpl,
        id_key_digests,
        author_key_digests,
        launch_digests,
        launch_manifests,
        chip_ids,
        platform_flags,
        ak_names,
        ak_roots,
        ek_roots,
        require_event_log,
        mr_seams,
        td_attributes,
        xfams,
        collateral,
        tcb_statuses,
        crl,
        crl_max_age,
        revocation_lists,
    )
}
# Fields that only say how another one is read: the mismatch bears the name of that.
NAMED = {"crl_max_age": "crl", "revocation_lists": "crl"}


def judged(node: FakeNode, policy: dict[str, Any]) -> Verdict:
    return node.verdict(BINDING, policy=policy)


def test_every_field_has_a_case() -> None:
    assert CASES.keys() | {WARNS} == FIELDS.keys()


@pytest.mark.parametrize("variant", Variant)
def test_what_lets_people_in_is_said_in_every_verdict(variant: Variant) -> None:
    node = FakeNode(variant)
    assert "NOT FOR SECRETS" not in str(judged(node, node.policy()).warnings)
    assert "NOT FOR SECRETS" in str(judged(node, {**node.policy(), WARNS: True}).warnings)


@pytest.mark.parametrize("variant", Variant)
def test_the_good_policy_accepts_the_good_node(variant: Variant) -> None:
    node = FakeNode(variant)
    assert judged(node, node.policy()).mismatches == ()


@pytest.mark.parametrize("name, variant", EFFECTIVE)
def test_a_field_takes_effect(name: str, variant: Variant) -> None:
    node = FakeNode(variant)
    policy = node.policy()
    case = CASES[name](node, policy)
    next(case)
    assert judged(node, policy).mismatches == ()
    next(case, None)
    verdict = judged(node, policy)
    assert not verdict.accepted
    assert any(mismatch.name.startswith(NAMED.get(name, name)) for mismatch in verdict.mismatches), verdict.mismatches


@pytest.mark.parametrize("name, variant", WITHOUT_EFFECT)
def test_a_field_without_effect_is_refused(name: str, variant: Variant) -> None:
    with pytest.raises(PolicyError, match=f"{name} has no effect on {variant}"):
        Policy.from_mapping({**FakeNode(variant).policy(), name: None})
