# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Every check of the repository, by name: `nox --list`.

Sessions use the environment that `make setup` made from uv.lock; nothing is resolved or downloaded here. `make test`
runs the default sessions and then `pytest`.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from subprocess import DEVNULL
from tempfile import TemporaryDirectory

import nox

from attestation.policy import json_schema
from constellation_cli.reference import reference
from constellation_engine.cluster.manifests.first import PATH as FIRST_OBJECTS
from constellation_engine.cluster.manifests.first import first_objects_file
from terraform_provider_constellation.documentation import documentation

NEWEST_PYTHON = "3.13"
PROTO = Path("proto")
PLUGIN = Path("terraform_provider_constellation/plugin/wire")
WELL_KNOWN = [f"-I{files('grpc_tools') / '_proto'}"]


def policy_schema() -> str:
    """What editors check a policy against."""
    return json.dumps(json_schema(), indent=2) + "\n"


def stubs() -> dict[str, str]:
    """Messages and RPC stubs of the `.proto` files, in the flavours that are used: grpclib, and grpcio for keys."""
    sources = sorted(str(path) for path in PROTO.glob("constellation_proto/*.proto"))
    services = [path for path in sources if not path.endswith("attest.proto")]  # messages only
    keys = str(PROTO / "constellation_proto" / "keys.proto")
    tools = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]  # noqa: PTH120 - where plugins are
    with TemporaryDirectory() as folder:
        for options, files in (
            (["--python_out", "--pyi_out"], sources),
            (["--grpclib_python_out"], services),
            (["--grpc_python_out"], [keys]),
        ):
            outputs = [f"{option}={folder}" for option in options]
            command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", *WELL_KNOWN, *outputs, *files]
            subprocess.run(command, check=True, env={**os.environ, "PATH": tools})
        made = [path for path in Path(folder).rglob("*") if path.is_file()]
        return {str(PROTO / path.relative_to(folder)): path.read_text(encoding="utf-8") for path in made}


def plugin_messages() -> dict[str, str]:
    """Messages of Terraform's plugin protocol."""
    sources = sorted(str(path) for path in PLUGIN.glob("*.proto"))
    with TemporaryDirectory() as folder:
        outputs = [f"--python_out={folder}", f"--pyi_out={folder}"]
        command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", *WELL_KNOWN, *outputs, *sources]
        subprocess.run(command, check=True)
        made = [path for path in Path(folder).rglob("*") if path.is_file()]
        return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in made}


def generated_files() -> dict[str, str]:
    """Every generated file and what must stand in it."""
    return {
        "docs/policy.schema.json": policy_schema(),
        "docs/cli.md": reference(),
        FIRST_OBJECTS: first_objects_file(),
        **documentation(),
        **stubs(),
        **plugin_messages(),
    }


nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["ruff", "mypy", "imports", "reuse", "generated", "readme", "docs", "collection"]


@nox.session
def ruff(session: nox.Session) -> None:
    """Style and format."""
    session.run("ruff", "check", "--quiet")
    session.run("ruff", "format", "--check", "--quiet")


@nox.session
def mypy(session: nox.Session) -> None:
    """Types, strictly."""
    session.run("mypy")


@nox.session
def imports(session: nox.Session) -> None:
    """Layers: who may import whom (pyproject.toml, import-linter)."""
    session.run("lint-imports", "--no-logo")


@nox.session
def reuse(session: nox.Session) -> None:
    """Every file says its copyright and licence (REUSE)."""
    session.run("reuse", "lint", "--quiet")


@nox.session
def generated(session: nox.Session) -> None:
    """Generated files are what their generator gives today."""
    for path, text in generated_files().items():
        if not Path(path).exists() or Path(path).read_text(encoding="utf-8") != text:
            session.error(f"{path} is stale: run `make generate`")


@nox.session
def generate(_session: nox.Session) -> None:
    """Write generated files anew."""
    for path, text in generated_files().items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")


@nox.session
def readme(session: nox.Session) -> None:
    """The commands of the README print what the README says."""
    session.run("pytest", "--quiet", "tests/readme")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a broken link is an error."""
    session.run("mkdocs", "build", "--strict", "--quiet", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def collection(session: nox.Session) -> None:
    """What Ansible's own tools say of the collection: ansible-test, ansible-lint, antsibull."""
    session.run("python", "-m", "tests.collection.checks", *session.posargs)


@nox.session
def pytest(session: nox.Session) -> None:
    """All tests that are not slow."""
    logging.getLogger("nox").setLevel(logging.CRITICAL)  # the last lines are pytest's own, whatever it finds
    session.run("pytest", *session.posargs)


@nox.session
def quick(session: nox.Session) -> None:
    """What to run before every commit."""
    for name in ("ruff", "mypy", "imports"):
        session.notify(name)
    session.notify("pytest", posargs=["--ignore=tests/mini"])  # no test there but of a whole cluster


@nox.session
def slow(session: nox.Session) -> None:
    """Tests that take more than five seconds, with many examples for each property."""
    session.run("pytest", "-m", "slow", *session.posargs, env={"HYPOTHESIS_PROFILE": "thorough"})


@nox.session
def mutation(session: nox.Session) -> None:
    """Take checks of the library away, one at a time: a test must notice (docs/mutation.md)."""
    session.run("python", "-m", "tests.mutation", *session.posargs)


@nox.session
def newest_python(session: nox.Session) -> None:
    """All tests that are not slow, under the newest Python that we promise."""
    uv = os.environ["UV"]
    environment = {
        "PYENV_VERSION": NEWEST_PYTHON,  # its shims fail without a version, and then uv does too
        "UV_PROJECT_ENVIRONMENT": f".venv-{NEWEST_PYTHON}",
        "VIRTUAL_ENV": None,
    }
    find = (uv, "python", "find", NEWEST_PYTHON)
    if not session.run(*find, env=environment, silent=True, stderr=DEVNULL, success_codes=[0, 2], log=False):
        session.skip(f"Python {NEWEST_PYTHON} is not installed")
    session.run(uv, "run", "--frozen", "--all-extras", "--python", NEWEST_PYTHON, "pytest", env=environment)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure beside the targets: the library on one core and beside Go libraries, the services on all cores."""
    session.run("python", "-m", "benchmarks", *session.posargs)
    session.run("python", "-m", "benchmarks.cluster", *({"--markdown"} & set(session.posargs)))
    session.run("python", "-m", "benchmarks.terraform", *({"--markdown"} & set(session.posargs)))
    session.run("python", "-m", "benchmarks.provider", *({"--markdown"} & set(session.posargs)))
    session.run("python", "-m", "benchmarks.constructs", *({"--markdown"} & set(session.posargs)))
    session.run("python", "-m", "benchmarks.collection", *({"--markdown"} & set(session.posargs)))


@nox.session(name="format")
def format_code(session: nox.Session) -> None:
    """Rewrite the code as ruff wants it."""
    session.run("ruff", "check", "--fix-only", "--quiet")
    session.run("ruff", "format", "--quiet")
