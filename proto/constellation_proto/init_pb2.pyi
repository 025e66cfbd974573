import datetime

from constellation_proto import join_pb2 as _join_pb2
from constellation_proto import keys_pb2 as _keys_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AcknowledgeRequest(_message.Message):
    __slots__ = ("request_id", "init_secret")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INIT_SECRET_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    init_secret: bytes
    def __init__(self, request_id: _Optional[str] = ..., init_secret: _Optional[bytes] = ...) -> None: ...

class AcknowledgeResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class InitRequest(_message.Message):
    __slots__ = ("request_id", "init_secret", "key_material", "measurement_salt", "cluster_name", "kubernetes_version", "components", "endpoint", "certificate_sans", "service_cidr", "pod_cidr", "join_config", "now")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INIT_SECRET_FIELD_NUMBER: _ClassVar[int]
    KEY_MATERIAL_FIELD_NUMBER: _ClassVar[int]
    MEASUREMENT_SALT_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_NAME_FIELD_NUMBER: _ClassVar[int]
    KUBERNETES_VERSION_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_SANS_FIELD_NUMBER: _ClassVar[int]
    SERVICE_CIDR_FIELD_NUMBER: _ClassVar[int]
    POD_CIDR_FIELD_NUMBER: _ClassVar[int]
    JOIN_CONFIG_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    init_secret: bytes
    key_material: _keys_pb2.KeyMaterial
    measurement_salt: bytes
    cluster_name: str
    kubernetes_version: str
    components: _containers.RepeatedCompositeFieldContainer[_join_pb2.Component]
    endpoint: str
    certificate_sans: _containers.RepeatedScalarFieldContainer[str]
    service_cidr: str
    pod_cidr: str
    join_config: str
    now: _timestamp_pb2.Timestamp
    def __init__(self, request_id: _Optional[str] = ..., init_secret: _Optional[bytes] = ..., key_material: _Optional[_Union[_keys_pb2.KeyMaterial, _Mapping]] = ..., measurement_salt: _Optional[bytes] = ..., cluster_name: _Optional[str] = ..., kubernetes_version: _Optional[str] = ..., components: _Optional[_Iterable[_Union[_join_pb2.Component, _Mapping]]] = ..., endpoint: _Optional[str] = ..., certificate_sans: _Optional[_Iterable[str]] = ..., service_cidr: _Optional[str] = ..., pod_cidr: _Optional[str] = ..., join_config: _Optional[str] = ..., now: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class InitEvent(_message.Message):
    __slots__ = ("phase", "log_line", "done")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    LOG_LINE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    phase: Phase
    log_line: str
    done: Done
    def __init__(self, phase: _Optional[_Union[Phase, _Mapping]] = ..., log_line: _Optional[str] = ..., done: _Optional[_Union[Done, _Mapping]] = ...) -> None: ...

class Phase(_message.Message):
    __slots__ = ("name", "finished")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    name: str
    finished: bool
    def __init__(self, name: _Optional[str] = ..., finished: _Optional[bool] = ...) -> None: ...

class Done(_message.Message):
    __slots__ = ("kubeconfig", "cluster_id", "owner")
    KUBECONFIG_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    kubeconfig: bytes
    cluster_id: bytes
    owner: str
    def __init__(self, kubeconfig: _Optional[bytes] = ..., cluster_id: _Optional[bytes] = ..., owner: _Optional[str] = ...) -> None: ...
