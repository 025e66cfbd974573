# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The life of resources in the real Terraform and in OpenTofu, the provider in this process."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

if TYPE_CHECKING:
    from tests.terraform_provider_constellation.plugin.tools import Tool
    from tests.terraform_provider_constellation.plugin.zoo import Books

EVERYTHING = """
resource "zoo_cage" "a" {
  name     = "a"
  labels   = { x = "y" }
  size     = [1.5, 0.1]
  extra    = { a = [1, "x", toset(["q"])], b = null, c = 0.1 }
  animals  = [{ name = "lion" }, { name = "bee", legs = 6, toys = ["ball", "bone"] }]
  keepers  = [{ kind = "hay" }, { kind = "meat", grams = 0.3 }]
  doors    = { north = { kind = "fish" } }
  star     = { name = "star" }
  meal {
    kind = "bone"
  }
  gate {
    kind = "gate"
  }
  timeouts {
    create = "5m"
  }
}
"""


def test_everything_is_created_kept_and_destroyed(tool: Tool, books: Books) -> None:
    tool.write(EVERYTHING)
    assert tool.apply().status == 0
    assert tool.state()["animals"][1]["tag"] == "chip-bee"
    assert not tool.differs()
    assert tool.run("destroy", "-auto-approve").status == 0
    assert books.load() == {}


def test_a_change_in_place_keeps_what_is_kept(tool: Tool) -> None:
    tool.write('resource "zoo_cage" "a" {\n  name = "a"\n}')
    tool.apply()
    tool.write('resource "zoo_cage" "a" {\n  name = "a"\n  labels = { x = "y" }\n}')
    result = tool.apply()
    assert "1 changed" in result.text
    assert "id = (known after apply)" not in result.text
    assert not tool.differs()


def test_a_change_of_the_name_replaces(tool: Tool, books: Books) -> None:
    tool.write('resource "zoo_cage" "a" {\n  name = "a"\n}')
    tool.apply()
    tool.write('resource "zoo_cage" "a" {\n  name = "b"\n}')
    assert "must be replaced" in tool.apply().text
    assert [cage["name"] for cage in books.load().values()] == ["b"]


def test_drift_is_shown_and_repaired(tool: Tool, books: Books) -> None:
    tool.write('resource "zoo_cage" "a" {\n  name = "a"\n}')
    tool.apply()
    books.save({number: cage | {"climate": "wet"} for number, cage in books.load().items()})
    assert '~ climate = "wet" -> "dry"' in tool.run("plan").text
    tool.apply()
    assert [cage["climate"] for cage in books.load().values()] == ["dry"]


def test_what_is_gone_is_made_again(tool: Tool, books: Books) -> None:
    tool.write('resource "zoo_cage" "a" {\n  name = "a"\n}')
    tool.apply()
    books.save({})
    assert tool.differs()
    assert tool.apply().status == 0
    assert not tool.differs()


def test_unknown_names_are_planned_with_what_is_known_of_them(tool: Tool) -> None:
    tool.write("""
resource "zoo_cage" "a" {
  name = "a"
}
resource "zoo_cage" "b" {
  name    = "b-${zoo_cage.a.id}"
  animals = [{ name = "lion", toys = [zoo_cage.a.revision] }]
  extra   = zoo_cage.a.revision
}
output "is_known_to_be_there" {
  value = zoo_cage.b.name != ""
}
""")
    planned = tool.run("plan")
    assert planned.status == 0
    assert "is_known_to_be_there = true" in planned.text
    assert tool.apply().status == 0
    assert not tool.differs()


def test_failure_half_way_keeps_what_is_there(tool: Tool, books: Books) -> None:
    tool.write('resource "zoo_cage" "a" {\n  name = "a"\n  behaviour = "half"\n}')
    result = tool.apply()
    assert result.status == 1
    assert "Error: The door does not close" in result.text
    assert 'behaviour = "half"' in result.text
    assert tool.instance()["status"] == "tainted"
    tool.write("")
    tool.apply()
    assert books.load() == {}


def test_a_failed_change_keeps_the_state_before(tool: Tool) -> None:
    tool.write('resource "zoo_cage" "a" {\n  name = "a"\n}')
    tool.apply()
    tool.write('resource "zoo_cage" "a" {\n  name = "a"\n  behaviour = "broken"\n}')
    assert "The cage resists" in tool.apply().text
    assert tool.state()["behaviour"] is None


def test_a_mistake_of_the_provider_is_no_traceback(tool: Tool) -> None:
    tool.write('resource "zoo_cage" "a" {\n  name = "a"\n  behaviour = "broken"\n}')
    text = tool.apply().text
    assert "Error: The provider failed unexpectedly" in text
    assert "RuntimeError: the hammer broke." in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    "behaviour, message",
    [
        ("nonsense", "Revision: expected text, got int."),
        ("forgetful", "Expected Cage, got NoneType."),
        ("secretive", "Private state: expected what JSON can say"),
    ],
)
def test_an_answer_that_cannot_be_stored_loses_nothing(tool: Tool, books: Books, behaviour: str, message: str) -> None:
    tool.write(f'resource "zoo_cage" "a" {{\n  name = "a"\n  behaviour = "{behaviour}"\n}}')
    assert message in tool.apply().text
    assert tool.instance()["status"] == "tainted"
    assert len(books.load()) == 1


def test_an_operation_that_was_cancelled_is_an_error(tool: Tool) -> None:
    tool.write('resource "zoo_cage" "a" {\n  name = "a"\n  behaviour = "cancelled"\n}')
    assert "The provider failed unexpectedly" in tool.apply().text


def test_a_time_limit_of_the_user_holds(tool: Tool) -> None:
    tool.write("""
resource "zoo_cage" "a" {
  name      = "a"
  behaviour = "endless"
  timeouts {
    create = "100ms"
  }
}
""")
    text = tool.apply().text
    assert "Error: Time is over" in text
    assert "To create zoo_cage took longer than 0:00:00.100000" in text


def test_secrets_are_stored_nowhere(tool: Tool, books: Books) -> None:
    tool.write("""
variable "code" {
  ephemeral = true
}
resource "zoo_cage" "a" {
  name         = "a"
  code_wo      = var.code
  code_version = 1
}
""")
    tool.environment["TF_VAR_code"] = "hush-hush"
    tool.run("plan", "-out=plan")
    assert tool.run("apply", "plan").status == 0
    with ZipFile(tool.folder / "plan") as plan:
        stored = [plan.read(name) for name in plan.namelist()]
    stored.append((tool.folder / "terraform.tfstate").read_bytes())
    assert not any(b"hush-hush" in content for content in stored)
    assert [cage["code"] for cage in books.load().values()] == [hashlib.sha256(b"hush-hush").hexdigest()]
    assert not tool.differs()


def test_data_sources_are_read_with_defaults(tool: Tool) -> None:
    tool.write('data "zoo_species" "s" {\n  name = "unicorn"\n}\noutput "text" {\n  value = data.zoo_species.s.text\n}')
    result = tool.apply()
    assert "Warning: Nobody has seen one" in result.text
    assert 'text = "unicorn, short"' in result.text


def test_ephemeral_resources_are_opened_and_closed(tool: Tool, books: Books) -> None:
    tool.write("""
ephemeral "zoo_ticket" "t" {
  visitor = "ann"
}
resource "zoo_cage" "a" {
  name         = "a"
  code_wo      = ephemeral.zoo_ticket.t.number
  code_version = 1
}
""")
    assert tool.apply().status == 0
    assert (books.folder / "closed-ann").exists()


def test_functions_are_called(tool: Tool) -> None:
    tool.write("""
output "shout" {
  value = provider::zoo::shout("a", "b", "c")
}
output "describe" {
  value = provider::zoo::describe({ a = [1, 2.5] }).kind
}
output "legs" {
  value = provider::zoo::legs([{ name = "bee", legs = 6, tag = "", toys = [] }])
}
""")
    text = tool.apply().text
    assert 'shout = "A B C"' in text
    assert 'describe = "dict"' in text
    assert "legs = 6" in text


def test_a_wrong_argument_of_a_function_is_named(tool: Tool) -> None:
    tool.write('output "shout" {\n  value = provider::zoo::shout("")\n}')
    text = tool.run("validate").text
    assert 'Invalid value for "text" parameter: There is nothing to shout.' in text


@pytest.mark.parametrize("how", ["command", "block"])
def test_import(tool: Tool, books: Books, how: str) -> None:
    books.save({"c1": {"name": "a", "climate": "dry", "labels": None, "revision": "7"}})
    cage = 'resource "zoo_cage" "a" {\n  name = "a"\n}\n'
    if how == "command":
        tool.write(cage)
        assert tool.run("import", "zoo_cage.a", "c1").status == 0
    else:
        tool.write(cage + 'import {\n  to = zoo_cage.a\n  id = "c1"\n}')
        assert "1 imported" in tool.apply().text
    assert tool.state()["revision"] == "7"


def test_configuration_is_generated_for_an_import(tool: Tool, books: Books) -> None:
    books.save({"c1": {"name": "a", "climate": "wet", "labels": None, "revision": "7"}})
    tool.write('import {\n  to = zoo_cage.a\n  id = "c1"\n}')
    assert tool.run("plan", "-generate-config-out=made.tf").status == 0
    assert 'climate = "wet"' in " ".join((tool.folder / "made.tf").read_text().split())
    assert tool.apply().status == 0
    assert not tool.differs()


def test_import_of_nothing(tool: Tool) -> None:
    tool.write('resource "zoo_cage" "a" {\n  name = "a"\n}')
    assert "There is no cage c9" in tool.run("import", "zoo_cage.a", "c9").text


def test_a_resource_moves_from_another_type(tool: Tool, books: Books) -> None:
    books.save({"c1": {"name": "a", "climate": "dry", "labels": None, "revision": "7"}})
    tool.write('resource "terraform_data" "old" {\n  input = "c1"\n}')
    assert tool.apply().status == 0
    tool.write('resource "zoo_cage" "a" {\n  name = "a"\n}\nmoved {\n  from = terraform_data.old\n  to = zoo_cage.a\n}')
    result = tool.apply()
    assert result.status == 0, result.text
    assert tool.state()["revision"] == "7"


def test_an_old_state_is_upgraded(tool: Tool) -> None:
    tool.write('resource "zoo_cage" "a" {\n  name = "a"\n  climate = "wet"\n}')
    tool.apply()
    _edit_state(tool, 1, lambda attributes: attributes | {"air": attributes["climate"], "climate": None, "gone": 1})
    assert not tool.differs()


def test_a_state_of_a_newer_provider_is_refused(tool: Tool) -> None:
    tool.write('resource "zoo_cage" "a" {\n  name = "a"\n}')
    tool.apply()
    _edit_state(tool, 3, lambda attributes: attributes)
    text = tool.run("plan").text
    assert "newer provider" in text


def _edit_state(tool: Tool, version: int, edit: object) -> None:
    path = tool.folder / "terraform.tfstate"
    state = json.loads(path.read_text(encoding="utf-8"))
    instance = state["resources"][0]["instances"][0]
    instance["schema_version"] = version
    instance["attributes"] = edit(instance["attributes"])  # type: ignore[operator]
    path.write_text(json.dumps(state), encoding="utf-8")
