"""Every snippet of the site's pages, taken from the page and run as a reader would run it."""

from __future__ import annotations

import html
import re
import runpy
from pathlib import Path

import httpx2
import pytest

from tests.clients.environments import NODE_PACKAGES, CannotInstall, give_up, node, node_folder_of
from tests.clients.running import run_in
from tests.live.product import LiveProduct

# The first test of a run starts the product.
pytestmark = pytest.mark.timeout(240)

# A page for each kind of model, in an order in which what one writes can be read by the next, and what each leaves behind:
# words on the screen, or a file.
PAGES = {
    "/?model=claude-sonnet-4-20250514": "",
    "/models/gemini-3.0-pro/": "",
    "/models/text-embedding-3-small/": "",
    "/models/gpt-image-1/": "picture",
    "/models/tts-1/": "speech.mp3",
    "/models/whisper-1/": "",
    "/models/omni-moderation-latest/": "",
}


@pytest.fixture(scope="module")
def key(product: LiveProduct) -> str:
    return product.new_customer()[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("snippets")


def snippets(product: LiveProduct, path: str, key: str) -> dict[str, str]:
    """Return the snippets of a page by language, as the copy button copies them, with a customer's key."""
    page = httpx2.get(f"{product.base_url.removesuffix('/v1')}{path}").raise_for_status().text
    found = re.findall(r'<code id="\w+-(curl|python|javascript)">(.*?)</code>', page, re.DOTALL)
    assert len(found) == 3
    return {
        name: html.unescape(re.sub(r"<[^>]+>", "", text)).strip().replace("YOUR_KEY", key)
        for name, text in found
    }


def has_left(folder: Path, name: str, printed: str) -> bool:
    """Tell whether a snippet left what it should, be it words or a file."""
    if not name:
        return bool(printed.strip()) and '"error"' not in printed
    return any(file.stat().st_size > 60 for file in folder.glob(f"{name}*"))


@pytest.mark.parametrize(("path", "left"), PAGES.items(), ids=PAGES)
def test_the_line_for_curl_runs(product: LiveProduct, key: str, folder: Path, path: str, left: str) -> None:
    line = snippets(product, path, key)["curl"].replace(
        "curl ", "curl --silent --show-error --fail-with-body ", 1
    )

    assert has_left(folder, left, run_in(folder, ["sh", "-c", line], {}).stdout)


@pytest.mark.parametrize(("path", "left"), PAGES.items(), ids=PAGES)
def test_the_program_in_python_runs(
    product: LiveProduct,
    key: str,
    folder: Path,
    path: str,
    left: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    program = folder / "snippet.py"
    program.write_text(snippets(product, path, key)["python"])
    monkeypatch.chdir(folder)

    # In this process: starting the SDK anew for each would cost seconds.
    runpy.run_path(str(program))

    assert has_left(folder, left, capsys.readouterr().out)


def test_the_programs_in_javascript_run(product: LiveProduct, key: str, folder: Path) -> None:
    try:
        packages, command = node_folder_of("openai-7") / NODE_PACKAGES, node()
    except CannotInstall as exc:
        give_up(f"The snippets in JavaScript are not tested: {exc}.")
    (folder / NODE_PACKAGES).symlink_to(packages)
    for number, path in enumerate(PAGES):
        (folder / f"{number}.mjs").write_text(snippets(product, path, key)["javascript"])
    steps = "".join(
        f'await import("./{number}.mjs"); console.log("ran {path}");\n' for number, path in enumerate(PAGES)
    )
    (folder / "all.mjs").write_text(steps)

    printed = run_in(folder, [command, "all.mjs"], {}).stdout

    for path, left in PAGES.items():
        before, _, printed = printed.partition(f"ran {path}\n")
        assert has_left(folder, left, before), path
