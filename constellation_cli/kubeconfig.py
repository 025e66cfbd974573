# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whom to ask and as whom: kubeconfig files, found and put together as kubectl does.

https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/

1. A file that was named is the only one.
2. Otherwise those of $KUBECONFIG, a list as $PATH is. Ones that do not exist are left out; of two entries with the same
   name the first one holds.
3. Otherwise ~/.kube/config.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from constellation_cli.errors import CommandError
from constellation_cli.files import display_name, read_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightkube.config.kubeconfig import SingleConfig

VARIABLE: Final = "KUBECONFIG"

_DEFAULT: Final = Path(".kube", "config")
_SECTIONS: Final = {"clusters": "cluster", "users": "user", "contexts": "context"}
_FILES: Final = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
_HINT: Final = "name the administrator's kubeconfig: --kubeconfig FILE"


def read_kubeconfig(named: Path | None) -> SingleConfig:
    """Read what the current context says.

    Args:
        named: the file that the command line names, if it does.

    Raises:
        CommandError: there is none, or it cannot be used.
    """
    import msgspec
    from lightkube import KubeConfig
    from lightkube.core.exceptions import ConfigError

    files = _find(named)
    shown = ", ".join(map(display_name, files))
    try:
        config = KubeConfig.from_dict(_merge(files))
        chosen = config.get()
    except KeyError as error:
        raise CommandError(f"{shown} lacks {error.args[0]!r}", hint=_HINT) from error
    except (ConfigError, AttributeError, TypeError, ValueError, msgspec.MsgspecError) as error:
        raise CommandError(f"{shown} cannot be used: {error}", hint=_HINT) from error
    if chosen is None or chosen.user is None:
        raise CommandError(f"{shown}: the current context names no user", hint=_HINT)
    return chosen


def _find(named: Path | None) -> list[Path]:
    if named is not None:
        return [named]
    listed = [Path(entry) for entry in os.environ.get(VARIABLE, "").split(os.pathsep) if entry]
    candidates = listed or [Path.home() / _DEFAULT]
    found = [path for path in candidates if path.exists()]
    if not found:
        shown = ", ".join(map(str, candidates))
        raise CommandError(f"there is no kubeconfig: expected --kubeconfig, ${VARIABLE} or {shown}", hint=_HINT)
    return found


def _merge(files: Sequence[Path]) -> dict[str, Any]:
    current = ""
    merged: dict[str, dict[str, Any]] = {section: {} for section in _SECTIONS}
    for file in files:
        record = _load(file)
        current = current or record.get("current-context") or ""
        for section, kind in _SECTIONS.items():
            for entry in record.get(section) or ():
                content = _absolute(entry[kind], file.parent)
                merged[section].setdefault(entry["name"], {"name": entry["name"], kind: content})
    sections = {section: list(entries.values()) for section, entries in merged.items()}
    return {"current-context": current or None, **sections}


def _load(file: Path) -> dict[str, Any]:
    from attestation.errors import MalformedError
    from constellation_core.strict_yaml import load_yaml

    data = read_file(file)
    try:
        record = load_yaml(data.decode("utf-8"))
    except (MalformedError, UnicodeDecodeError) as error:
        raise CommandError(f"{display_name(file)} is no kubeconfig: {error}", hint=_HINT) from error
    if not isinstance(record, dict):
        raise CommandError(f"{display_name(file)} is no kubeconfig: it is no mapping", hint=_HINT)
    return record


def _absolute(content: Any, folder: Path) -> dict[str, Any]:  # noqa: ANN401 - whatever the file says
    """Names of files are relative to the kubeconfig that names them."""
    files = {name: str((folder / content[name]).absolute()) for name in _FILES if content.get(name)}
    return {**content, **files}
