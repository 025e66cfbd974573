# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The node that a service runs on: evidence of it, and the manifest of its image."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from constellation_core.errors import ConfigError
from constellation_core.image_manifest import MAX_SIZE, SignedManifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from attestation.evidence import Evidence
    from attestation.issuer import Issuer
    from attestation.variant import Variant

NOT_ASKED_YET: Final = "no evidence was made yet"


class NodeIssuer:
    """Issues evidence of this node; a device that failed is opened anew for the next.

    A connection to a device does not survive a time limit: an answer that comes late would be taken for that to the
    next question. So after a failure all is closed.

    Args:
        variant: platform of this node.
        opening: opens its devices.
        took: told the seconds that each piece of evidence took.
    """

    def __init__(
        self,
        variant: Variant,
        opening: Callable[[], AbstractContextManager[Issuer]],
        took: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self.variant = variant
        self._opening = opening
        self._took = took
        self._opened = ExitStack()
        self._issuer: Issuer | None = None
        self._turn = threading.Lock()
        self._trouble: str | None = NOT_ASKED_YET

    def issue(self, binding: bytes) -> Evidence:
        """Have the devices sign.

        Args:
            binding: 32 bytes to be bound to.

        Raises:
            AttestationError: a device failed; the next call opens it again.
        """
        with self._turn:
            start = time.monotonic()
            try:
                if self._issuer is None:
                    self._issuer = self._opened.enter_context(self._opening())
                evidence = self._issuer.issue(binding)
            except Exception as error:
                self._trouble = str(error)
                self._close()
                raise
            self._trouble = None
            self._took(time.monotonic() - start)
            return evidence

    def trouble(self) -> str | None:
        """Say why there is no evidence; None where the last was made."""
        return self._trouble

    def close(self) -> None:
        """Close the devices, when they are done."""
        with self._turn:
            self._close()

    def _close(self) -> None:
        self._issuer = None
        self._opened.close()


def own_image(folder: Path) -> SignedManifest | None:
    """Read the manifest of the image that this node booted, for peers with other images.

    Args:
        folder: holds `measurements.json` and `measurements.json.sig`.

    Returns:
        It, not verified: whoever gets it does that. None where the image has none.

    Raises:
        ConfigError: it is there, and cannot be used.
        MalformedError: the signature is not base64.
    """
    document, signature = folder / "measurements.json", folder / "measurements.json.sig"
    try:
        if document.stat().st_size > MAX_SIZE:
            raise ConfigError(f"{document}: expected at most {MAX_SIZE} bytes")
        return SignedManifest.from_text(document.read_bytes(), signature.read_text(encoding="ascii", errors="replace"))
    except FileNotFoundError as error:
        if document.exists():
            raise ConfigError(f"{error.filename} is missing: nobody believes a manifest without a signature") from None
        return None
    except OSError as error:
        raise ConfigError(f"cannot read {error.filename}: {error.strerror}") from None
