# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The program `constellation`: its commands, and what becomes of everything that goes wrong.

A command either returns (exit status 0), ends with `typer.Exit(status)`, or raises. Here an error becomes one sentence
and one hint on stderr. A traceback is a bug, and is shown only to who asks for it.
"""

from __future__ import annotations

import os
import sys
import traceback
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from typer.core import TyperGroup

from attestation.errors import AttestationError
from constellation_cli import __version__, doctor, recover, support
from constellation_cli import status as cluster_status
from constellation_cli import verify as cluster_verification
from constellation_cli.components import fetch, path
from constellation_cli.components import list as components
from constellation_cli.components import verify as component_hashes
from constellation_cli.errors import ExitStatus
from constellation_cli.evidence import collect, inspect, verify
from constellation_cli.image import build as node_image
from constellation_cli.image import diff, measure, predict, sign, upload
from constellation_cli.image import inspect as image_contents
from constellation_cli.image import list as images
from constellation_cli.image import verify as image_verdict
from constellation_cli.join_config import check as join_config_check
from constellation_cli.join_config import history, rollback
from constellation_cli.join_config import set as join_config
from constellation_cli.join_config import show as join_config_show
from constellation_cli.mini import console, down, start, stop, up, upgrade
from constellation_cli.mini import status as mini_status
from constellation_cli.nodes import approve, deny, forget, pending
from constellation_cli.nodes import list as nodes
from constellation_cli.policy import check, schema
from constellation_cli.provider import install, package, uninstall
from constellation_cli.services import build as services_image
from constellation_cli.services import lock as services_lock
from constellation_cli.services import manifests as services_manifests
from constellation_cli.terminal import report, say
from constellation_core.errors import CoreError
from constellation_engine.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

DEBUG_VARIABLE: Final = "CONSTELLATION_DEBUG"

# The parser's error for a wrong command line has no public name that all releases of typer share.
_WRONG_COMMAND_LINE: Final = typer.BadParameter.__mro__[1]


class Program(TyperGroup):
    """The program as a whole, which turns every error into a sentence and an exit status."""

    def main(self, *args: Any, **extra: Any) -> NoReturn:  # noqa: ANN401 - whatever the parser's own takes
        """Run the program."""
        extra["standalone_mode"] = False
        try:
            status = super().main(*args, **extra)
        except Exception as error:  # noqa: BLE001 - nothing goes past here
            status = report_error(error)
        sys.exit(status or ExitStatus.OK)


def report_error(error: Exception) -> ExitStatus:
    """Tell people what went wrong and what to do next; return the exit status."""
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    if isinstance(error, _WRONG_COMMAND_LINE):
        return _report_usage(error)
    if isinstance(error, (AttestationError, CoreError, EngineError)):
        report(error)
        return getattr(error, "status", ExitStatus.FAILED)
    say("error", f"this should not happen: {type(error).__name__}: {error}", colour="red")
    say("hint", f"it is a bug: please report it with what {DEBUG_VARIABLE}=1 shows", colour="cyan")
    return ExitStatus.FAILED


def _report_usage(error: Any) -> ExitStatus:  # noqa: ANN401 - its type has no public name
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help
        typer.echo(message, err=True)
        return ExitStatus.USAGE
    say("error", message, colour="red")
    command = error.ctx.command_path if error.ctx is not None else "constellation"
    say("hint", f"see `{command} --help`", colour="cyan")
    return ExitStatus.USAGE


def _group(help_text: str) -> typer.Typer:
    return typer.Typer(help=help_text, no_args_is_help=True, rich_markup_mode=None)


def _add(group: typer.Typer, name: str, command: Callable[..., None], examples: tuple[str, ...]) -> None:
    lines = "\n".join(f"  $ {example}" for example in examples)
    group.command(name, epilog=f"\b\nExamples:\n{lines}")(command)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"constellation {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    """Confidential Kubernetes as code: look at evidence of confidential machines, judge it, collect it.

    Exit status: 0 done or accepted, 1 failed, 2 not accepted, 64 wrong command line.
    """


app = typer.Typer(
    name="constellation",
    cls=Program,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(_root)

_evidence = _group("What the devices of a machine signed: look at it, judge it, collect it.")
_add(_evidence, "inspect", inspect.inspect_files, inspect.EXAMPLES)
_add(_evidence, "verify", verify.verify_files, verify.EXAMPLES)
_add(_evidence, "collect", collect.collect_evidence, collect.EXAMPLES)
app.add_typer(_evidence, name="evidence")

_components = _group("The programs that a cluster is made of: Kubernetes, etcd, containerd, and what they need.")
_add(_components, "list", components.list_components, components.EXAMPLES)
_add(_components, "fetch", fetch.fetch_components, fetch.EXAMPLES)
_add(_components, "verify", component_hashes.verify_components, component_hashes.EXAMPLES)
_add(_components, "path", path.print_paths, path.EXAMPLES)
app.add_typer(_components, name="components")

_image = _group("Node images: what they measure, who signed them, what is in them, and where they are.")
_add(_image, "list", images.list_images, images.EXAMPLES)
_add(_image, "build", node_image.build_image, node_image.EXAMPLES)
_add(_image, "measure", measure.measure_image, measure.EXAMPLES)
_add(_image, "predict", predict.predict_image, predict.EXAMPLES)
_add(_image, "sign", sign.sign_measurements, sign.EXAMPLES)
_add(_image, "verify", image_verdict.verify_folder, image_verdict.EXAMPLES)
_add(_image, "inspect", image_contents.inspect_image, image_contents.EXAMPLES)
_add(_image, "diff", diff.diff_images, diff.EXAMPLES)
_add(_image, "upload", upload.upload_image, upload.EXAMPLES)
app.add_typer(_image, name="image")

_mini = _group("A confidential cluster on this machine.")
_add(_mini, "up", up.bring_up_cluster, up.EXAMPLES)
_add(_mini, "stop", stop.stop_machines, stop.EXAMPLES)
_add(_mini, "start", start.start_machines, start.EXAMPLES)
_add(_mini, "upgrade", upgrade.upgrade_cluster, upgrade.EXAMPLES)
_add(_mini, "down", down.tear_down_cluster, down.EXAMPLES)
_add(_mini, "status", mini_status.show_status, mini_status.EXAMPLES)
_add(_mini, "console", console.show_console, console.EXAMPLES)
app.add_typer(_mini, name="mini")

_add(app, "status", cluster_status.show_status, cluster_status.EXAMPLES)
_add(app, "verify", cluster_verification.verify_nodes, cluster_verification.EXAMPLES)
_add(app, "recover", recover.recover_cluster, recover.EXAMPLES)
_add(app, "support", support.collect_support, support.EXAMPLES)
_add(app, "doctor", doctor.diagnose, doctor.EXAMPLES)

_policy = _group("What is acceptable: the file that `evidence verify` judges by.")
_add(_policy, "check", check.check_policy, check.EXAMPLES)
_add(_policy, "schema", schema.print_schema, schema.EXAMPLES)
app.add_typer(_policy, name="policy")

_nodes = _group("The nodes of a cluster: who waits for a decision, who is who, whom to forget.")
_add(_nodes, "list", nodes.list_nodes, nodes.EXAMPLES)
_add(_nodes, "pending", pending.show_pending, pending.EXAMPLES)
_add(_nodes, "approve", approve.approve_node, approve.EXAMPLES)
_add(_nodes, "deny", deny.deny_node, deny.EXAMPLES)
_add(_nodes, "forget", forget.forget_node, forget.EXAMPLES)
app.add_typer(_nodes, name="nodes")

_join_config = _group("Which machines may join a cluster: look, change, go back.")
_add(_join_config, "show", join_config_show.show_config, join_config_show.EXAMPLES)
_add(_join_config, "set", join_config.set_config, join_config.EXAMPLES)
_add(_join_config, "history", history.show_history, history.EXAMPLES)
_add(_join_config, "rollback", rollback.roll_back, rollback.EXAMPLES)
_add(_join_config, "check", join_config_check.check_config, join_config_check.EXAMPLES)
app.add_typer(_join_config, name="join-config")

_services = _group("The three services of a cluster: their image, and their objects.")
_add(_services, "build", services_image.build_image, services_image.EXAMPLES)
_add(_services, "lock", services_lock.lock_packages, services_lock.EXAMPLES)
_add(_services, "manifests", services_manifests.print_manifests, services_manifests.EXAMPLES)
app.add_typer(_services, name="services")

_provider = _group("The Terraform provider: install it, pack it.")
_add(_provider, "install", install.install_provider, install.EXAMPLES)
_add(_provider, "uninstall", uninstall.uninstall_provider, uninstall.EXAMPLES)
_add(_provider, "package", package.package_provider, package.EXAMPLES)
app.add_typer(_provider, name="provider")


def main() -> NoReturn:
    """Run `constellation` with the words of the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may not know every character
    sys.exit(app())
