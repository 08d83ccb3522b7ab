"""The documented nginx in front of the running product: ``deploy/nginx.conf`` as it is, but for ports and certificate."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from fastanchor.children import spawn, stop
from tests.clients.environments import give_up
from tests.contract.conftest import Customer
from tests.live.certificates import certificate
from tests.live.product import LiveProduct
from tests.live.programs import ROOT, Program, free_port, wait_until

_PLACES = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
_FRAME = """\
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  include {folder}/fastanchor.conf;
}}
"""


@dataclass(frozen=True)
class Behind:
    """The product behind nginx: its address there, and the process that answers."""

    address: str
    plain: str
    program: Program

    def client(self, key: str = "") -> httpx2.Client:
        """Return a client of it."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx2.Client(base_url=self.address, headers=headers, verify=False, timeout=30)


def written(folder: Path, *, port: int, plain: int, upstream: int) -> Path:
    """Write the documented configuration with this machine's ports, and return the file that includes it."""
    text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    changes = {
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
        "/etc/ssl/example.com.": f"{folder}/own.",
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
        "127.0.0.1:8001": f"127.0.0.1:{upstream}",
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "fastanchor.conf").write_text(text, encoding="utf-8")
    certificate(folder)
    (folder / "nginx.conf").write_text(_FRAME.format(folder=folder), encoding="utf-8")
    return folder / "nginx.conf"


@pytest.fixture(scope="module")
def behind(live_gateway: LiveProduct, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """Run one serving process that believes its proxy, and nginx in front of it."""
    binary = shutil.which("nginx", path=_PLACES)
    if binary is None:
        give_up("The documented nginx is not tried: nginx is not installed.")
    folder = tmp_path_factory.mktemp("nginx")
    port, plain, upstream = free_port(), free_port(), free_port()
    command = [
        binary,
        "-p",
        str(folder),
        "-e",
        str(folder / "error.log"),
        "-c",
        str(written(folder, port=port, plain=plain, upstream=upstream)),
    ]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    environment = live_gateway.environment | {"PORT": str(upstream), "FASTANCHOR_TRUST_PROXY": "1"}
    program = Program(["manage.py", "web"], log=folder / "web.log", environment=environment)
    running = spawn(command)
    it = Behind(f"https://127.0.0.1:{port}", f"http://127.0.0.1:{plain}", program)
    try:
        wait_until(lambda: is_up(it), what="the product answers behind nginx")
        yield it
    finally:
        stop(running, grace_s=5)
        program.stop()


def is_up(it: Behind) -> bool:
    try:
        with it.client() as client:
            return client.get("/readyz").status_code == 200
    except httpx2.TransportError:
        return False


def chat(prompt: str, **fields: object) -> dict[str, object]:
    return {"model": "gpt-4o", "max_tokens": 100, "messages": [{"role": "user", "content": prompt}], **fields}


def test_a_stream_passes_event_by_event(behind: Behind, customer: Customer) -> None:
    body = chat("[[sandbox tokens=10 delay_ms=100]]", stream=True)
    with (
        behind.client(customer.key) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        arrived = [(time.monotonic(), line) for line in answer.iter_lines() if line.startswith("data: ")]

    assert arrived[-1][1] == "data: [DONE]"
    assert arrived[-1][0] - arrived[0][0] > 0.5


def test_where_a_caller_says_to_come_from_is_not_believed(
    behind: Behind, customer: Customer, product: LiveProduct
) -> None:
    key = product.new_key(customer.organization, "--ips=203.0.113.0/24")
    with behind.client(key) as client:
        forged = {"x-forwarded-for": "203.0.113.7"}
        answer = client.post("/v1/chat/completions", json=chat("Hello."), headers=forged)

    assert answer.status_code == 403
    assert "127.0.0.1" in answer.json()["error"]["message"]


def test_what_nginx_refuses_itself_is_in_the_envelope(behind: Behind) -> None:
    with behind.client() as client:
        answers = [
            client.post("/v1/chat/completions", content=b"x" * (33 * 1024 * 1024)),
            client.get("/v1/models", headers={"x-long": "a" * 40_000}),
        ]

    assert [answer.status_code for answer in answers] == [413, 400]
    for answer in answers:
        assert set(json.loads(answer.content)["error"]) == {"message", "type", "param", "code"}
        assert answer.headers["x-request-id"].startswith("req_")


def test_pages_pass_with_the_scheme_that_nginx_ended(behind: Behind) -> None:
    with behind.client() as client:
        answer = client.post("/v1/models/", json={})
        page = client.get("/pricing/")

    assert answer.status_code == 404
    assert page.status_code == 200


def test_without_tls_programs_are_refused_and_people_led_on(behind: Behind) -> None:
    told = httpx2.get(f"{behind.plain}/v1/models", headers={"authorization": "Bearer fa_live_x"})
    led = httpx2.get(f"{behind.plain}/pricing/")

    assert (told.status_code, told.json()["error"]["code"]) == (403, "permission_denied")
    assert (led.status_code, led.headers["location"]) == (308, "https://127.0.0.1/pricing/")


def test_a_product_that_is_away_is_unavailable_in_the_envelope(behind: Behind) -> None:
    behind.program.stop()

    with behind.client() as client:
        answer = client.get("/v1/models")

    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "service_unavailable"
    assert answer.headers["retry-after"] == "1"
