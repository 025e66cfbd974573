# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which machines are accepted now: `join-config`, followed while the service runs.

A new version takes effect with the next machine. One that cannot be used changes nothing: the version before it goes on
to hold, and an event says why.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from lightkube import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap

from attestation.errors import AttestationError
from attestation.roots import VENDOR_ROOTS, Roots
from attestation.variant import Variant
from constellation_core import cluster_history, join_config
from constellation_core.channel.verifier import PolicyVerifier
from constellation_core.cluster_history import record_history
from constellation_core.errors import ConfigError, CoreError, PeerUnavailableError
from constellation_core.join_config import JoinConfig
from constellation_core.names import NAMESPACE
from constellation_services.join.leases import CONFLICT, NOT_FOUND

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from lightkube import AsyncClient

    from attestation.evidence import Evidence
    from attestation.verdict import Verdict
    from constellation_core.image_manifest import SignedManifest
    from constellation_core.join_config import ControlPlanes
    from constellation_services.join.news import Metrics, News

_ATTEMPTS: Final = 5  # to write history while other instances write it too


class Acceptance:
    """Judges machines by the version of join-config that holds now (a `Verifier`).

    Args:
        client: of the API server.
        news: who tells operators.
        metrics: what is counted.
        roots: vendor keys to believe; others than the default only for fakes.

    Attributes:
        since: when the version that holds now came; aware UTC. What was judged before was judged by another.
        trouble: what is wrong with the newest version; empty where nothing is.
    """

    def __init__(self, client: AsyncClient, news: News, metrics: Metrics, roots: Roots = VENDOR_ROOTS) -> None:
        self._client = client
        self._news = news
        self._metrics = metrics
        self._roots = roots
        self._seen: str | None = None
        self._current: tuple[JoinConfig, PolicyVerifier] | None = None
        self.since = datetime.now(UTC)
        self.trouble = "there is no join-config yet"

    @property
    def variants(self) -> Collection[Variant]:
        """Whose evidence can be judged. Before the first version nobody is told to go away for good."""
        return self._current[1].variants if self._current is not None else frozenset(Variant)

    @property
    def missing(self) -> str | None:
        """Why nobody can be judged; None if somebody can."""
        return self.trouble if self._current is None else None

    @property
    def control_planes(self) -> ControlPlanes:
        """The rule for control planes.

        Raises:
            ConfigError: no version was ever accepted.
        """
        return self._holding()[0].control_planes

    def judge(self, evidence: Evidence, *, binding: bytes, image: SignedManifest | None) -> Verdict:
        """Judge by the version that holds at this moment.

        Raises:
            PeerUnavailableError: there was none yet; the machine may come again.
            PeerNotAcceptedError: it has no policy for this variant.
        """
        while True:
            judging = self._current
            if judging is None:
                raise PeerUnavailableError(f"nobody can be judged: {self.trouble}")
            verdict = judging[1].judge(evidence, binding=binding, image=image)
            if judging is self._current:  # we are in a thread, and another version may have come meanwhile
                return verdict

    def take(self, objects: Mapping[str, Any]) -> None:
        """Take the ConfigMap as it is now, by name."""
        found = objects.get(join_config.OBJECT_NAME)
        text = (found.data or {}).get(join_config.DATA_KEY) if found is not None else None
        if text == self._seen and self._current is not None:
            return
        self._seen = text
        try:
            if text is None:
                raise ConfigError(f"there is no ConfigMap {join_config.OBJECT_NAME} with {join_config.DATA_KEY}")
            config = JoinConfig.from_yaml(text)
            verifier = PolicyVerifier(policies=config.policies, roots=self._roots)
        except (CoreError, AttestationError) as error:
            self._keep(error)
            return
        self._current = config, verifier
        self.since = datetime.now(UTC)
        self.trouble = ""
        self._metrics.configs.labels(outcome="accepted").inc()
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._news.tell("JoinConfigChanged", f"join-config {digest[:12]} holds", about=digest, warning=False)
        self._news.later(lambda: self._record(text))

    def _keep(self, error: CoreError | AttestationError) -> None:
        self.trouble = str(error)
        self._metrics.configs.labels(outcome="refused").inc()
        kept = "the version before it still holds" if self._current is not None else "no machine can join"
        self._news.tell("JoinConfigRefused", f"join-config cannot be used, {kept}: {error}", about=str(error))

    def _holding(self) -> tuple[JoinConfig, PolicyVerifier]:
        if self._current is None:
            raise ConfigError(self.trouble)
        return self._current

    async def _record(self, text: str) -> None:
        """Add a version to the history, unless another instance did."""
        for _ in range(_ATTEMPTS):
            try:
                await self._try_to_record(text)
            except ApiError as error:
                if error.status.code not in {CONFLICT, NOT_FOUND}:
                    raise
            else:
                return

    async def _try_to_record(self, text: str) -> None:
        name = cluster_history.OBJECT_NAME
        try:
            found = await self._client.get(ConfigMap, name, namespace=NAMESPACE)
        except ApiError as error:
            if error.status.code != NOT_FOUND:
                raise
            data = record_history(None, text)
            await self._client.create(ConfigMap(metadata=ObjectMeta(name=name, namespace=NAMESPACE), data=data))
            return
        data = record_history(found.data, text)
        if data is not None:
            found.data = data
            await self._client.replace(found)
