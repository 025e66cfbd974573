# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A framework for Terraform providers in Python: protocol 6.11. It knows nothing of what is provided.

Declare models, write resources that work on them, put them into a provider, serve it: docs/terraform-plugin.md. All
that a provider's author needs is here, but for `serve`, which is in `serving`.

    schema/      models and their attributes        planning/    from configuration and state to the plan
    service/     the calls of the protocol          serving/     the process: handshake, TLS, signals, logs
    wire/        messages, types and values         testing.py   a provider in the test's own process
"""

from terraform_provider_constellation.plugin.call import Call, Change, Lease, Operation
from terraform_provider_constellation.plugin.errors import (
    ArgumentError,
    DeferralReason,
    DeferredError,
    PluginError,
    Problem,
    ProviderError,
    SchemaError,
    Severity,
    StoppedError,
    UnknownValueError,
)
from terraform_provider_constellation.plugin.function import Function, function
from terraform_provider_constellation.plugin.planning.modifiers import (
    Modifier,
    ValueChange,
    keep,
    replace,
    replace_when,
)
from terraform_provider_constellation.plugin.provider import (
    DataSource,
    EphemeralResource,
    Found,
    ListResource,
    Provider,
)
from terraform_provider_constellation.plugin.resource import ForeignState, Resource, TimeLimits
from terraform_provider_constellation.plugin.schema.fields import block, computed, optional, required
from terraform_provider_constellation.plugin.schema.kinds import SetOf
from terraform_provider_constellation.plugin.schema.model import Model, is_known, replaced, set_unknown
from terraform_provider_constellation.plugin.schema.rules import Rule, at_most_one_of, exactly_one_of, rule, together
from terraform_provider_constellation.plugin.schema.timeouts import Timeouts, duration
from terraform_provider_constellation.plugin.schema.validators import Between, Length, Matches, OneOf, unique

__all__ = [
    "ArgumentError",
    "Between",
    "Call",
    "Change",
    "DataSource",
    "DeferralReason",
    "DeferredError",
    "EphemeralResource",
    "ForeignState",
    "Found",
    "Function",
    "Lease",
    "Length",
    "ListResource",
    "Matches",
    "Model",
    "Modifier",
    "OneOf",
    "Operation",
    "PluginError",
    "Problem",
    "Provider",
    "ProviderError",
    "Resource",
    "Rule",
    "SchemaError",
    "SetOf",
    "Severity",
    "StoppedError",
    "TimeLimits",
    "Timeouts",
    "UnknownValueError",
    "ValueChange",
    "at_most_one_of",
    "block",
    "computed",
    "duration",
    "exactly_one_of",
    "function",
    "is_known",
    "keep",
    "optional",
    "replace",
    "replace_when",
    "replaced",
    "required",
    "rule",
    "set_unknown",
    "together",
    "unique",
]
