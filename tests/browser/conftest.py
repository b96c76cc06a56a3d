"""The demo as a process, and a real Chromium to look at it with."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
STARTED = 180_000  # ms
KEY = 0.005  # s from key to key of a scanner


class Demo:
    def __init__(self, url: str, info: dict[str, Any]) -> None:
        self.url = url
        self.info = info
        self.school = next(d["site_id"] for d in info["doors"] if d["name"] == "Main hall")
        self.kiosk = next(s for s in info["stations"] if s["kind"] == "kiosk")


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    """`visitor run --demo` on a fresh folder, for all the browser tests of this worker."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    from tests.processes import running

    with tempfile.TemporaryDirectory(prefix="vd-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with running(folder / "data", "--demo", environment={"VISITOR_SCREENING__TIMEOUT_SECONDS": "60"}) as service:
            service.wait_for_output("Stop with Ctrl-C", 300)
            yield Demo(service.url, json.loads((folder / "data" / "demo.json").read_text()))


@pytest.fixture
async def browser() -> AsyncIterator[Any]:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=STARTED)
        yield chromium
        await chromium.close()


@pytest.fixture
async def camera_browser(tmp_path: Path) -> AsyncIterator[Any]:
    """A Chromium whose camera sees the first license of the bench's drawer."""
    from playwright.async_api import async_playwright

    from readers.testing import camera_frame
    from visitor.bench import wallet

    video = tmp_path / "camera.y4m"
    video.write_bytes(y4m(camera_frame(wallet.picture("long"))))
    flags = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={video}"]
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS + flags, timeout=STARTED)
        yield chromium
        await chromium.close()


def y4m(image: bytes) -> bytes:
    """Two frames of a picture as raw video (YUV4MPEG2, 4:2:0), which Chromium plays as its camera in a loop."""
    from PIL import Image

    picture = Image.open(io.BytesIO(image)).convert("YCbCr").resize((1280, 720))
    y, cb, cr = picture.split()
    half = [plane.resize((640, 360)).tobytes() for plane in (cb, cr)]
    frame = b"FRAME\n" + y.tobytes() + half[0] + half[1]
    return b"YUV4MPEG2 W1280 H720 F5:1 Ip A1:1 C420jpeg\n" + frame * 2


async def wedge(page: Any, payload: bytes, at_once: bool = False) -> None:
    """Type a scan as a keyboard-wedge scanner does: control characters as Ctrl+key, then Enter.

    Each key says itself when it was pressed, at a scanner's pace; yet where the machine is so busy that the browser's input queue
    stands still for long enough, the page takes the scan for over in the middle. With `at_once` the page's own script gives it the
    keys in one go.
    """
    if at_once:
        await page.evaluate(
            """codes => { for (const code of codes) {
                 const control = code < 32 && code !== 13;
                 const key = code === 13 ? "Enter" : control ? ({28: "\\\\", 29: "]", 30: "^", 31: "_"}[code] ?? String.fromCharCode(code + 96))
                   : String.fromCharCode(code);
                 document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, ctrlKey: control, bubbles: true, cancelable: true}));
               } }""",
            list(payload + b"\r"),
        )
        return
    session = await page.context.new_cdp_session(page)
    signs = {0x1C: "\\", 0x1D: "]", 0x1E: "^", 0x1F: "_"}
    events: list[dict[str, Any]] = []
    for code in payload + b"\r":
        if code == 13:
            events.append({"type": "keyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13})
        elif code < 32:
            events.append({"type": "keyDown", "key": signs.get(code, chr(code + 96)), "modifiers": 2})
        else:
            events.append({"type": "keyDown", "key": chr(code), "text": chr(code)})
    await asyncio.sleep(len(events) * KEY + 0.5)  # typing takes its time, and begins after whatever was typed before
    began = time.time() - len(events) * KEY
    for number, event in enumerate(events):
        event["timestamp"] = began + number * KEY
    # Sent without waiting for each answer: a scanner does not wait either.
    await asyncio.gather(*(session.send("Input.dispatchKeyEvent", event) for event in events))
