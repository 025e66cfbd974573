# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A URI names a key provider exactly, or is refused with what to do."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.errors import ConfigError
from constellation_core.keys.uri import NOT_YET, AwsKey, ProviderUri, Scheme

KEY_ID = "12345678-90ab-cdef-1234-567890abcdef"


@pytest.mark.parametrize(
    "uri, key",
    [
        (f"awskms://eu-central-1/{KEY_ID}", AwsKey("eu-central-1", KEY_ID)),
        ("awskms://us-gov-west-1/alias/constellation", AwsKey("us-gov-west-1", "alias/constellation")),
        ("awskms://eu-north-1/alias/a/b", AwsKey("eu-north-1", "alias/a/b")),
        (f"awskms://eu-north-1/mrk-{'0a' * 16}", AwsKey("eu-north-1", f"mrk-{'0a' * 16}")),
        (
            f"awskms://eu-north-1/arn:aws:kms:eu-north-1:111122223333:key/{KEY_ID}",
            AwsKey("eu-north-1", f"arn:aws:kms:eu-north-1:111122223333:key/{KEY_ID}"),
        ),
        (
            f"awskms://eu-north-1/{KEY_ID}?endpoint=https://vpce-1.kms.eu-north-1.vpce.amazonaws.com",
            AwsKey("eu-north-1", KEY_ID, "https://vpce-1.kms.eu-north-1.vpce.amazonaws.com"),
        ),
        (
            f"awskms://eu-north-1/{KEY_ID}?endpoint=http%3A%2F%2F127.0.0.1%3A5000",
            AwsKey("eu-north-1", KEY_ID, "http://127.0.0.1:5000"),
        ),
    ],
)
def test_a_key_in_aws_is_understood(uri: str, key: AwsKey) -> None:
    assert ProviderUri.parse(uri) == ProviderUri(uri, Scheme.AWS_KMS, key)


def test_the_cluster_is_understood() -> None:
    assert ProviderUri.parse("cluster://") == ProviderUri("cluster://", Scheme.CLUSTER)


@pytest.mark.parametrize("scheme", NOT_YET)
def test_what_is_planned_is_refused_by_name(scheme: str) -> None:
    with pytest.raises(ConfigError, match=f"{scheme}:// is not supported yet") as caught:
        ProviderUri.parse(f"{scheme}://somewhere/key")
    assert caught.value.hint == "use cluster:// or awskms://"


@pytest.mark.parametrize("uri", ["", "cluster", "kms://aws", "://", "http://x/y", "awskms:eu", " cluster://"])
def test_what_is_unknown_is_refused_with_the_choices(uri: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ProviderUri.parse(uri)
    assert caught.value.hint in {"use cluster:// or awskms://", ""}


@pytest.mark.parametrize("uri", ["cluster:///", "cluster://x", "cluster://?a=b", "cluster://#a", "CLUSTER://"])
def test_nothing_comes_after_cluster(uri: str) -> None:
    with pytest.raises(ConfigError, match="nothing after it"):
        ProviderUri.parse(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "awskms://",
        "awskms://eu-central-1",
        "awskms://eu-central-1/",
        f"awskms:///{KEY_ID}",
        f"awskms://EU-central-1/{KEY_ID}",
        f"awskms://eu-central-1:443/{KEY_ID}",
        f"awskms://me@eu-central-1/{KEY_ID}",
        f"awskms://eu-central-1.evil.example/{KEY_ID}",
        f"awskms://eu-central-1/{KEY_ID}/",
        f"awskms://eu-central-1//{KEY_ID}",
        f"awskms://eu-central-1/{KEY_ID.upper()}",
        "awskms://eu-central-1/../x",
        "awskms://eu-central-1/alias/",
        "awskms://eu-central-1/alias/a b",
        f"awskms://eu-central-1/{KEY_ID}\n",
        f"awskms://eu-central-1/{KEY_ID}#x",
        f"awskms://eu-central-1/{KEY_ID}?endpoint",
        f"awskms://eu-central-1/{KEY_ID}?endpoint=",
        f"awskms://eu-central-1/{KEY_ID}?secret=x",
        f"awskms://eu-central-1/{KEY_ID}?endpoint=https://a&endpoint=https://b",
        f"awskms://eu-central-1/{KEY_ID}?endpoint=https://a&x=y",
        f"awskms://eu-central-1/{KEY_ID}?endpoint=http://kms.example",
        f"awskms://eu-central-1/{KEY_ID}?endpoint=http://127.0.0.1.example",
        f"awskms://eu-central-1/{KEY_ID}?endpoint=ftp://127.0.0.1",
        f"awskms://eu-central-1/{KEY_ID}?endpoint=https://name:word@kms.example",
        f"awskms://eu-central-1/{KEY_ID}?endpoint=https://[::1",
        f"awskms://eu-central-1/{KEY_ID}?endpoint=https://x:99999",
        "awskms://[::1/x",
    ],
)
def test_what_does_not_name_a_key_in_aws_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError):
        ProviderUri.parse(uri)


@given(st.one_of(st.text(), st.text(alphabet="awskms:/-?=&#@[]%{}12eu").map(lambda rest: f"awskms://{rest}")))
def test_any_text_is_understood_or_refused(uri: str) -> None:
    with suppress(ConfigError):
        assert ProviderUri.parse(uri).text == uri
