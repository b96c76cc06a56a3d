"""The faces: who sees which page and what stands on it, live events, decoding, previews, exports."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from visitor.app import create_app
from visitor.db import Event
from visitor.ids import new_id

PASSWORD = "a sentence long enough"
WEB = Path(__file__).resolve().parents[2] / "visitor" / "web"
AAMVA = (
    b"@\n\x1e\rANSI 636015080002DL00410120ZT01610010DLDAQ12345678\nDCSCASTELLANOS\nDACJULIA\nDADNONE\nDBB04121988\nDBA04122031\n"
    b"DBD04122023\nDBC2\nDAU064 in\nDAYBRO\nDAG1 MAIN ST\nDAIAUSTIN\nDAJTX\nDAK787010000  \nDCGUSA\nDDEN\nDDFN\nDDGN\rZTZTA1\r"
)


async def _signed_in(node: Any, login: str, grants: list[Any]) -> httpx.AsyncClient:
    """A browser: an account with a session, sending its cookie and the page's secret."""
    async with node.db.transaction() as tx:
        account = await node.accounts.add_account(tx, login, login.title(), PASSWORD, grants)
    cookie = await node.accounts.sign_in(login, PASSWORD, "test")
    async with node.db.connection() as conn:
        csrf = await conn.fetchval("select csrf from sessions where account_id = $1", account)
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=create_app(node)), base_url="http://visitor.test", cookies={"visitor_session": cookie},
        headers={"x-csrf-token": csrf, "accept": "text/html"},
    )
    client.account_id = account  # type: ignore[attr-defined]
    return client


async def _check_in(school: Any, client: str = "station", **document: Any) -> dict[str, Any]:
    answer = await getattr(school, client).post("/api/v1/check-ins", json=school.check_in_body(**document))
    assert answer.status_code == 201, answer.text
    visit: dict[str, Any] = answer.json()["visit"]
    return visit


# ── what stands on the pages ─────────────────────────────────────────────────────────────────────────────────────────


async def test_pages_carry_no_inline_script_or_style_and_load_nothing_from_elsewhere(oak_school: Any) -> None:
    await _check_in(oak_school)
    await oak_school.respond.post("/api/v1/incidents", json={"site_id": str(oak_school.oak), "state": "hold", "exercise": True, "note": ""})
    pages = {
        "station": ["/kiosk"], "desk": ["/desk", "/desk/incident?site={0}", "/desk/printers?site={0}"], "hall": ["/hall"],
        "respond": ["/respond"],
        "admin": ["/admin", "/admin/lists", "/admin/purposes", "/admin/devices", "/admin/people", "/admin/audit"],
    }
    for role, paths in pages.items():
        for path in paths:
            answer = await getattr(oak_school, role).get(path.format(oak_school.oak), headers={"accept": "text/html"})
            assert answer.status_code == 200, (path, answer.text[:300])
            assert not re.search(r"<script(?![^>]*\ssrc=)", answer.text), path
            assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:", answer.text), path
            for address in re.findall(r'(?:src|href|action)="([^"]+)"', answer.text):
                assert address.startswith(("/", "#", "data:image/")) and not address.startswith("//"), (path, address)
            assert "data-live=" in answer.text or role == "admin" or path != paths[0], f"{path} does not say when it last heard"


async def test_every_file_a_page_or_module_names_is_served(client: Any) -> None:
    named = set()
    for file in [*(WEB / "templates").rglob("*.html"), *(WEB / "static").glob("*.js")]:
        named |= set(re.findall(r'"/static/([\w.-]+)"', file.read_text()))
        named |= set(re.findall(r'(?:from|import) "\./([\w.-]+)"', file.read_text()))
    assert len(named) > 12
    for name in named:
        assert (await client.get(f"/static/{name}")).status_code == 200, name


async def test_the_kiosk_speaks_both_languages_and_never_says_why(oak_school: Any) -> None:
    page = (await oak_school.station.get("/kiosk")).text
    assert "Hold your license under the scanner" in page and "Acerque su licencia al lector" in page
    assert "Ngozi Okafor" in page and "Peter Novak" not in page
    assert "Reunión" in page and "Meeting" in page
    from visitor.web.words import KIOSK

    for english, spanish in KIOSK.values():
        assert english and spanish
        assert not re.search(r"match|denied|offender|flag|coincidencia|delincuente", f"{english} {spanish}", re.I)
    used = set(re.findall(r'say\("([\w.-]+)"\)', (WEB / "templates" / "kiosk" / "kiosk.html").read_text()))
    used |= set(re.findall(r'word\("([\w.-]+)"', (WEB / "static" / "kiosk.js").read_text()))
    assert used <= set(KIOSK), used - set(KIOSK)


async def test_a_kiosk_in_a_browser_where_somebody_is_signed_in_acts_as_the_station(node: Any, oak_school: Any) -> None:
    browser = await _signed_in(node, "ada", [("desk", oak_school.oak)])
    assert (await browser.get("/kiosk")).status_code == 403
    browser.cookies.set("visitor_station", oak_school.tokens["station"])
    assert (await browser.get("/kiosk")).status_code == 200
    body = oak_school.check_in_body()
    told = await browser.post("/api/v1/check-ins", json=body, headers={"x-visitor-station": "1"})
    assert told.status_code == 201 and set(told.json()["visit"]) == {"id", "status", "message"}
    assert (await browser.get("/desk")).status_code == 200
    await browser.aclose()


async def test_the_desk_shows_who_waits_with_the_evidence_and_nothing_as_a_fact(oak_school: Any) -> None:
    visit = await _check_in(oak_school, family_name="REYES", given_name="DANIEL", middle_names=["ORTEGA"], birth_date="1986-03-11", sex="M")
    board = (await oak_school.desk.get(f"/desk/board?site={oak_school.oak}")).text
    assert "Possible match" in board and "Daniel Reyes" in board
    review = (await oak_school.desk.get(f"/desk/visits/{visit['id']}")).text
    assert "Is this the same person?" in review and "Daniel Ortega Reyes" in review
    assert "Mar 11, 1986" in review and "Mar 14, 1986" in review
    assert re.search(r'class="(for|against)"', review) and "is a sex offender" not in review.lower()
    assert f"/api/v1/visits/{visit['id']}/approve" not in review  # not before the possible match is decided
    shown = (await oak_school.desk.get(f"/api/v1/visits/{visit['id']}")).json()["visit"]["screening"]["id"]
    decision = {"outcome": "cleared", "reason": "Date of birth differs"}
    decided = await oak_school.desk.post(f"/api/v1/screenings/{shown}/decision", json=decision)
    assert decided.status_code == 200
    review = (await oak_school.desk.get(f"/desk/visits/{visit['id']}")).text
    assert f"/api/v1/visits/{visit['id']}/approve" in review and "Cleared: Date of birth differs" in review


async def test_another_schools_desk_sees_neither_board_nor_visit(oak_school: Any) -> None:
    visit = await _check_in(oak_school)
    for path in (f"/desk/visits/{visit['id']}", f"/desk/board?site={oak_school.oak}", f"/desk?site={oak_school.oak}"):
        assert (await oak_school.elm_desk.get(path)).status_code == 404, path
    assert "Julia" not in (await oak_school.elm_desk.get("/desk")).text


async def test_a_scanned_badge_opens_its_visitor_at_the_desk(oak_school: Any) -> None:
    visit = await _check_in(oak_school, client="desk")
    found = await oak_school.desk.post("/desk/find", json={"site_id": str(oak_school.oak), "token": visit["badge"]["token"]})
    assert found.json() == {"id": visit["id"]}
    wrong = await oak_school.elm_desk.post("/desk/find", json={"site_id": str(oak_school.elm), "token": visit["badge"]["token"]})
    assert wrong.status_code == 409


async def test_names_are_escaped_wherever_they_stand(oak_school: Any) -> None:
    visit = await _check_in(oak_school, family_name='<img src=x onerror="alert(1)">', given_name="<b>Eve</b>")
    for role, path in (("desk", "/desk"), ("desk", f"/desk/visits/{visit['id']}"), ("respond", "/respond")):
        page = (await getattr(oak_school, role).get(path)).text
        assert "<img src=x" not in page.lower() and "<b>eve</b>" not in page.lower(), path


async def test_an_error_reaches_a_person_as_a_page_and_a_program_as_a_problem(client: Any) -> None:
    page = await client.get("/nowhere", headers={"accept": "text/html"})
    assert page.status_code == 404 and "<h1" in page.text
    assert page.headers["content-type"].startswith("text/html")
    unpaired = await client.get("/kiosk", headers={"accept": "text/html"})
    assert unpaired.status_code == 401 and "not paired" in unpaired.text
    problem = await client.get("/api/v1/nowhere", headers={"accept": "text/html"})
    assert problem.headers["content-type"] == "application/problem+json"


# ── hall and respond ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_escort_request_reaches_the_phone_of_the_one_who_was_asked(node: Any, oak_school: Any) -> None:
    phone = await _signed_in(node, "okafor", [("hall", oak_school.oak)])
    async with node.db.transaction() as tx:
        await tx.conn.execute("reset role")
        await tx.conn.execute("update staff set account_id = $1 where id = $2", phone.account_id, oak_school.host)  # type: ignore[attr-defined]
    body = oak_school.check_in_body() | {"purpose": "contractor"}
    visit = (await oak_school.station.post("/api/v1/check-ins", json=body)).json()["visit"]
    page = (await phone.get(f"/hall/requests?site={oak_school.oak}")).text
    assert "Julia Castellanos" in page and f"/api/v1/visits/{visit['id']}/escort/accept" in page
    accepted = await phone.post(f"/api/v1/visits/{visit['id']}/escort/accept", json={"staff_id": str(oak_school.host)})
    assert accepted.status_code == 200, accepted.text
    page = (await phone.get(f"/hall/requests?site={oak_school.oak}")).text
    assert "With you" in page and "/escort/accept" not in page
    stranger = await _signed_in(node, "other", [("hall", oak_school.oak)])
    assert "Julia" not in (await stranger.get("/hall")).text
    await phone.aclose()
    await stranger.aclose()


async def test_an_officers_credential_is_drawn_after_the_password_only(node: Any, oak_school: Any) -> None:
    from visitor.accounts.models import Agency, Officer

    browser = await _signed_in(node, "ramos", [("respond", oak_school.oak)])
    agency = Agency(new_id(), "Springvale Police")
    officer = Officer(new_id(), agency.id, browser.account_id, "Alicia Ramos", "SPD 114", agency.name)  # type: ignore[attr-defined]
    async with node.db.transaction() as tx:
        await node.accounts.add(tx, agency)
        await node.accounts.add(tx, officer)
    assert "data-credential" not in (await browser.get("/respond")).text  # nothing to issue while nothing is declared
    declared = await oak_school.desk.post(
        "/api/v1/incidents", json={"site_id": str(oak_school.oak), "state": "lockdown", "exercise": False, "note": "east hall"}
    )
    incident = declared.json()["incident"]["id"]
    board = (await browser.get(f"/respond/board?site={oak_school.oak}")).text
    assert "LOCKDOWN" in board and "east hall" in board and "Alicia Ramos" in board
    form = {"officer_id": str(officer.id), "incident_id": incident, "reason": "Responding"}
    wrong = await browser.post("/respond/credential", json={**form, "password": "not the password"}, headers={"accept": "application/json"})
    assert wrong.status_code == 401 and wrong.json()["type"] == "wrong-sign-in"
    async with node.db.connection() as conn:
        assert await conn.fetchval("select count(*) from credentials where kind = 'emergency'") == 0
    right = await browser.post("/respond/credential", json={**form, "password": PASSWORD}, headers={"accept": "application/json"})
    assert right.status_code == 201 and "<svg" in right.text and "VB1:" not in right.text and "style=" not in right.text
    await browser.aclose()


async def test_an_officer_of_every_school_is_shown_the_one_with_an_incident(node: Any, oak_school: Any) -> None:
    browser = await _signed_in(node, "boyd", [("respond", None)])
    assert "<h1>No incident</h1>" in (await browser.get("/respond")).text
    await oak_school.desk.post("/api/v1/incidents", json={"site_id": str(oak_school.oak), "state": "secure", "exercise": True, "note": ""})
    page = (await browser.get("/respond")).text
    assert "SECURE · DRILL" in page and "<b>Oak</b>" in page
    assert f'class="elsewhere" href="/respond?site={oak_school.oak}"' in (await browser.get(f"/respond?site={oak_school.elm}")).text
    await browser.aclose()


# ── decoding ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_scan_is_told_for_what_it_is_and_the_hall_learns_no_name(oak_school: Any) -> None:
    scan = {"data": base64.b64encode(AAMVA).decode(), "source": "barcode"}
    told = (await oak_school.station.post("/api/v1/decode", json=scan)).json()["reading"]
    assert told == {"kind": "document", "given_name": "JULIA"}
    assert (await oak_school.hall.post("/api/v1/decode", json=scan)).json()["reading"] == {"kind": "other"}
    visit = await _check_in(oak_school, client="desk")
    token = visit["badge"]["token"]
    badge = {"data": base64.b64encode(token.encode()).decode(), "source": "barcode"}
    assert (await oak_school.hall.post("/api/v1/decode", json=badge)).json()["reading"] == {"kind": "badge", "token": token}


async def test_a_picture_is_read_or_is_told_to_hold_nothing(oak_school: Any) -> None:
    import io

    import segno
    from PIL import Image

    visit = await _check_in(oak_school, client="desk")
    picture = io.BytesIO()
    segno.make(visit["badge"]["token"], micro=False).save(picture, kind="png", scale=6)
    jpeg = {"content-type": "image/png"}
    read = await oak_school.hall.post("/api/v1/decode", content=picture.getvalue(), headers=jpeg)
    assert read.json()["reading"]["token"] == visit["badge"]["token"]
    blank = io.BytesIO()
    Image.new("L", (64, 64), 255).save(blank, "PNG")
    assert (await oak_school.hall.post("/api/v1/decode", content=blank.getvalue(), headers=jpeg)).json() == {"reading": None}
    for bad in ({"content": b"no picture", "headers": jpeg}, {"json": {"data": "!"}}, {"json": {"data": "", "source": "barcode"}}):
        answer = await oak_school.hall.post("/api/v1/decode", **bad)
        assert answer.status_code == 400 and answer.headers["content-type"] == "application/problem+json"


async def test_a_reading_of_the_nodes_own_reader_is_for_its_station_only(node: Any, oak_school: Any) -> None:
    import readers

    reading = await node.readings.put(oak_school.kiosk, readers.parse(AAMVA))
    told = await oak_school.station.post("/api/v1/decode", json={"reading_id": str(reading)})
    assert told.json()["reading"] == {"kind": "document", "given_name": "JULIA"}
    other = await oak_school.elm_station.post("/api/v1/decode", json={"reading_id": str(reading)})
    assert other.status_code == 400 and other.json()["type"] == "unreadable-scan"


# ── live ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def served(node: Any) -> AsyncIterator[str]:
    """The node's app on a port of its own: server-sent events need a real server."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(create_app(node), port=0, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await task


async def _events(url: str, path: str, token: str, wanted: int, then: Any) -> list[tuple[str, str]]:
    """The first events of a stream, but for those by the clock; `then` is awaited once it is open."""
    found: list[tuple[str, str]] = []
    async with (
        httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=60) as http,
        http.stream("GET", path) as stream,
    ):
        assert stream.status_code == 200
        kind = ""
        async for line in stream.aiter_lines():
            if line.startswith("event: "):
                kind = line[7:]
            elif (line.startswith("data: ") or line == "data:") and not (found and kind in ("sync", "beat")):
                found.append((kind, line[6:]))
                if len(found) == 1:
                    await then()
                if len(found) >= wanted:
                    return found
    return found


async def test_a_school_hears_of_its_own_changes_by_id_only(node: Any, served: str, oak_school: Any) -> None:
    ours, theirs = new_id(), new_id()

    async def then() -> None:
        await node.bus.tell(Event("visits", oak_school.elm, theirs))
        await node.bus.tell(Event("credentials", oak_school.oak, theirs))  # not a topic of the desk
        await node.bus.tell(Event("visits", oak_school.oak, ours))

    found = await _events(served, f"/api/v1/sites/{oak_school.oak}/events", oak_school.tokens["desk"], 2, then)
    assert found == [("sync", ""), ("visits", str(ours))]


async def test_a_station_hears_of_its_own_readings_only(node: Any, served: str, oak_school: Any) -> None:
    ours = new_id()

    async def then() -> None:
        await node.bus.tell(Event("readings", oak_school.elm_kiosk, new_id()))
        await node.bus.tell(Event("challenges", oak_school.oak, new_id()))
        await node.bus.tell(Event("readings", oak_school.kiosk, ours))

    found = await _events(served, f"/api/v1/stations/{oak_school.kiosk}/events", oak_school.tokens["station"], 2, then)
    assert found == [("sync", ""), ("readings", str(ours))]
    stranger = await oak_school.elm_station.get(f"/api/v1/stations/{oak_school.kiosk}/events")
    assert stranger.status_code == 403


# ── admin ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_preview_says_what_an_import_would_change_and_changes_nothing(node: Any, oak_school: Any) -> None:
    admin = await _signed_in(node, "ada", [("admin", None)])
    before = node.registries.lists()
    lines = b'{"id":"F-1","names":[{"family":"REYES","given":"DANIEL"}]}\n{"id":"N-1","names":[{"family":"NEW","given":"ANN"}]}\n'
    answer = await admin.post(
        "/api/v1/watchlists/offenders/imports/preview", files={"file": ("list.jsonl", lines)}, data={"format": "entries-jsonl"}
    )
    assert answer.status_code == 200, answer.text
    preview = answer.json()["preview"]
    assert (preview["revision"], preview["added"], preview["removed"], preview["changed"]) == (2, 1, 2, 1)
    fresh = await admin.post(
        "/api/v1/watchlists/brand-new/imports/preview", files={"file": ("list.jsonl", lines)}, data={"format": "entries-jsonl"}
    )
    assert fresh.json()["preview"]["added"] == 2
    broken = await admin.post(
        "/api/v1/watchlists/offenders/imports/preview", files={"file": ("list.jsonl", b"{")}, data={"format": "entries-jsonl"}
    )
    assert broken.status_code == 400 and broken.json()["type"] == "list-unreadable"
    await node.registries.refresh()
    assert [(one.name, one.revision, one.entries) for one in node.registries.lists()] == [(o.name, o.revision, o.entries) for o in before]
    await admin.aclose()


async def test_a_pairing_link_makes_a_device_the_station_once(node: Any, client: Any, oak_school: Any) -> None:
    made = await oak_school.admin.post(f"/admin/stations/{oak_school.kiosk}/pairing")
    path = "/pair/" + made.json()["link"].rsplit("/", 1)[1]
    assert "Pair this device" in (await client.get(path)).text
    paired = await client.post(path)
    assert paired.status_code == 303 and paired.headers["location"] == "/kiosk"
    assert "Ngozi Okafor" in (await client.get("/kiosk")).text
    assert (await client.post(path)).status_code == 409
    assert (await oak_school.admin.post(f"/admin/stations/{oak_school.elm_kiosk}/pairing")).status_code == 404


async def test_the_audit_filters_and_exports_what_it_shows(oak_school: Any) -> None:
    visit = await _check_in(oak_school)
    page = (await oak_school.admin.get(f"/admin/audit?subject={visit['id']}")).text
    assert "Checked in" in page and "Castellanos" not in page
    assert "Checked in" not in (await oak_school.admin.get("/admin/audit?kind=incident")).text
    exported = await oak_school.admin.get(f"/admin/export/audit.csv?subject={visit['id']}")
    assert exported.headers["content-type"].startswith("text/csv")
    lines = exported.text.splitlines()
    assert lines[0] == "at,school,actor,action,subject,detail" and all(str(visit["id"]) in line for line in lines[1:]) and len(lines) > 1
    assert (await oak_school.admin.get("/admin/export/secrets.csv")).status_code == 404
