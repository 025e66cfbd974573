# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whoever shares the network with a cluster's machines: sees every frame, and sends what he likes.

The segment is a multicast group on the loopback (`constellation_engine.machines.Segment`), one datagram a frame.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import defaultdict
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from constellation_engine.machines import Segment

ARP: Final = 0x0806
IPV4: Final = 0x0800
IPV6: Final = 0x86DD
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
WIREGUARD_PORT: Final = 51820
DHCP_PORTS: Final = frozenset({67, 68, 546, 547})

_ETHERNET: Final = struct.Struct("!6s6sH")
_LOOPBACK: Final = socket.inet_aton("127.0.0.1")
_RECORD: Final = struct.Struct("!BHH")  # of TLS (RFC 8446 § 5.1): type, version, length
_RECORD_TYPES: Final = range(20, 24)
_LONGEST_RECORD: Final = (1 << 14) + 256
_WIREGUARD_TYPES: Final = range(1, 5)
_CLEAR_FLAGS: Final = 0x02  # SYN


class Tap:
    """A participant of a segment, until it is closed.

    Args:
        segment: which.
    """

    def __init__(self, segment: Segment) -> None:
        self._place = (str(segment.group), segment.port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
        self._socket.bind(self._place)
        group = socket.inet_aton(self._place[0])
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + _LOOPBACK)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _LOOPBACK)
        self._frames: list[bytes] = []
        self._sent: set[bytes] = set()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave."""
        self._socket.close()

    def frames(self) -> Sequence[bytes]:
        """Give everything that others said so far."""
        return tuple(frame for frame in self._frames if frame not in self._sent)

    def send(self, frame: bytes) -> None:
        """Put a frame on the segment. We hear it as well."""
        self._sent.add(frame)
        self._socket.sendto(frame, self._place)

    def _listen(self) -> None:
        while True:
            try:
                self._frames.append(self._socket.recv(1 << 16))
            except OSError:  # closed
                return


@dataclass(frozen=True, slots=True)
class Packet:
    """An IPv4 packet with what matters here.

    Attributes:
        source: address.
        target: address.
        protocol: number.
        source_port: 0 where the protocol has none.
        target_port: the same.
        sequence: of TCP.
        flags: of TCP.
        payload: what the transport carries.
    """

    source: IPv4Address
    target: IPv4Address
    protocol: int
    source_port: int
    target_port: int
    sequence: int
    flags: int
    payload: bytes


def parse_ipv4(data: bytes) -> Packet:
    """Read a packet (RFC 791, RFC 9293, RFC 768)."""
    header = (data[0] & 0xF) * 4
    (length,) = struct.unpack_from("!H", data, 2)
    protocol, body = data[9], data[header:length]
    source, target = IPv4Address(data[12:16]), IPv4Address(data[16:20])
    (fragment,) = struct.unpack_from("!H", data, 6)
    if fragment & 0x3FFF or protocol not in (TCP, UDP):
        return Packet(source, target, protocol, 0, 0, 0, 0, body)
    ports: tuple[int, int] = struct.unpack_from("!HH", body)
    if protocol == UDP:
        return Packet(source, target, protocol, ports[0], ports[1], 0, 0, body[8:])
    (sequence,) = struct.unpack_from("!I", body, 4)
    return Packet(source, target, protocol, ports[0], ports[1], sequence, body[13], body[(body[12] >> 4) * 4 :])


def in_clear(frames: Sequence[bytes]) -> Iterator[str]:
    """Name everything that is neither WireGuard nor TLS nor ARP, DHCP, ICMP: what a cluster must not send."""
    streams: dict[tuple[IPv4Address, int, IPv4Address, int], dict[int, bytes]] = defaultdict(dict)
    for frame in frames:
        _, _, kind = _ETHERNET.unpack_from(frame)
        if kind == IPV6:
            if not _is_harmless_ipv6(frame[_ETHERNET.size :]):
                yield f"IPv6, next header {frame[_ETHERNET.size + 6]}"
        elif kind == IPV4:
            packet = parse_ipv4(frame[_ETHERNET.size :])
            if packet.protocol == TCP:
                start = packet.sequence + bool(packet.flags & _CLEAR_FLAGS)
                ends = (packet.source, packet.source_port, packet.target, packet.target_port)
                streams[ends].setdefault(start, packet.payload)
            elif not _is_harmless(packet):
                yield f"IPv4 from {packet.source} to {packet.target}, protocol {packet.protocol}:{packet.target_port}"
        elif kind != ARP:
            yield f"frame of type {kind:#06x}"
    for ends, segments in streams.items():
        if not is_tls(_joined(segments)):
            yield f"TCP without TLS: {':'.join(map(str, ends[:2]))} to {':'.join(map(str, ends[2:]))}"


def _is_harmless(packet: Packet) -> bool:
    if packet.protocol == ICMP:
        return True
    if packet.protocol != UDP:
        return False
    if WIREGUARD_PORT in (packet.source_port, packet.target_port):
        return packet.payload[0] in _WIREGUARD_TYPES and not any(packet.payload[1:4])
    return {packet.source_port, packet.target_port} <= DHCP_PORTS


def _is_harmless_ipv6(data: bytes) -> bool:
    """Neighbour discovery and multicast listeners, the latter behind a hop-by-hop header; DHCPv6."""
    following, body = data[6], data[40:]
    if following == 0:
        following = body[0]
    return following == ICMPV6 or (following == UDP and set(struct.unpack_from("!HH", body)) <= DHCP_PORTS)


def _joined(segments: dict[int, bytes]) -> bytes:
    """Put a direction of a connection together, up to the first gap."""
    stream, start = b"", min(segments)
    for sequence in sorted(segments):
        offset = sequence - start
        if offset > len(stream):
            break
        stream += segments[sequence][len(stream) - offset :]
    return stream


def is_tls(stream: bytes) -> bool:
    """Tell whether a direction of a connection is a row of TLS records, the last of which may be cut off."""
    position = 0
    while position + _RECORD.size <= len(stream):
        kind, version, length = _RECORD.unpack_from(stream, position)
        if kind not in _RECORD_TYPES or version not in (0x0301, 0x0303) or length > _LONGEST_RECORD:
            return False
        position += _RECORD.size + length
    return True


def udp_frame(source: str, target: str, port: int, payload: bytes, *, hardware: str) -> bytes:
    """Forge a datagram.

    Args:
        source: IPv4 address that it names as its sender's.
        target: IPv4 address.
        port: UDP.
        payload: of it.
        hardware: address of the card that shall take it.
    """
    udp = struct.pack("!HHHH", port, port, 8 + len(payload), 0) + payload
    addresses = IPv4Address(source).packed + IPv4Address(target).packed
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, UDP, 0) + addresses
    header = header[:10] + struct.pack("!H", _checksum(header)) + header[12:]
    card = bytes.fromhex(hardware.replace(":", ""))
    return _ETHERNET.pack(card, bytes.fromhex("02000000beef"), IPV4) + header + udp


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
