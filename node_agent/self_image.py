# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How a node sees itself: the policy that accepts machines like it, its identity, and whether it booted what is signed.

Registers are the node's own: whoever booted the same has the same ones. A service of another image is judged by its
manifest, if whoever made our image signed it (`constellation_core.channel.verifier.ImageVerifier`).

Registers of a vTPM are all that tells machines of some platforms apart. The others have a CPU that signs, and a policy
for it needs more than a node can see of itself: launch digests for every size of machine, the lowest TCB, revocation
lists. Nothing brings those to a node yet, so such a node refuses to judge, instead of judging by half a policy.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from attestation.case import BINDING_SIZE, Mark
from attestation.errors import AttestationError
from attestation.judge import judge
from attestation.policy import Policy
from attestation.variant import RegisterPolicy, Variant
from constellation_core.channel.verifier import ImageVerifier
from constellation_core.errors import CoreError
from node_agent.errors import PermanentError
from node_agent.image import Profile

if TYPE_CHECKING:
    from node_agent.device import NodeDevice
    from node_agent.image import ImageFacts, TrustedImage

NO_IDENTITY: Final = "evidence of this machine identifies nothing"
JUDGED_BY_REGISTERS: Final = (Variant.QEMU_VTPM, Variant.OPENSTACK_VTPM)
"""Where the registers of a machine are the whole policy for machines like it."""


@dataclass(frozen=True, slots=True)
class SelfImage:
    """Who this machine is.

    Attributes:
        policy: accepts machines that booted the same; of an image for debugging, with the word that it is one.
        identity: what identifies its devices, SHA-256 in hexadecimal.
        identity_kind: what that was computed from.
        differences: where the boot differs from the signed manifest; then nobody will accept it.
    """

    policy: Policy
    identity: str
    identity_kind: str
    differences: tuple[str, ...]

    def verifier(self, image: TrustedImage) -> ImageVerifier:
        """Give the judge of join services."""
        return ImageVerifier(own=self.policy, rest={}, image_key=image.public_key)


def look_at_self(
    device: NodeDevice, registers: dict[int, bytes], *, facts: ImageFacts, image: TrustedImage
) -> SelfImage:
    """Judge our own evidence, as others will.

    Args:
        device: speaks for this machine.
        registers: what it has measured, by number.
        facts: of our image.
        image: who builds our images, and what they signed of ours.

    Raises:
        PermanentError: there is no evidence, or nobody could judge it.
    """
    if device.variant not in JUDGED_BY_REGISTERS:
        raise PermanentError(
            f"a node of {device.variant} cannot judge others yet: it has no launch digests, lowest TCB or revocation"
            " lists to judge them by",
            hint=f"build an image for {' or '.join(map(str, JUDGED_BY_REGISTERS))}",
        )
    binding = secrets.token_bytes(BINDING_SIZE)
    try:
        policy = _policy_of(facts, registers)
        evidence, now = device.issue(binding), datetime.now(UTC)
        verdict = judge(evidence, policy, binding=binding, at=now, mark=Mark.ANY)
        differences: tuple[str, ...] = ()
        if image.manifest is not None:
            promised = judge(evidence, image.manifest.policy({}), binding=binding, at=now, mark=Mark.ANY)
            differences = tuple(map(str, promised.mismatches))
    except (AttestationError, CoreError) as error:
        raise PermanentError(f"no evidence of {device.variant}: {error}", hint=error.hint) from None
    if verdict.identity is None:
        raise PermanentError(NO_IDENTITY)
    return SelfImage(policy, verdict.identity.hex(), verdict.identity_kind, differences)


def _policy_of(facts: ImageFacts, registers: dict[int, bytes]) -> Policy:
    """Enforce the registers that say which image booted, as they are here; say whether people can come in."""
    enforced = {
        name: {"expected": registers[int(name)].hex(), "enforced": True}
        for name, use in facts.variant.default_registers.items()
        if use is RegisterPolicy.ENFORCED and name.isdecimal() and int(name) in registers
    }
    policy = {"variant": facts.variant.value, "measurements": enforced}
    return Policy.from_mapping(policy | ({"not_for_secrets": True} if facts.profile is Profile.DEBUG else {}))
