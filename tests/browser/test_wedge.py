"""Keyboard-wedge scanners in a page that stands still: real keys are too quick for it, so the page gives itself keys with their times."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser")]

SCRIPT = Path(__file__).resolve().parents[2] / "visitor/web/static/wedge.js"
TOKEN = "VB1:" + "6BFOXN*TS0BI$ZD" * 6
# Keys as a browser hands them over: each says when it was pressed, `at` ms from now on, whenever the page comes to hear of it.
PAGE = """
window.scans = [];
window.now = () => performance.now();
new Wedge({ onFrame: (bytes) => scans.push(new TextDecoder().decode(bytes)) }).attach();
window.type = (text, start, pace) => {
  for (const [number, key] of [...text].entries()) {
    const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
    Object.defineProperty(event, "timeStamp", { value: start + number * pace });
    document.body.dispatchEvent(event);
  }
};
window.stand = (ms) => { const until = now() + ms; while (now() < until); };
window.pass = (ms) => new Promise((done) => setTimeout(done, ms));
window.over = async (count) => {
  for (let turn = 0; turn < 3000 && scans.length < count; turn += 1) await pass(20);
  await pass(1000);
  return scans;
};
"""


@pytest.fixture
async def page(browser: Any) -> AsyncIterator[Any]:
    page = await browser.new_page()
    await page.set_content("<p>A page</p>")
    await page.add_script_tag(type="module", content=SCRIPT.read_text() + PAGE)
    await page.wait_for_function("window.over")
    yield page
    await page.close()


async def test_a_page_that_stands_still_in_the_middle_of_a_scan_cuts_nothing(page: Any) -> None:
    """The timer that ends a scan is due when the page moves again, and comes before the keys that wait."""
    scans = await page.evaluate(
        """async (token) => {
          const start = now();
          type(token.slice(0, 40), start, 5);
          await pass(0);
          stand(900);
          setTimeout(() => type(token.slice(40), start + 200, 5), 10);
          return over(1);
        }""",
        TOKEN,
    )
    assert scans == [TOKEN]


async def test_keys_that_a_machine_brings_late_belong_to_the_scan_they_were_pressed_in(page: Any) -> None:
    """The page moves, but hears late: the scan was taken for over, and is given whole now."""
    scans = await page.evaluate(
        """async (token) => {
          const start = now();
          type(token.slice(0, 40), start, 5);
          await over(1);
          type(token.slice(40), start + 200, 5);
          return over(2);
        }""",
        TOKEN,
    )
    assert scans == [TOKEN[:40], TOKEN]


async def test_a_scan_s_end_that_comes_late_is_no_second_scan(page: Any) -> None:
    """The page has taken the scan for over, and the visitor has gone on: Enter must neither scan again nor press a button."""
    scans = await page.evaluate(
        """async (token) => {
          const start = now(), pressed = [];
          document.addEventListener("keydown", (event) => pressed.push(event.key));
          type(token, start, 5);
          await over(1);
          pressed.length = 0;
          const end = new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true });
          Object.defineProperty(end, "timeStamp", { value: start + 5 * token.length });
          document.body.dispatchEvent(end);
          return [await over(1), pressed, end.defaultPrevented];
        }""",
        TOKEN,
    )
    assert scans == [[TOKEN], [], True]


async def test_what_was_typed_before_a_scan_is_no_part_of_it_however_the_times_lie(page: Any) -> None:
    scans = await page.evaluate(
        """async (token) => {
          type("o", now(), 5);
          await over(0);
          type(token, now() - 1500, 5);
          return over(1);
        }""",
        TOKEN,
    )
    assert scans == [TOKEN]


async def test_another_scan_begins_anew(page: Any) -> None:
    scans = await page.evaluate(
        """async (token) => {
          type(token, now(), 5);
          await over(1);
          type("0012345678", now(), 5);
          return over(2);
        }""",
        TOKEN,
    )
    assert scans == [TOKEN, "0012345678"]
