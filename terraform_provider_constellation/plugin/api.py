# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""All that a provider's author needs, but for `serve` (in `serving`) and `reattached` (in `testing`).

    from terraform_provider_constellation.plugin.api import Model, Provider, Resource, computed, required

How to use it: docs/terraform-plugin.md.
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
from terraform_provider_constellation.plugin.schema.containers import SetOf
from terraform_provider_constellation.plugin.schema.fields import block, computed, optional, required
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
