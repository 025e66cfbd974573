# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a verifier says: a record with every reason, never a truth value.

Each technology adds to the `Findings` of one case; `attestation.judge` closes them into a `Verdict`. Genuineness is
not a flag that somebody sets: it follows from the proofs, and only verify steps can make those.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import InitVar, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from attestation.errors import MalformedError, NotAcceptedError, NotGenuineError
from attestation.evidence import Evidence
from attestation.proof import Proof
from attestation.variant import Variant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

VERDICT_VERSION: Final = 1
_CLOSED: Final = object()


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One reason to refuse.

    Attributes:
        name: the policy field or the check, dotted ("vmpl", "measurements.4", "snp.signature").
        expected: what would have been accepted, for people.
        got: what came, for people.
        hint: what to do next; may be empty.
    """

    name: str
    expected: str
    got: str
    hint: str = ""

    def __str__(self) -> str:
        """Give the sentence that people read."""
        return f"{self.name}: expected {self.expected}, got {self.got}"

    @classmethod
    def of(cls, error: NotGenuineError) -> Mismatch:
        """Turn a failed check into a reason."""
        return cls(error.check, error.expected, error.got, error.hint)


@dataclass(slots=True)
class Findings:
    """What the technologies found in one case; they add, nobody removes.

    Attributes:
        proofs: results of the verify steps.
        forgeries: checks of genuineness that failed.
        mismatches: what the policy does not accept.
        warnings: what is accepted and should be known.
        tcb: TCB name ("reported", "launch") → component → security version.
        measurements: register name ("4", "mrtd") or "launch_digest" → value.
        identity: SHA-256 of what identifies the node, 32 bytes; None where nothing does.
        identity_kind: what it was computed from ("TPM name", "chip id").
    """

    proofs: list[Proof] = field(default_factory=list)
    forgeries: list[Mismatch] = field(default_factory=list)
    mismatches: list[Mismatch] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    tcb: dict[str, dict[str, int]] = field(default_factory=dict)
    measurements: dict[str, bytes] = field(default_factory=dict)
    identity: bytes | None = None
    identity_kind: str = ""

    @contextmanager
    def checking(self) -> Iterator[None]:
        """Turn a failed check of genuineness or a broken format into a reason, and go on with the next part."""
        try:
            yield
        except NotGenuineError as error:
            self.forged(error)
        except MalformedError as error:
            self.forgeries.append(Mismatch("format", "well-formed evidence", str(error), error.hint))

    def forged(self, error: NotGenuineError) -> None:
        """Add a failed check of genuineness."""
        self.forgeries.append(Mismatch.of(error))

    def refuse(self, name: str, *, expected: object, got: object) -> None:
        """Add something that the policy does not accept."""
        self.mismatches.append(Mismatch(name, str(expected), str(got)))

    def warn(self, text: str) -> None:
        """Add a warning."""
        self.warnings.append(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer about one piece of evidence. It does not change any more.

    It has no truth value on purpose: ask `accepted`, or call `require`.

    Attributes:
        evidence: what was judged.
        at: the time that was taken as "now", aware UTC.
        proofs: results of the verify steps.
        forgeries: checks of genuineness that failed.
        rejections: what the policy does not accept.
        warnings: what is accepted and should be known.
        tcb: TCB name ("reported", "launch") → component → security version.
        measurements: register name ("4", "mrtd") or "launch_digest" → value.
        identity: SHA-256 of what identifies the node, 32 bytes; None where nothing does.
        identity_kind: what it was computed from ("TPM name", "chip id").
    """

    evidence: Evidence = field(repr=False)
    at: datetime
    proofs: tuple[Proof, ...]
    forgeries: tuple[Mismatch, ...]
    rejections: tuple[Mismatch, ...]
    warnings: tuple[str, ...]
    tcb: Mapping[str, Mapping[str, int]]
    measurements: Mapping[str, bytes]
    identity: bytes | None
    identity_kind: str
    closed: InitVar[object]  # not kept: `dataclasses.replace` must not make another verdict out of this one

    def __post_init__(self, closed: object) -> None:
        """Refuse a verdict about nothing, one that nobody judged, or one that rests on anything but proofs."""
        if closed is not _CLOSED:
            message = "a verdict is the result of a judgement and cannot be constructed"
            raise TypeError(message)
        parts: tuple[tuple[object, type], ...] = (
            (self.evidence, Evidence),
            *((proof, Proof) for proof in self.proofs),
        )
        if not all(isinstance(part, kind) for part, kind in parts):
            message = "a verdict needs evidence, and rests on proofs"
            raise TypeError(message)

    @classmethod
    def close(cls, evidence: Evidence, findings: Findings, *, at: datetime) -> Verdict:
        """Close a case: nothing that happens to the findings later changes the verdict."""
        return cls(
            evidence=evidence,
            at=at,
            proofs=tuple(findings.proofs),
            forgeries=tuple(findings.forgeries),
            rejections=tuple(findings.mismatches),
            warnings=tuple(findings.warnings),
            tcb=MappingProxyType({name: MappingProxyType(dict(tcb)) for name, tcb in findings.tcb.items()}),
            measurements=MappingProxyType(dict(findings.measurements)),
            identity=findings.identity,
            identity_kind=findings.identity_kind,
            closed=_CLOSED,
        )

    def __bool__(self) -> NoReturn:
        """Refuse `if verdict:`."""
        message = "a verdict is not a truth value: use verdict.accepted or verdict.require()"
        raise TypeError(message)

    @property
    def genuine(self) -> bool:
        """Whether somebody vouches for all of it; acceptable or not."""
        return bool(self.proofs) and all(proof.vouchers for proof in self.proofs) and not self.forgeries

    @property
    def accepted(self) -> bool:
        """Whether the policy accepts it.

        False unless a verify step ran, somebody vouches (except for `insecure`, which says so), and no reason speaks
        against it.
        """
        vouched = self.genuine or self.evidence.variant is Variant.INSECURE
        return vouched and bool(self.proofs) and not self.mismatches

    @property
    def mismatches(self) -> tuple[Mismatch, ...]:
        """Every reason to refuse: what is not genuine first, then what is not acceptable."""
        return (*self.forgeries, *self.rejections)

    @property
    def vouchers(self) -> tuple[str, ...]:
        """Who vouches, over all proofs, in order."""
        return tuple(dict.fromkeys(name for proof in self.proofs for name in proof.vouchers))

    def require(self) -> Verdict:
        """Return itself if accepted.

        Raises:
            NotAcceptedError: it is not; the error carries this verdict.
        """
        if not self.accepted:
            raise NotAcceptedError(self)
        return self

    def to_mapping(self) -> dict[str, Any]:
        """Give the record that is printed as JSON: stable keys, versioned, bytes as hex."""
        return {
            "version": VERDICT_VERSION,
            "variant": self.evidence.variant.value,
            "genuine": self.genuine,
            "accepted": self.accepted,
            "hardware_root": self.evidence.variant.hardware_root.value,
            "vouchers": list(self.vouchers),
            "identity": self.identity.hex() if self.identity is not None else None,
            "identity_kind": self.identity_kind or None,
            "mismatches": [
                {"name": reason.name, "expected": reason.expected, "got": reason.got, "hint": reason.hint}
                for reason in self.mismatches
            ],
            "warnings": list(self.warnings),
            "tcb": {name: dict(components) for name, components in self.tcb.items()},
            "measurements": {name: value.hex() for name, value in self.measurements.items()},
            "evidence_sha256": self.evidence.digest().hex(),
            "at": self.at.isoformat(),
        }
