# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

# What the provider would say if all were well.

mock_data "constellation_image" {
  defaults = {
    image = {
      public_key = "-----BEGIN PUBLIC KEY-----"
      signature  = "c2lnbmF0dXJl"
    }
  }
}

mock_data "constellation_attestation" {
  defaults = {
    attestation = {
      variant      = "qemu-vtpm"
      public_key   = "-----BEGIN PUBLIC KEY-----"
      signature    = "c2lnbmF0dXJl"
      extra_policy = "{}"
    }
  }
}

mock_data "constellation_verification" {
  defaults = {
    accepted = true
    summary  = "accepted: 2 of 2 nodes proved what they must"
  }
}
