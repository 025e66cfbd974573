from constellation_proto import keys_pb2 as _keys_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RecoverRequest(_message.Message):
    __slots__ = ("key_material", "recovery_secret")
    KEY_MATERIAL_FIELD_NUMBER: _ClassVar[int]
    RECOVERY_SECRET_FIELD_NUMBER: _ClassVar[int]
    key_material: _keys_pb2.KeyMaterial
    recovery_secret: bytes
    def __init__(self, key_material: _Optional[_Union[_keys_pb2.KeyMaterial, _Mapping]] = ..., recovery_secret: _Optional[bytes] = ...) -> None: ...

class RecoverResponse(_message.Message):
    __slots__ = ("kubeconfig",)
    KUBECONFIG_FIELD_NUMBER: _ClassVar[int]
    kubeconfig: bytes
    def __init__(self, kubeconfig: _Optional[bytes] = ...) -> None: ...
