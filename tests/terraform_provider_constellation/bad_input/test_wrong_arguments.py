# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Every argument wrong in turn: Terraform shows a summary, a detail and the line, and nothing of Python's.

The tables are complete: an argument that is new, and has rules of its own, fails a test until it is in one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from terraform_provider_constellation.plugin.schema.containers import Entries, Items
from terraform_provider_constellation.plugin.schema.kinds import Dynamic
from terraform_provider_constellation.provider import Constellation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from terraform_provider_constellation.plugin.schema.objects import Attribute, ObjectSchema
    from tests.terraform_provider_constellation.real_terraform import Terraform

KEYWORDS = {"resources": "resource", "data_sources": "data", "ephemeral_resources": "ephemeral"}
HEX, KEY = "1a" * 32, "-----BEGIN PUBLIC KEY-----"
GOOD_ATTESTATION = f'{{ variant = "qemu-vtpm", measurements = {{ 4 = {{ expected = "{HEX}" }} }} }}'
GOOD = {
    "constellation_attestation": {
        "image": f'{{ manifest = "{{}}", signature = "aa", public_key = "{KEY}" }}',
    },
    "constellation_cluster": {"workspace": '"w"'},
    "constellation_image": {},
    "constellation_join_config": {"workspace": '"w"', "attestations": f"[{GOOD_ATTESTATION}]"},
    "constellation_kubeconfig": {"workspace": '"w"'},
    "constellation_local_machines": {"workspace": '"w"', "image": '"i"'},
    "constellation_master_secret": {},
    "constellation_node_identities": {"workspace": '"w"'},
    "constellation_verification": {"workspace": '"w"'},
}
"""What each must have, and is right."""

_IMAGE = f'manifest = "{{}}", signature = "aa", public_key = "{KEY}"'
_ATTESTATION = {
    "variant": ('{ variant = "qemu" }', "one of qemu-vtpm,"),
    "measurements": (
        f'{{ variant = "qemu-vtpm", measurements = {{ 99 = {{ expected = "{HEX}" }} }} }}',
        "registers 0 to 23, mrtd",
    ),
    "measurements.expected": (
        '{ variant = "qemu-vtpm", measurements = { 4 = { expected = "1a" } } }',
        "64 or 96 hexadecimal digits",
    ),
    "launch_digests": ('{ variant = "qemu-snp", launch_digests = ["1a"] }', "96 hexadecimal digits"),
    "minimum_tcb": ('{ variant = "qemu-snp", minimum_tcb = { cpu = 1 } }', "versions from 0 to 65535 of bootloader,"),
    "extra_policy": ('{ variant = "qemu-vtpm", extra_policy = "[]" }', "a JSON object"),
    "signature": ('{ variant = "qemu-vtpm", signature = "!" }', "base64"),
    "public_key": ('{ variant = "qemu-vtpm", public_key = "k" }', "a public key of ECDSA P-256 in PEM"),
}
_TIMEOUTS = ("create", "read", "update", "delete")


def of_attestation(name: str, *, is_list: bool) -> dict[str, tuple[str, str]]:
    """Wrong attestations, for an argument that takes one or several."""
    return {
        f"{name}.{part}": (f"[{value}]" if is_list else value, expected)
        for part, (value, expected) in _ATTESTATION.items()
    }


def of_timeouts(kind: str) -> dict[str, tuple[str, str]]:
    """Wrong limits of time."""
    return {f"{kind}.timeouts.{name}": ('"soon"', "a duration such as 1h30m") for name in _TIMEOUTS}


WRONG: dict[str, tuple[str, str]] = {
    "constellation_attestation.image.signature": ('{ manifest = "{}", signature = "!" }', "base64"),
    "constellation_attestation.image.public_key": ('{ manifest = "{}", signature = "aa", public_key = "k" }', "in PEM"),
    "constellation_attestation.signature": ('"!"', "base64"),
    "constellation_attestation.public_key": ('"k"', "a public key of ECDSA P-256 in PEM"),
    "constellation_attestation.minimum_tcb": ("{ snp = 70000 }", "versions from 0 to 65535 of bootloader,"),
    "constellation_attestation.extra_policy": ('"policy"', "a JSON object"),
    **of_attestation("constellation_cluster.attestation", is_list=False),
    **of_timeouts("constellation_cluster"),
    "constellation_cluster.api_server_cert_sans": ('["a b"]', "names or IP addresses"),
    "constellation_cluster.control_planes.max": ("{ max = 8 }", "1 to 7"),
    "constellation_cluster.image": ("5", "of `data.constellation_image`, or the folder of an image"),
    "constellation_cluster.join_config": ('"{}"', "a join-config"),
    "constellation_cluster.kubernetes_version": ('"latest"', "a version as v1.36.4"),
    "constellation_cluster.master_secret": ('"hush"', "64 digits 0-9, a-f"),
    "constellation_cluster.master_secret_salt": ('"salt"', "64 digits 0-9, a-f"),
    "constellation_cluster.master_secret_wo": ('"hush"', "64 digits 0-9, a-f"),
    "constellation_cluster.name": ('"Mini!"', "1 to 32 of a-z, 0-9"),
    "constellation_cluster.network_config.ip_cidr_node": ('{ ip_cidr_node = "10.0.0.1/8" }', "a private IPv4 network"),
    "constellation_cluster.network_config.ip_cidr_pod": ('{ ip_cidr_pod = "8.8.0.0/16" }', "a private IPv4 network"),
    "constellation_cluster.network_config.ip_cidr_service": ('{ ip_cidr_service = "x" }', "a private IPv4 network"),
    "constellation_cluster.on_destroy": ('"explode"', "one of forget, wipe"),
    "constellation_image.attestation_variant": ('"qemu"', "one of qemu-vtpm,"),
    "constellation_image.profile": ('"fast"', "one of release, debug, emergency-access"),
    **of_attestation("constellation_join_config.attestations", is_list=True),
    **of_timeouts("constellation_join_config"),
    "constellation_join_config.attestations": ("[]", "1 to 32 elements"),
    "constellation_join_config.control_planes.max": ("{ max = 0 }", "1 to 7"),
    "constellation_join_config.document": ('"version: 2"', "a join-config"),
    "constellation_kubeconfig.cluster_id": ('"5C"', "64 digits 0-9, a-f"),
    **of_timeouts("constellation_local_machines"),
    "constellation_local_machines.control_planes": ("2", "one of 1, 3, 5"),
    "constellation_local_machines.cpus": ("1", "2 to 255"),
    "constellation_local_machines.image": (
        "{ version = 1 }",
        "of `data.constellation_image`, or the folder of an image",
    ),
    "constellation_local_machines.memory": ("1024", "2048 to 1048576 MiB"),
    "constellation_local_machines.name": ('"Mini!"', "1 to 32 of a-z, 0-9"),
    "constellation_local_machines.state_disk": ("1", "2048 to 16777216 MiB"),
    "constellation_local_machines.workers": ("-1", "0 to 32"),
    **of_attestation("constellation_verification.attestations", is_list=True),
    "constellation_verification.attestations": ("[]", "1 to 64 elements"),
    "constellation_verification.cluster_id": ('"x"', "64 digits 0-9, a-f"),
    "constellation_verification.endpoints": ("[]", "1 to 1024 elements"),
    "constellation_verification.timeout": ('"soon"', "a duration such as 1h30m"),
}
"""Argument → a wrong value, and what is expected instead."""


def things() -> Iterator[tuple[str, Any]]:
    """Everything that takes arguments: its keyword, and itself."""
    provider = Constellation()
    for section, keyword in KEYWORDS.items():
        yield from ((keyword, thing) for thing in getattr(provider, section))


def settable(schema: ObjectSchema, prefix: str) -> Iterator[tuple[str, Attribute]]:
    """Arguments, and those in them."""
    for name, attribute in schema.attributes.items():
        if attribute.field.required or attribute.field.optional:
            yield f"{prefix}.{name}", attribute
            if attribute.nested is not None:
                yield from settable(attribute.nested, f"{prefix}.{name}")


ARGUMENTS = {path: (keyword, item) for keyword, thing in things() for path, item in settable(thing.schema, thing.name)}


TYPED = sorted(
    path
    for path, (_, item) in ARGUMENTS.items()
    if path.count(".") == 1 and not item.field.block and not isinstance(item.kind, Dynamic)
)
"""Arguments of blocks that do not take values of every type."""


def block(keyword: str, kind: str, **arguments: str) -> str:
    """Write a block: a name and all arguments that must be there."""
    body = "\n".join(f"  {name} = {value}" for name, value in arguments.items())
    return f'{keyword} "{kind}" "a" {{\n{body}\n}}\n'


def only_problem(terraform: Terraform, line: str) -> dict[str, Any]:
    """What Terraform says, which is one thing, about this line."""
    (problem,) = [one for one in terraform.problems() if line in (one.get("snippet") or {}).get("code", "")]
    assert "Traceback" not in json.dumps(terraform.problems())
    return problem


def test_every_argument_with_rules_is_in_the_table() -> None:
    ruled = {path for path, (_, item) in ARGUMENTS.items() if item.field.validators or hasattr(item.kind, "choices")}
    assert ruled == WRONG.keys()


@pytest.mark.parametrize("path", sorted(WRONG))
def test_a_wrong_value_is_told_where_it_is(terraform: Terraform, path: str) -> None:
    value, expected = WRONG[path]
    kind, name, *_ = path.split(".")
    if name == "timeouts":
        limit = path.rpartition(".")[2]
        arguments = GOOD[kind]
        terraform.write(
            block("resource", kind, **arguments).replace("\n}\n", f"\n  timeouts {{\n    {limit} = {value}\n  }}\n}}\n")
        )
        line = f"{limit} = {value}"
    else:
        terraform.write(block(ARGUMENTS[path][0], kind, **(GOOD[kind] | {name: value})))
        line = f"{name} = {value}"
    problem = only_problem(terraform, line)
    assert problem["summary"]
    assert expected in " ".join(problem["detail"].split())


@pytest.mark.parametrize("path", TYPED)
def test_a_value_of_another_type_is_told_where_it_is(terraform: Terraform, path: str) -> None:
    keyword, attribute = ARGUMENTS[path]
    kind, name = path.split(".")
    is_plain = attribute.nested is None and not isinstance(attribute.kind, Items | Entries)
    value = "{}" if is_plain else '"x"'
    terraform.write(block(keyword, kind, **(GOOD[kind] | {name: value})))
    assert only_problem(terraform, f"{name} = {value}")["detail"]


@pytest.mark.parametrize(
    "path", sorted(path for path, (_, item) in ARGUMENTS.items() if item.field.required and path.count(".") == 1)
)
def test_what_is_missing_is_named(terraform: Terraform, path: str) -> None:
    kind, name = path.split(".")
    given = {other: value for other, value in GOOD[kind].items() if other != name}
    terraform.write(block(ARGUMENTS[path][0], kind, **given))
    (problem,) = terraform.problems()
    assert problem["summary"] == "Missing required argument"
    assert name in problem["detail"]


@pytest.mark.parametrize(
    "configuration, summary, detail",
    [
        (
            block("data", "constellation_image", path='"p"', catalogue='"c"'),
            "Invalid combination",
            "path and catalogue",
        ),
        (block("data", "constellation_image", path='"p"', version='"1"'), "Invalid combination", "path or version"),
        (block("data", "constellation_attestation"), "Invalid combination", "exactly one of image, manifest"),
        (
            block("data", "constellation_attestation", manifest='"m"', public_key=f'"{KEY}"'),
            "Missing signature",
            "signature must be given",
        ),
        (
            block("data", "constellation_attestation", manifest='"m"', signature='"aa"'),
            "Missing public_key",
            "the key of who builds images",
        ),
        (
            block("data", "constellation_attestation", image='{ manifest = "m", signature = "aa" }'),
            "Missing public_key",
            "the key of who builds images",
        ),
        (
            block("data", "constellation_attestation", image=f"{{ {_IMAGE} }}", signature='"aa"'),
            "Invalid combination",
            "an image has its own",
        ),
        (
            block("data", "constellation_verification"),
            "Invalid combination",
            "exactly one of workspace, kubeconfig_path, endpoints",
        ),
        (
            block("data", "constellation_verification", kubeconfig_path='"k"'),
            "Missing attestations",
            "only a workspace has an image",
        ),
        (
            block("data", "constellation_verification", endpoints='["a b"]', attestations=f"[{GOOD_ATTESTATION}]"),
            "Invalid endpoint",
            "expected [NAME=]HOST[:PORT]",
        ),
        (
            block(
                "data",
                "constellation_verification",
                workspace='"w"',
                attestations='[{ variant = "qemu-vtpm", manifest = "m" }]',
            ),
            "Invalid combination",
            "With manifest also signature and public_key",
        ),
        (
            block("data", "constellation_node_identities"),
            "Invalid combination",
            "exactly one of workspace, kubeconfig_path",
        ),
        (
            block("ephemeral", "constellation_kubeconfig", kubeconfig_path='"k"', cluster_id=f'"{HEX}"'),
            "Invalid combination",
            "The ID goes with workspace",
        ),
        (
            block("ephemeral", "constellation_master_secret", workspace='"w"', file='"f"'),
            "Invalid combination",
            "at most one of workspace, file",
        ),
    ],
)
def test_what_does_not_go_together_is_told(terraform: Terraform, configuration: str, summary: str, detail: str) -> None:
    terraform.write(configuration)
    problem = terraform.problems()[0]
    assert problem["summary"] == summary
    assert detail.lower() in " ".join(problem["detail"].split()).lower()
