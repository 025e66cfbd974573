# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation evidence collect`: let the devices of this machine sign."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from attestation.case import BINDING_SIZE
from attestation.variant import Variant
from constellation_cli.arguments import Binding, ClusterId, Nonce, choose_binding
from constellation_cli.errors import CommandError
from constellation_cli.terminal import say

if TYPE_CHECKING:
    from attestation.evidence import Evidence
    from attestation.snp.kds import Kds

DEFAULT_TIMEOUT: Final = 60.0  # seconds; a TPM of hardware takes up to one for a quote, AMD's service half a minute
EXAMPLES: Final = (
    "constellation evidence collect --binding $CHALLENGE -o evidence.json",
    "constellation evidence collect --variant azure-sev-snp | constellation evidence inspect -",
    "constellation evidence collect --tpm tcp://127.0.0.1:2321 -o evidence.json",
)


def collect_evidence(  # noqa: PLR0913, PLR0917 - one parameter an option
    variant: Annotated[
        Variant | None, typer.Option(metavar="VARIANT", help="The platform that this machine is; default: found out.")
    ] = None,
    binding: Binding = None,
    nonce: Nonce = None,
    cluster_id: ClusterId = None,
    tpm: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="The TPM: a device file, tcp://HOST:PORT or unix:///PATH (swtpm), tss:TCTI; default: /dev/tpmrm0.",
        ),
    ] = None,
    boot_log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The boot log of the TPM; default: the kernel's.")
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Ask AMD's service for a VCEK that the host does not provide.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Give up after this time.")] = (
        DEFAULT_TIMEOUT
    ),
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write; default: stdout.")
    ] = None,
) -> None:
    """Let the devices of this machine sign their state, and write the evidence as canonical JSON.

    Evidence signs 32 bytes that whoever asked has chosen (--binding), so that it is fresh and meant for them. Without
    them a random value is signed: such evidence can be looked at and judged, but its age is not known.
    """
    from attestation.issuer import open_issuer
    from constellation_cli.progress import time_limit, waiting_for

    signed = choose_binding(binding, nonce, cluster_id)
    chosen = _choose_variant(variant, tpm)
    if signed is None:
        signed = secrets.token_bytes(BINDING_SIZE)
        say("warning", f"nobody chose what is signed; it is the random binding {signed.hex()}", colour="yellow")
    kds = _amd_service() if fetch else None
    opened = open_issuer(chosen, tpm=tpm or "", boot_log=boot_log, timeout=timeout, kds=kds)
    what = f"evidence of variant {chosen}"
    with time_limit(timeout, what), waiting_for(what), opened as issuer:
        evidence = issuer.issue(signed)
    _write(evidence, output)
    say("next", f"constellation evidence verify --policy FILE --binding {signed.hex()} {output or '-'}")


def _amd_service() -> Kds:
    from attestation.snp.kds import Kds
    from attestation.snp.kds_transport import HttpsTransport

    return Kds(HttpsTransport())


def _choose_variant(variant: Variant | None, tpm: str | None) -> Variant:
    from constellation_cli.evidence.machine import detect_variant

    if variant is not None:
        return variant
    # Whoever names a TPM means that one, whatever else this machine has.
    return Variant.QEMU_VTPM if tpm is not None else detect_variant()


def _write(evidence: Evidence, output: Path | None) -> None:
    data = evidence.to_json()
    if output is None:
        sys.stdout.write(data.decode("ascii") + "\n")
        sys.stdout.flush()
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise CommandError(
            f"{output} cannot be written: {error.strerror}", hint="name a file in a directory that exists and is yours"
        ) from None
