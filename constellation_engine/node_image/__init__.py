# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The measured node image: build it, sign it, look into it, compare it, and bring it to where machines start from it.

An image is a folder (`image_folder`): a disk, its unified kernel image, what that measures and who signed it, and
what it is made of.
"""
