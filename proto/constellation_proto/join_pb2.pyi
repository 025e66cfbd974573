import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from constellation_proto import attest_pb2 as _attest_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_CONTROL_PLANE: _ClassVar[Role]
    ROLE_WORKER: _ClassVar[Role]
ROLE_UNSPECIFIED: Role
ROLE_CONTROL_PLANE: Role
ROLE_WORKER: Role

class IssueTicketRequest(_message.Message):
    __slots__ = ("disk_uuid", "certificate_request", "role", "wireguard_public_key", "host_key", "addresses")
    DISK_UUID_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_REQUEST_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    WIREGUARD_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    HOST_KEY_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    disk_uuid: str
    certificate_request: bytes
    role: Role
    wireguard_public_key: bytes
    host_key: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, disk_uuid: _Optional[str] = ..., certificate_request: _Optional[bytes] = ..., role: _Optional[_Union[Role, str]] = ..., wireguard_public_key: _Optional[bytes] = ..., host_key: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ...) -> None: ...

class Ticket(_message.Message):
    __slots__ = ("state_disk_key", "measurement_secret", "measurement_salt", "kubelet_certificate", "api_endpoint", "bootstrap_token", "bootstrap_token_expires", "ca_hash", "control_plane_files", "kubernetes_version", "components", "mesh_address", "mesh_peers", "image", "pod_cidr", "service_cidr", "host_certificate", "ssh_authority", "now")
    STATE_DISK_KEY_FIELD_NUMBER: _ClassVar[int]
    MEASUREMENT_SECRET_FIELD_NUMBER: _ClassVar[int]
    MEASUREMENT_SALT_FIELD_NUMBER: _ClassVar[int]
    KUBELET_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    API_ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    BOOTSTRAP_TOKEN_FIELD_NUMBER: _ClassVar[int]
    BOOTSTRAP_TOKEN_EXPIRES_FIELD_NUMBER: _ClassVar[int]
    CA_HASH_FIELD_NUMBER: _ClassVar[int]
    CONTROL_PLANE_FILES_FIELD_NUMBER: _ClassVar[int]
    KUBERNETES_VERSION_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    MESH_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    MESH_PEERS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    POD_CIDR_FIELD_NUMBER: _ClassVar[int]
    SERVICE_CIDR_FIELD_NUMBER: _ClassVar[int]
    HOST_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    SSH_AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    state_disk_key: bytes
    measurement_secret: bytes
    measurement_salt: bytes
    kubelet_certificate: bytes
    api_endpoint: str
    bootstrap_token: str
    bootstrap_token_expires: _timestamp_pb2.Timestamp
    ca_hash: str
    control_plane_files: _containers.RepeatedCompositeFieldContainer[File]
    kubernetes_version: str
    components: _containers.RepeatedCompositeFieldContainer[Component]
    mesh_address: str
    mesh_peers: _containers.RepeatedCompositeFieldContainer[MeshPeer]
    image: _attest_pb2.SignedManifest
    pod_cidr: str
    service_cidr: str
    host_certificate: str
    ssh_authority: str
    now: _timestamp_pb2.Timestamp
    def __init__(self, state_disk_key: _Optional[bytes] = ..., measurement_secret: _Optional[bytes] = ..., measurement_salt: _Optional[bytes] = ..., kubelet_certificate: _Optional[bytes] = ..., api_endpoint: _Optional[str] = ..., bootstrap_token: _Optional[str] = ..., bootstrap_token_expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ca_hash: _Optional[str] = ..., control_plane_files: _Optional[_Iterable[_Union[File, _Mapping]]] = ..., kubernetes_version: _Optional[str] = ..., components: _Optional[_Iterable[_Union[Component, _Mapping]]] = ..., mesh_address: _Optional[str] = ..., mesh_peers: _Optional[_Iterable[_Union[MeshPeer, _Mapping]]] = ..., image: _Optional[_Union[_attest_pb2.SignedManifest, _Mapping]] = ..., pod_cidr: _Optional[str] = ..., service_cidr: _Optional[str] = ..., host_certificate: _Optional[str] = ..., ssh_authority: _Optional[str] = ..., now: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class IssueRejoinTicketRequest(_message.Message):
    __slots__ = ("disk_uuid", "wireguard_public_key", "addresses")
    DISK_UUID_FIELD_NUMBER: _ClassVar[int]
    WIREGUARD_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    disk_uuid: str
    wireguard_public_key: bytes
    addresses: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, disk_uuid: _Optional[str] = ..., wireguard_public_key: _Optional[bytes] = ..., addresses: _Optional[_Iterable[str]] = ...) -> None: ...

class RejoinTicket(_message.Message):
    __slots__ = ("state_disk_key", "measurement_secret", "measurement_salt", "mesh_address", "mesh_peers", "wireguard_public_key")
    STATE_DISK_KEY_FIELD_NUMBER: _ClassVar[int]
    MEASUREMENT_SECRET_FIELD_NUMBER: _ClassVar[int]
    MEASUREMENT_SALT_FIELD_NUMBER: _ClassVar[int]
    MESH_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    MESH_PEERS_FIELD_NUMBER: _ClassVar[int]
    WIREGUARD_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    state_disk_key: bytes
    measurement_secret: bytes
    measurement_salt: bytes
    mesh_address: str
    mesh_peers: _containers.RepeatedCompositeFieldContainer[MeshPeer]
    wireguard_public_key: bytes
    def __init__(self, state_disk_key: _Optional[bytes] = ..., measurement_secret: _Optional[bytes] = ..., measurement_salt: _Optional[bytes] = ..., mesh_address: _Optional[str] = ..., mesh_peers: _Optional[_Iterable[_Union[MeshPeer, _Mapping]]] = ..., wireguard_public_key: _Optional[bytes] = ...) -> None: ...

class File(_message.Message):
    __slots__ = ("path", "content")
    PATH_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    path: str
    content: bytes
    def __init__(self, path: _Optional[str] = ..., content: _Optional[bytes] = ...) -> None: ...

class Component(_message.Message):
    __slots__ = ("name", "version", "sha256")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    sha256: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., sha256: _Optional[str] = ...) -> None: ...

class MeshPeer(_message.Message):
    __slots__ = ("node", "wireguard_public_key", "mesh_address", "addresses")
    NODE_FIELD_NUMBER: _ClassVar[int]
    WIREGUARD_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    MESH_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    node: str
    wireguard_public_key: bytes
    mesh_address: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, node: _Optional[str] = ..., wireguard_public_key: _Optional[bytes] = ..., mesh_address: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ...) -> None: ...
