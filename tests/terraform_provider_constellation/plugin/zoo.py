# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A provider for tests: a zoo in a JSON file, with everything that the framework knows.

Its cages do on request what real ones do by accident: fail half-way, take long, change behind Terraform's back.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from terraform_provider_constellation.plugin.api import (
    ArgumentError,
    Between,
    Call,
    Change,
    DataSource,
    DeferredError,
    EphemeralResource,
    ForeignState,
    Found,
    Lease,
    Length,
    ListResource,
    Matches,
    Model,
    Operation,
    Problem,
    Provider,
    ProviderError,
    Resource,
    SetOf,
    Timeouts,
    at_most_one_of,
    block,
    computed,
    function,
    is_known,
    keep,
    optional,
    replace,
    required,
    rule,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

ADDRESS = "registry.terraform.io/example/zoo"
_LOG = logging.getLogger("zoo")


class ZooConfiguration(Model):
    """A zoo."""

    folder: str | None = optional("Where its books are.")
    password: str | None = optional("Of the keeper.", sensitive=True)


class Animal(Model):
    """An animal in a cage."""

    name: str = required("What it is called.", validators=[Matches("[a-z-]+", "small letters")])
    legs: int = optional("How many.", default=4, validators=[Between(0, 1000)])
    tag: str = computed("Number of the chip under its skin.", plan=[keep])
    toys: SetOf[str] | None = optional("What it plays with.")


class Food(Model):
    """What is fed."""

    kind: str = required("What.")
    grams: float = optional("How much.", default=0.1)


class Cage(Model):
    """A cage with animals in it."""

    id: str = computed("Number of the cage.", plan=[keep])
    name: str = required("What is on the sign.", plan=[replace], validators=[Matches("[a-z0-9-]+", "small letters")])
    climate: Literal["dry", "wet"] = optional("What the air is like.", default="dry")
    revision: str = computed("Changes with every change.")
    labels: dict[str, str] | None = optional("What is on the sign besides.")
    size: tuple[float, float] | None = optional("Metres.")
    extra: Any = optional("Whatever.")
    animals: list[Animal] | None = optional("Who lives in it.")
    keepers: SetOf[Food] | None = optional("What the keepers bring.")
    doors: dict[str, Food] | None = optional("By the place where it is put.")
    star: Animal | None = optional("Who is on the sign.")
    secret: str | None = optional("Code of the lock.", sensitive=True, validators=[Length(4)])
    code_wo: str | None = optional("The same, stored nowhere.", write_only=True, sensitive=True)
    code_version: int | None = optional("Change it to make the code take effect.")
    behaviour: str | None = optional("What shall go wrong: half, broken, slow.")
    meal: list[Food] = block("When it is fed.", most=3)
    gate: Food | None = block("The way in.")
    timeouts: Timeouts | None = block("How long things may take.")

    secrets = at_most_one_of("secret", "code_wo")

    @rule
    def wet_cages_have_no_lions(self) -> Iterator[Problem]:
        """Lions like it dry."""
        for index, animal in enumerate(self.animals or []):
            if self.climate == "wet" and animal.name == "lion":
                yield Problem("Unhappy lion", "Lions want a dry cage.", f"animals[{index}].name")


class CageIdentity(Model):
    """What a cage is known by."""

    id: str = required("Number of the cage.")


class Books:
    """What is in the zoo: one JSON file, so that several processes see the same."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self) -> dict[str, Any]:
        path = self.folder / "zoo.json"
        loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return loaded

    def save(self, cages: dict[str, Any]) -> None:
        (self.folder / "zoo.json").write_text(json.dumps(cages), encoding="utf-8")

    def touch(self, name: str) -> None:
        (self.folder / name).touch()


class Cages(Resource[Cage]):
    name = "zoo_cage"
    version = 2
    identity: ClassVar[type[Model] | None] = CageIdentity

    def __init__(self, books: Books) -> None:
        self.books = books

    async def plan(self, change: Change[Cage]) -> None:
        if is_known(change.planned, "behaviour") and change.planned.behaviour == "deferred":
            raise DeferredError("the zoo is not built yet")

    async def create(self, plan: Cage, call: Operation[Cage]) -> Cage:
        plan.id = hashlib.sha256(plan.name.encode()).hexdigest()[:8]
        cage = self._filled(plan)
        if plan.behaviour == "half":
            call.save(cage)
            self._store(cage, call)
            raise ProviderError("The door does not close", "The cage is there, but open.", at="behaviour")
        if plan.behaviour == "broken":
            raise RuntimeError("the hammer broke")
        if plan.behaviour == "nonsense":
            vars(cage)["revision"] = 5
        if plan.behaviour == "secretive":
            call.private["lock"] = object()
        if plan.behaviour == "cancelled":
            raise asyncio.CancelledError
        if plan.behaviour == "slow":
            self.books.touch("started")
            await call.stopping.wait()
            call.warn("The cage was finished in a hurry")
        if plan.behaviour == "endless":
            await asyncio.Event().wait()
        self._store(cage, call)
        _LOG.info("made a cage")
        _LOG.debug("of wood")
        return None if plan.behaviour == "forgetful" else cage  # type: ignore[return-value]

    async def read(self, state: Cage, call: Operation[Cage]) -> Cage | None:
        del call
        known = self.books.load().get(state.id)
        if known is None:
            return None
        state.name = known["name"]
        state.climate = known["climate"]
        state.labels = known["labels"]
        state.revision = known["revision"]
        return state

    async def update(self, prior: Cage, plan: Cage, call: Operation[Cage]) -> Cage:
        if plan.behaviour == "broken":
            raise ProviderError("The cage resists", at="name")
        plan.id = prior.id
        cage = self._filled(plan)
        self._store(cage, call)
        return cage

    async def delete(self, state: Cage, call: Operation[Cage]) -> None:
        del call
        cages = self.books.load()
        cages.pop(state.id, None)
        self.books.save(cages)

    async def import_state(self, id_: str, call: Operation[Cage]) -> Cage:
        wanted = id_ or call.identity.id
        if wanted not in self.books.load():
            raise ProviderError(f"There is no cage {wanted}")
        return Cage(id=wanted)

    def upgrade(self, version: int, values: dict[str, Any]) -> dict[str, Any]:
        return values | {"climate": values["air"]} if version == 1 else values

    async def move(self, source: ForeignState, call: Operation[Cage]) -> Cage:
        if source.name != "terraform_data":
            return await super().move(source, call)
        return Cage(id=source.values["input"]["value"])

    def _filled(self, plan: Cage) -> Cage:
        plan.revision = str(len(self.books.load()))
        for animal in [*(plan.animals or []), *([plan.star] if plan.star else [])]:
            if not is_known(animal, "tag"):
                animal.tag = f"chip-{animal.name}"
        return plan

    def _store(self, cage: Cage, call: Operation[Cage]) -> None:
        call.private["code"] = hashlib.sha256((call.config.code_wo or "").encode()).hexdigest()
        what = {name: vars(cage)[name] for name in ("name", "climate", "labels", "revision")}
        self.books.save(self.books.load() | {cage.id: what | {"code": call.private["code"]}})


class Species(Model):
    """What is known of a species."""

    name: str = required("Latin name.")
    detail: str = optional("How much to tell.", default="short")
    text: str = computed("What is known.")


class SpeciesSource(DataSource[Species]):
    name = "zoo_species"

    async def read(self, config: Species, call: Call) -> Species:
        if config.name == "unicorn":
            call.warn("Nobody has seen one", at="name")
        config.text = f"{config.name}, {config.detail}"
        return config


class Ticket(Model):
    """A ticket for a day."""

    visitor: str = required("Who comes.")
    number: str = computed("What is on it.", sensitive=True)


class Tickets(EphemeralResource[Ticket]):
    name = "zoo_ticket"

    def __init__(self, books: Books) -> None:
        self.books = books

    async def open(self, config: Ticket, call: Lease) -> Ticket:
        call.private["visitor"] = config.visitor
        call.renew_at = datetime.now(UTC) + timedelta(hours=1)
        config.number = f"ticket-of-{config.visitor}"
        return config

    async def renew(self, call: Lease) -> None:
        call.renew_at = datetime.now(UTC) + timedelta(hours=2)

    async def close(self, call: Lease) -> None:
        self.books.touch(f"closed-{call.private['visitor']}")


class CageFilter(Model):
    """Which cages."""

    climate: str | None = optional("With this air only.")


class CageList(ListResource[CageFilter, Cage]):
    name = "zoo_cage"

    def __init__(self, books: Books) -> None:
        self.books = books

    async def find(self, config: CageFilter, call: Call) -> AsyncIterator[Found[Cage]]:
        del call
        for number, cage in self.books.load().items():
            if config.climate in (None, cage["climate"]):
                yield Found(cage["name"], Cage(id=number, name=cage["name"], climate=cage["climate"]))


@function
def shout(text: Annotated[str, "What to say."], *more: str) -> str:
    """Say it loudly.

    All of it.
    """
    if not text:
        raise ArgumentError("text", "There is nothing to shout.")
    return " ".join([text, *more]).upper()


@function
def describe(value: Any) -> Any:  # noqa: ANN401 - it takes anything
    """Say what it is."""
    return {"kind": type(value).__name__, "value": value}


@function
def legs(animals: list[Animal] | None) -> int:
    """Count all legs."""
    return sum(animal.legs for animal in animals or [])


class Zoo(Provider[ZooConfiguration]):
    name = "zoo"

    def __init__(self) -> None:
        print("a stray line on standard output")  # noqa: T201 - must not reach Terraform as an answer
        self.books = Books(Path(os.environ.get("ZOO", ".")))
        self.resources = [Cages(self.books)]
        self.data_sources = [SpeciesSource()]
        self.ephemeral_resources = [Tickets(self.books)]
        self.list_resources = [CageList(self.books)]
        self.functions = [shout, describe, legs]

    async def configure(self, config: ZooConfiguration, call: Call) -> None:
        if config.password == "1234":
            call.warn("Weak password", at="password")
        if config.folder:
            self.books.folder = Path(config.folder)
