# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Bring an image to where machines start from it. One module per kind of place, behind one protocol.

```python
place = OpenStackUploader(cloud="mycloud").upload(ImageFolder.open(path), report=print_progress)
```
"""
