# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""An OpenStack image service for tests (Image API v2), as far as an upload sees it; each of its faults is one line.

with running() as service:
service.changes_bytes = True  # stores something else than it got
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator

_IMAGE = re.compile(r"/v2/images/([0-9a-f-]{36})(/file)?")


@dataclass
class ImageService:
    """A service, and what is wrong with it.

    Attributes:
        url: its address.
        images: what it has, by ID.
        uploads: how many bodies it was sent.
        refuses: status with which it answers who wants to create an image.
        refuses_bytes: status with which it answers who sends one.
        breaks_off: closes the connection in the middle of a body.
        changes_bytes: stores something else.
        ends_in: status of an image after its bytes came.
        keeps_images: does not delete any.
    """

    url: str = ""
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    uploads: int = 0
    refuses: HTTPStatus | None = None
    refuses_bytes: HTTPStatus | None = None
    breaks_off: bool = False
    changes_bytes: bool = False
    ends_in: str = "active"
    keeps_images: bool = False

    def store(self, identifier: str, content: bytes) -> None:
        """Take the bytes of an image."""
        content = content[:-1] if self.changes_bytes else content
        self.images[identifier] |= {
            "status": self.ends_in,
            "size": len(content),
            "os_hash_algo": "sha512",
            "os_hash_value": hashlib.sha512(content).hexdigest(),
        }


@contextmanager
def running() -> Iterator[ImageService]:
    """Run a service on the loopback."""
    service = ImageService()

    class Handler(_Handler):
        pass

    Handler.service = service
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    service: ImageService
    protocol_version = "HTTP/1.1"

    def log_message(self, *_words: object) -> None:
        pass

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        if place.path in ("/", "/v2/"):
            links = [{"rel": "self", "href": f"{self.service.url}/v2/"}]
            version = {"id": "v2.15", "status": "CURRENT", "links": links}
            self._answer(HTTPStatus.MULTIPLE_CHOICES, {"versions": [version]})
        elif place.path == "/v2/images":
            asked = {name: values[0] for name, values in parse_qs(place.query).items()}
            hidden = asked.get("os_hidden", "false").lower() == "true"
            named = [one for one in self.service.images.values() if one["name"] == asked.get("name", one["name"])]
            self._answer(HTTPStatus.OK, {"images": [one for one in named if one["os_hidden"] is hidden]})
        elif image := self._image():
            self._answer(HTTPStatus.OK, image)

    def do_POST(self) -> None:
        record = json.loads(self._body())
        if self.service.refuses:
            self._answer(self.service.refuses, {"message": "no more images for you"})
            return
        identifier = str(uuid4())
        self.service.images[identifier] = {"id": identifier, "status": "queued", "os_hidden": False, **record}
        self._answer(HTTPStatus.CREATED, self.service.images[identifier])

    def do_PUT(self) -> None:
        image = self._image()
        if self.service.breaks_off:
            self.rfile.read(1000)
            self.close_connection = True
            return
        content = self._body()
        self.service.uploads += 1
        if self.service.refuses_bytes:
            self._answer(self.service.refuses_bytes, {"message": "quota"})
        elif image:
            self.service.store(image["id"], content)
            self._answer(HTTPStatus.NO_CONTENT, None)

    def do_DELETE(self) -> None:
        image = self._image()
        if image and self.service.keeps_images:
            self._answer(HTTPStatus.CONFLICT, {"message": "in use"})
        elif image:
            del self.service.images[image["id"]]
            self._answer(HTTPStatus.NO_CONTENT, None)

    def _image(self) -> dict[str, Any] | None:
        found = _IMAGE.fullmatch(urlsplit(self.path).path)
        image = self.service.images.get(found[1]) if found else None
        if image is None:
            self._answer(HTTPStatus.NOT_FOUND, {"message": "no such image"})
        return image

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _answer(self, status: HTTPStatus, record: object) -> None:
        body = b"" if record is None else json.dumps(record).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
