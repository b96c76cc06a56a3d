"""The faces as a person meets them: keys that are no scan, a kiosk left alone, every size in light and dark."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest
from playwright.async_api import TimeoutError

from tests.browser.conftest import Demo, wedge
from visitor.bench import wallet

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser")]
WAIT = 180_000
SIZES = {"kiosk": [(1080, 1920), (1280, 800)], "desk": [(1440, 900)], "hall": [(390, 844)], "respond": [(1280, 800), (390, 844)], "admin": [(1440, 900)]}


async def _open(browser: Any, demo: Demo, face: str, width: int, height: int, **options: Any) -> Any:
    context = await browser.new_context(viewport={"width": width, "height": height}, **options)
    page = await context.new_page()
    page.set_default_timeout(WAIT)
    await page.goto(f"{demo.url}/bench/open/{face}")
    return page


async def test_a_scan_reaches_the_service_byte_for_byte_and_other_keys_do_not(demo: Demo, browser: Any) -> None:
    kiosk = await _open(browser, demo, "kiosk", 1280, 800)
    await kiosk.wait_for_selector("body[data-link='live']")
    sent: list[bytes] = []
    kiosk.on("request", lambda r: sent.append(base64.b64decode(json.loads(r.post_data)["data"])) if r.url.endswith("/decode") else None)
    for key in ("h", "Escape", "Tab", "7", "Control+q"):
        await kiosk.keyboard.press(key)
        await kiosk.wait_for_timeout(700)
    assert sent == [] and await kiosk.get_attribute("body", "data-screen") == "scan"
    await kiosk.click("[data-do='name']")
    await kiosk.keyboard.type("Jo", delay=200)
    await kiosk.wait_for_timeout(700)
    scan = wallet.samples()["clear"].payload
    for left in reversed(range(5)):  # a machine that stands still in the middle of a scan cuts it in two, and the person scans again
        del sent[:]
        await wedge(kiosk, scan)
        try:
            await kiosk.wait_for_selector("section[data-screen='purpose']:visible", timeout=20_000 if left else WAIT)
            break
        except TimeoutError:
            assert left
    assert sent == [scan + b"\r"]  # control characters and all, and nothing of what was typed before
    assert await kiosk.input_value("[name='given_name']") == "Jo"  # a scan is no typing
    await kiosk.context.close()


async def test_a_kiosk_left_alone_asks_and_then_forgets_its_visitor(demo: Demo, browser: Any) -> None:
    kiosk = await _open(browser, demo, "kiosk", 1080, 1920)
    await kiosk.wait_for_selector("body[data-link='live']")
    await kiosk.click("[data-lang='es']")
    await wedge(kiosk, wallet.samples()["clear"].payload, at_once=True)
    await kiosk.wait_for_selector("section[data-screen='purpose']:visible")
    assert "Hola, Julia" in await kiosk.inner_text("section[data-screen='purpose']")
    await kiosk.wait_for_selector(".still:visible")
    await kiosk.click("[data-do='stay']")
    assert await kiosk.get_attribute("body", "data-screen") == "purpose"
    await kiosk.wait_for_selector("section[data-screen='scan']:visible")
    assert await kiosk.get_attribute("html", "lang") == "en"
    assert "Julia" not in await kiosk.content()
    await kiosk.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("face", SIZES)
async def test_a_face_fits_its_screen_and_complains_of_nothing(demo: Demo, browser: Any, face: str, scheme: str) -> None:
    for width, height in SIZES[face]:
        context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        page = await context.new_page()
        page.set_default_timeout(WAIT)
        complaints: list[str] = []
        page.on("console", lambda m, to=complaints: to.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e, to=complaints: to.append(str(e)))
        await page.goto(f"{demo.url}/bench/open/{face}")
        if face != "admin":
            await page.wait_for_selector("body[data-link='live']")
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, f"{face} is wider than {width}"
        least = 64 if face == "kiosk" else 44
        small = await page.evaluate(
            "(least) => [...document.querySelectorAll('main .button')].filter(b => b.offsetParent && !b.matches('.small-button')"
            " && b.getBoundingClientRect().height < least).map(b => b.textContent.trim())",
            least,
        )
        assert small == [], f"too small to press: {small}"
        assert complaints == []
        await context.close()


@pytest.mark.parametrize(
    ("key", "family", "stays"),
    [("x", "Quillan", "article details[open]"), ("p", "Prewitt", "#beside h1:has-text('Printers')")],
    ids=["an answer", "another page"],
)
async def test_what_the_desk_opens_while_an_update_is_on_its_way_stays_open(
    demo: Demo, browser: Any, key: str, family: str, stays: str
) -> None:
    """An answer begun, or another page: what the desk had asked for before must not be put in its place."""
    document = {"family_name": family, "given_name": "Ada", "birth_date": "1971-03-09", "number": f"N-{family}", "issuer": "TX"}
    host = next(h for h in demo.info["hosts"] if h["site_id"] == demo.school)
    kiosk = next(s for s in demo.info["stations"] if s["site_id"] == demo.school and s["kind"] == "kiosk")
    token = {"authorization": f"Bearer {demo.info['tokens']['desk']}"}
    asked, go = asyncio.Event(), asyncio.Event()

    async def hold(route: Any) -> None:
        asked.set()
        await go.wait()
        await route.continue_()

    async with httpx.AsyncClient(base_url=demo.url, headers=token, timeout=180) as api:
        body = {"station_id": kiosk["id"], "purpose": "meeting", "host_id": host["id"], "document": document}
        visit = (await api.post("/api/v1/check-ins", json=body)).json()["visit"]
        desk = await _open(browser, demo, "desk", 1440, 900)
        await desk.wait_for_selector("body[data-link='live']")
        await desk.click(f".row[data-visit='{visit['id']}']")
        await desk.wait_for_selector("article[data-status='on_site']")
        await desk.route(f"**/desk/visits/{visit['id']}*", hold)
        await api.post(f"/api/v1/visits/{visit['id']}/check-out")
        async with asyncio.timeout(180):
            await asked.wait()
        await desk.keyboard.press(key)
        await desk.wait_for_selector(stays)
        async with desk.expect_response(f"**/desk/visits/{visit['id']}*") as response:
            go.set()
        await (await response.value).finished()
        await desk.wait_for_timeout(300)
        assert await desk.locator(stays).count() == 1
        await desk.context.close()
