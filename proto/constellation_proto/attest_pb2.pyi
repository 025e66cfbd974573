from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Code(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CODE_UNSPECIFIED: _ClassVar[Code]
    CODE_ACCEPTED: _ClassVar[Code]
    CODE_NOT_ACCEPTED: _ClassVar[Code]
    CODE_BAD_REQUEST: _ClassVar[Code]
    CODE_BUSY: _ClassVar[Code]
    CODE_UNAVAILABLE: _ClassVar[Code]
CODE_UNSPECIFIED: Code
CODE_ACCEPTED: Code
CODE_NOT_ACCEPTED: Code
CODE_BAD_REQUEST: Code
CODE_BUSY: Code
CODE_UNAVAILABLE: Code

class ClientHello(_message.Message):
    __slots__ = ("version", "nonce", "variants", "will_attest")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    VARIANTS_FIELD_NUMBER: _ClassVar[int]
    WILL_ATTEST_FIELD_NUMBER: _ClassVar[int]
    version: str
    nonce: bytes
    variants: _containers.RepeatedScalarFieldContainer[str]
    will_attest: bool
    def __init__(self, version: _Optional[str] = ..., nonce: _Optional[bytes] = ..., variants: _Optional[_Iterable[str]] = ..., will_attest: _Optional[bool] = ...) -> None: ...

class ServerHello(_message.Message):
    __slots__ = ("nonce", "evidence", "image", "demands_evidence", "variants", "code")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    DEMANDS_EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    VARIANTS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    evidence: bytes
    image: SignedManifest
    demands_evidence: bool
    variants: _containers.RepeatedScalarFieldContainer[str]
    code: Code
    def __init__(self, nonce: _Optional[bytes] = ..., evidence: _Optional[bytes] = ..., image: _Optional[_Union[SignedManifest, _Mapping]] = ..., demands_evidence: _Optional[bool] = ..., variants: _Optional[_Iterable[str]] = ..., code: _Optional[_Union[Code, str]] = ...) -> None: ...

class ClientEvidence(_message.Message):
    __slots__ = ("evidence",)
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    evidence: bytes
    def __init__(self, evidence: _Optional[bytes] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("code", "mismatches")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MISMATCHES_FIELD_NUMBER: _ClassVar[int]
    code: Code
    mismatches: _containers.RepeatedCompositeFieldContainer[Mismatch]
    def __init__(self, code: _Optional[_Union[Code, str]] = ..., mismatches: _Optional[_Iterable[_Union[Mismatch, _Mapping]]] = ...) -> None: ...

class Mismatch(_message.Message):
    __slots__ = ("name", "expected", "got", "hint")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    GOT_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    name: str
    expected: str
    got: str
    hint: str
    def __init__(self, name: _Optional[str] = ..., expected: _Optional[str] = ..., got: _Optional[str] = ..., hint: _Optional[str] = ...) -> None: ...

class SignedManifest(_message.Message):
    __slots__ = ("document", "signature")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    document: bytes
    signature: bytes
    def __init__(self, document: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...
