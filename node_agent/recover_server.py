# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The RPC `Recover` of a control plane that stopped (protocols, section 4). Over the attested channel.

The key material proves itself: with it the disk opens, or it does not. Where the metadata has a hash of a recovery
secret, that is demanded before, so that strangers do not even try.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grpclib import GRPCError, Status

from constellation_core.channel.http2 import current_peer
from constellation_core.errors import BusyError, ConfigError
from constellation_core.keys.key_material import KeyMaterial
from constellation_proto import recover_pb2
from constellation_proto.recover_grpc import RecoverBase
from node_agent.errors import PermanentError, TemporaryError
from node_agent.init_server import BUSY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from grpclib.server import Stream

    from constellation_core.channel.turns import Turns
    from node_agent.secret_guard import SecretGuard


class RecoverService(RecoverBase):
    """Answers administrators.

    Args:
        guard: knows the recovery secret; None where none is demanded.
        turns: how often somebody may try.
        unlock: opens the disk with key material and gives the kubeconfig that is on it, or says why not.
    """

    def __init__(
        self, guard: SecretGuard | None, turns: Turns, unlock: Callable[[KeyMaterial], Awaitable[bytes]]
    ) -> None:
        self._guard = guard
        self._turns = turns
        self._unlock = unlock

    async def Recover(  # noqa: N802 - as the .proto file says
        self, stream: Stream[recover_pb2.RecoverRequest, recover_pb2.RecoverResponse]
    ) -> None:
        """Open the disk of this node."""
        request = await stream.recv_message() or recover_pb2.RecoverRequest()
        try:
            kubeconfig = await self._recover(request, current_peer().address)
        except BusyError:
            raise GRPCError(Status.RESOURCE_EXHAUSTED, BUSY) from None
        except ConfigError as error:
            raise GRPCError(Status.INVALID_ARGUMENT, str(error)) from None
        except PermanentError as error:
            raise GRPCError(Status.PERMISSION_DENIED, str(error)) from None
        except TemporaryError as error:
            raise GRPCError(Status.UNAVAILABLE, str(error)) from None
        await stream.send_message(recover_pb2.RecoverResponse(kubeconfig=kubeconfig))

    async def _recover(self, request: recover_pb2.RecoverRequest, address: str) -> bytes:
        if self._guard is not None and not await self._guard.knows(request.recovery_secret, address):
            raise GRPCError(Status.PERMISSION_DENIED)
        async with self._turns.turn(address):
            return await self._unlock(KeyMaterial.from_message(request.key_material))
