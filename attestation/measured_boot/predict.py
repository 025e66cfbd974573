# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Predict what a TPM holds after booting a unified kernel image, from the file alone.

Register 4 holds what the firmware started, 11 what systemd-stub found in the image, 9 what Linux was handed. 12 and 13
stay zero as long as nobody adds to the image at boot, 15 until the node belongs to a cluster. What the firmware says
of itself (0 to 3, 5 to 7, 14) cannot be predicted from an image.

After the TCG PC Client Platform Firmware Profile (4), systemd-stub(7) (11 to 13), and the EFI stub of Linux (9), which
measures since 5.17.
"""

from __future__ import annotations

import hashlib
import mmap
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from attestation.errors import PredictionError
from attestation.measured_boot.cpio import extra_archive, padding
from attestation.measured_boot.uki import UnifiedKernelImage, parse_uki
from attestation.policy_fields import Register

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREDICTION_VERSION: Final = 1
ZERO: Final = bytes(32)  # a register that nobody extended

BOOT_LOADER: Final = 4
KERNEL_INPUT: Final = 9
IMAGE: Final = 11
MARK: Final = 15
UNTOUCHED: Final = (12, 13, MARK)  # parameters and extensions added at boot, cluster mark
RECORDED: Final = (0, 1, 2, 3, 5, 6, 7, 14)


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension of a register, as the boot event log shows it.

    Attributes:
        register: index of the PCR.
        what: what was measured, for people.
        digest: SHA-256 of it.
    """

    register: int
    what: str
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a boot of one image will leave in a TPM, SHA-256 bank.

    Attributes:
        uki_sha256: of the file.
        stub: version of systemd-stub in it.
        command_line: of the kernel; None where the image brings none.
        secure_boot: whether Secure Boot was assumed.
        phases: boot phases that were assumed to be over, "enter-initrd:leave-initrd".
        extensions: everything that is measured, in order.
    """

    uki_sha256: bytes
    stub: str
    command_line: str | None
    secure_boot: bool
    phases: str
    extensions: tuple[Extension, ...]

    @property
    def registers(self) -> dict[int, bytes]:
        """Values by index: 4, 9, 11, 12, 13 and 15."""
        values = dict.fromkeys((BOOT_LOADER, KERNEL_INPUT, IMAGE, *UNTOUCHED), ZERO)
        for extension in self.extensions:
            values[extension.register] = hashlib.sha256(values[extension.register] + extension.digest).digest()
        return values

    @property
    def measurements(self) -> dict[str, Register]:
        """What a policy should say. Register 15 is left out: a verifier asks for the cluster mark by itself."""
        return {str(index): Register(value, enforced=True) for index, value in self.registers.items() if index != MARK}

    def to_mapping(self) -> dict[str, Any]:
        """Give the record that is printed as JSON: stable keys, versioned, bytes as hex."""
        return {
            "version": PREDICTION_VERSION,
            "uki_sha256": self.uki_sha256.hex(),
            "stub": self.stub,
            "command_line": self.command_line,
            "secure_boot": self.secure_boot,
            "phases": self.phases,
            "measurements": {
                name: {"expected": register.expected.hex(), "enforced": register.enforced}
                for name, register in self.measurements.items()
            },
            "registers": {str(index): value.hex() for index, value in self.registers.items()},
            "recorded_only": [str(index) for index in RECORDED],
            "extensions": [
                {"register": extension.register, "what": extension.what, "digest": extension.digest.hex()}
                for extension in self.extensions
            ],
        }


def predict(
    uki: bytes | bytearray | memoryview | mmap.mmap, *, phases: str = "", secure_boot: bool = False
) -> Prediction:
    """Predict the registers for an image that the firmware starts directly, with nothing beside it on its partition.

    1. Firmware measures the image before it starts it (4).
    2. systemd-stub measures the sections of the image (11).
    3. The stub lets the firmware start the kernel, which measures it (4). Under Secure Boot the stub answers for its
       kernel itself, and the firmware does not look at it.
    4. The kernel measures its command line and its initrd (9).
    5. Services of systemd measure the phases of the boot, where they are not masked (11).

    Args:
        uki: the file.
        phases: phases that are over when the registers are read, joined by colons as in systemd-measure(1).
        secure_boot: whether the machine enforces Secure Boot; register 4 depends on it.

    Raises:
        MalformedError: the file is no executable.
        PredictionError: it is none that we can predict; the message says why.
    """
    image = parse_uki(uki)
    return Prediction(
        uki_sha256=hashlib.sha256(image.executable.data).digest(),
        stub=image.stub.version,
        command_line=image.command_line,
        secure_boot=secure_boot,
        phases=phases,
        extensions=tuple(
            chain(
                _firmware(image),  # 1
                _stub(image),  # 2
                () if secure_boot else _kernel(image),  # 3
                _kernel_input(image),  # 4
                _phases(phases),  # 5
            )
        ),
    )


def predict_file(path: Path, *, phases: str = "", secure_boot: bool = False) -> Prediction:
    """Predict the registers for an image in a file, which is mapped and not read into memory; see `predict`.

    Raises:
        PredictionError: as `predict`, or the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            # An empty file cannot be mapped. The mapping is left to the garbage collector: closing it is refused as
            # long as an error on its way up refers to parts of it.
            empty = not path.stat().st_size
            data = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise PredictionError(f"{path} cannot be read: {error}", hint="name a unified kernel image (.efi)") from None
    return predict(data, phases=phases, secure_boot=secure_boot)


def _firmware(image: UnifiedKernelImage) -> Iterator[Extension]:
    action = "Calling EFI Application from Boot Option"
    yield _measure(BOOT_LOADER, action, action.encode())
    yield _measure(BOOT_LOADER, "separator", bytes(4))
    yield Extension(BOOT_LOADER, "image", image.executable.authenticode())


def _stub(image: UnifiedKernelImage) -> Iterator[Extension]:
    for name in image.stub.release.measured:
        if name in image.sections:
            yield _measure(IMAGE, f"name {name}", name.encode() + b"\0")
            yield _measure(IMAGE, f"section {name}", image.sections[name])


def _kernel(image: UnifiedKernelImage) -> Iterator[Extension]:
    yield Extension(BOOT_LOADER, "kernel", image.kernel.authenticode())


def _kernel_input(image: UnifiedKernelImage) -> Iterator[Extension]:
    if image.command_line is not None:
        yield _measure(KERNEL_INPUT, "command line", f"{image.command_line}\0".encode("utf-16-le"))
    release, sections = image.stub.release, image.sections
    initrds: list[bytes | memoryview] = [sections[name] for name in release.initrds if name in sections]
    initrds += [extra_archive(file, sections[name]) for name, file in release.extra_files.items() if name in sections]
    if len(initrds) > 1:
        yield _measure(KERNEL_INPUT, "initrd", *chain.from_iterable((one, padding(len(one))) for one in initrds))
    elif initrds:
        yield _measure(KERNEL_INPUT, "initrd", *initrds)


def _phases(phases: str) -> Iterator[Extension]:
    if not phases.isascii():
        raise PredictionError(f"boot phases are ASCII, got {phases!r}")
    for phase in filter(None, phases.split(":")):
        yield _measure(IMAGE, f"phase {phase}", phase.encode())


def _measure(register: int, what: str, *parts: bytes | memoryview) -> Extension:
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(part)
    return Extension(register, what, hashed.digest())
