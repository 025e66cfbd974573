# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Where an API server is, and who we are there: the parts of a kubeconfig, for clients that do not read one.

https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/; certificates and keys are in the file, as kubeadm writes
it, or in files beside it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from attestation.errors import MalformedError
from constellation_core.errors import ConfigError
from constellation_core.keys.secret import Secret
from constellation_core.keys.secret_file import read_secret_file
from constellation_core.strict_yaml import load_yaml

if TYPE_CHECKING:
    from pathlib import Path

_HINT: Final = "name the administrator's kubeconfig, as kubeadm writes it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a client needs.

    Attributes:
        host: URL of the API server.
        authority: PEM; who certified the API server.
        certificate: PEM; ours.
        key: PEM; of our certificate.
        kubeconfig: the file as a whole.
    """

    host: str
    authority: str
    certificate: str
    key: Secret
    kubeconfig: Secret


def read_credentials(path: Path) -> Credentials:
    """Read what the current context of a kubeconfig says.

    Raises:
        SecretFileError: it cannot be read, or others can read it.
        ConfigError: it is no kubeconfig, or one without certificates.
    """
    content = read_secret_file(path)
    found = _parse(content, path)
    if isinstance(found, str):
        raise ConfigError(f"{path}: expected a kubeconfig with certificates: {found}", hint=_HINT)
    return found


def _parse(content: Secret, path: Path) -> Credentials | str:
    """Give the parts, or say what is wrong: an exception from here would carry the key in its frames."""
    try:
        record: Any = load_yaml(content.reveal().decode())
        context = _named(record, "contexts", "context", record["current-context"])
        cluster = _named(record, "clusters", "cluster", context["cluster"])
        user = _named(record, "users", "user", context["user"])
        return Credentials(
            host=str(cluster["server"]),
            authority=_pem(cluster, "certificate-authority", path),
            certificate=_pem(user, "client-certificate", path),
            key=Secret(_pem(user, "client-key", path).encode()),
            kubeconfig=content,
        )
    except KeyError as error:
        return f"it has no {error.args[0]}"
    except OSError as error:
        return f"{error.filename} cannot be read: {error.strerror}"
    except (MalformedError, TypeError, AttributeError, ValueError) as error:  # of YAML, shapes, base64 and ASCII
        return f"it cannot be read ({type(error).__name__})"


def _named(record: Any, section: str, kind: str, name: str) -> Any:  # noqa: ANN401 - whatever the file says
    found = next((entry for entry in record[section] if entry["name"] == name), None)
    if found is None:
        raise KeyError(f"{kind} {name}")
    return found[kind]


def _pem(record: Any, name: str, path: Path) -> str:  # noqa: ANN401 - the same
    if name in record:
        file: Path = path.parent / record[name]
        return file.read_text(encoding="ascii")
    return base64.b64decode(record[f"{name}-data"], validate=True).decode("ascii")
