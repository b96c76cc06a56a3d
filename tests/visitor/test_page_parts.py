"""What the faces are made of, without a server: the board's order, what the desk offers, plans, pictures, words and their contrast."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from visitor.ids import new_id

WEB = Path(__file__).resolve().parents[2] / "visitor" / "web"


def test_the_credentials_picture_holds_the_token() -> None:
    import io

    from PIL import Image, ImageDraw

    import readers
    from visitor.web.respond import draw

    token = "VB1:" + "6BFOXN%TSMAHN" * 12
    svg = draw(token)
    side = int(re.search(r'viewBox="0 0 (\d+) ', svg)[1])  # type: ignore[index]
    image = Image.new("L", (side * 8, side * 8), 255)
    pen, x, y = ImageDraw.Draw(image), 0.0, 0.0
    dark = re.findall(r'<path stroke="#000" d="([^"]+)"', svg)[0]
    for kind, args in re.findall(r"([Mmh])([-\d. ]*)", dark):
        numbers = [float(n) for n in args.split()]
        if kind == "M":
            x, y = numbers
        elif kind == "m":
            x, y = x + numbers[0], y + numbers[1]
        else:
            pen.rectangle((x * 8, (y - 0.5) * 8, (x + numbers[0]) * 8 - 1, (y + 0.5) * 8 - 1), fill=0)
            x += numbers[0]
    out = io.BytesIO()
    image.save(out, "PNG")
    assert [s.data for s in readers.decode_image(out.getvalue())] == [token.encode()]


def test_a_cell_that_a_spreadsheet_would_run_is_made_harmless() -> None:
    from visitor.web.admin import table

    assert table(("a", "b"), [("=1+1", 'say "hi"'), (None, "-2")]) == b"a,b\r\n'=1+1,\"say \"\"hi\"\"\"\r\n,'-2\r\n"


def _on_site(**changes: Any) -> Any:
    from visitor.visits.models import OnSite

    now = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
    fields: dict[str, Any] = {
        "site_id": new_id(), "visit_id": new_id(), "person_id": new_id(), "name": "ANA LÓPEZ", "status": "on_site", "held_reason": "",
        "purpose": "meeting", "host_id": None, "host": "", "zones": [], "escort_required": False, "escort": "", "badge_number": 7,
        "checked_in_at": now - timedelta(minutes=30), "valid_until": now + timedelta(minutes=30), "screening": "clear", "screened_at": now, "last_place": "",
        "last_seen": None, "has_photo": False, **changes,
    }
    return OnSite(**fields)


def test_the_board_puts_who_waits_first_and_who_is_overdue_apart() -> None:
    from visitor.web.board import board

    now, zone = datetime(2026, 3, 2, 15, 0, tzinfo=UTC), ZoneInfo("America/Chicago")
    sorted_rows = board(
        [
            _on_site(), _on_site(name="Late Larry", valid_until=now - timedelta(minutes=12)),
            _on_site(name="Held First", status="held", held_reason="no-document", checked_in_at=now - timedelta(minutes=9)),
            _on_site(name="Held Then", status="held", held_reason="possible-match", screening="possible_match", checked_in_at=now),
            _on_site(name="Sure", status="held", held_reason="possible-match", screening="confirmed", checked_in_at=now),
            _on_site(name="Waits", status="awaiting_escort", host="Mr. Hart", checked_in_at=now),
            _on_site(name="Since Inside", screening="possible_match", screened_at=now),
        ],
        {"meeting": "Meeting"}, zone, now,
    )
    assert (sorted_rows.needs[0].since, sorted_rows.needs[0].more) == (now, "badge 7")
    assert [(r.name, r.kind, r.says) for r in sorted_rows.needs] == [
        ("Since Inside", "stop", "Inside; possible match"),
        ("Held First", "wait", "No ID"), ("Held Then", "wait", "Possible match"), ("Sure", "stop", "Confirmed on a list"),
    ]
    assert [(r.name, r.kind, r.more) for r in sorted_rows.escorts] == [("Waits", "info", "host: Mr. Hart")]
    assert [(r.name, r.says) for r in sorted_rows.over] == [("Late Larry", "12 min over time")]
    assert [(r.name, r.about, r.more) for r in sorted_rows.here] == [("Ana López", "Meeting", "badge 7")]


@pytest.mark.parametrize(
    ("status", "undecided", "confirmed", "may"),
    [
        ("held", True, False, {"decide", "refuse", "cancel"}), ("held", False, True, {"refuse", "cancel"}),
        ("held", False, False, {"approve", "refuse", "cancel"}), ("on_site", False, False, {"check_out", "reprint", "remove"}),
        ("on_site", True, False, {"decide", "check_out", "remove"}), ("on_site", False, True, {"check_out", "remove"}),
        ("awaiting_escort", False, False, {"accept", "reprint", "cancel"}), ("awaiting_escort", True, False, {"decide", "cancel"}),
        ("checked_out", False, False, set()),
    ],
)
def test_the_desk_offers_what_the_state_allows(status: str, undecided: bool, confirmed: bool, may: set[str]) -> None:
    from visitor.web.review import may_do

    assert may_do(status, undecided, confirmed) == may


def test_a_plan_takes_shapes_only() -> None:
    from visitor.sites.models import Site, Zone
    from visitor.web.plan import plan_of

    facts = {"plan": {"width": 900, "height": 520, "walls": ["M80 60h740v400H80z", 'M0 0"/><script>'], "notes": ["Gas: north wall", 3]}}
    site = Site(new_id(), "school", "Oak", "", "UTC", facts)
    zones = [Zone(new_id(), site.id, "Gym", {"x": 890, "y": 10}), Zone(new_id(), site.id, "Attic", {"x": "far"})]
    plan = plan_of(site, zones, [], {"Gym": 2})
    assert plan is not None and plan.walls == ("M80 60h740v400H80z",) and plan.notes == ("Gas: north wall", "3")
    assert [(z.text, z.anchor, z.seen) for z in plan.zones] == [("Gym", "end", 2)]
    assert plan_of(Site(new_id(), "school", "Elm", "", "UTC", {"plan": {"width": 0}}), [], [], {}) is None


def test_names_and_times_are_for_people() -> None:
    from visitor.web.templating import clock, fold, initials, named, span

    assert named("MARÍA O'NEIL-LÓPEZ") == "María O'Neil-López" and named("Ann McDonald") == "Ann McDonald"
    assert initials("Daniel Reyes Ortega") == "DO" and initials("Cher") == "C" and initials("") == "?"
    assert fold("Núñez ŁÓDŹ") == "nunez łodz"
    assert [span(timedelta(minutes=m)) for m in (-5, 0, 4, 75, 700, 4320)] == ["now", "now", "4 min", "1 h 15", "12 h", "3 days"]
    assert clock(datetime(2020, 3, 2, 15, 5, tzinfo=UTC), ZoneInfo("America/Chicago")) == "Mar 2, 9:05 AM"


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast of two #rrggbb colors."""

    def light(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("theme", "least"), [("root", 4.5), ('root[data-contrast="high"]', 7.0)])
@pytest.mark.parametrize("dark", [False, True])
def test_every_word_has_the_contrast_its_face_needs(theme: str, least: float, dark: bool) -> None:
    css = (WEB / "static" / "tokens.css").read_text()

    def colors(selector: str) -> dict[str, str]:
        block = re.search(rf":{re.escape(selector)} \{{(.*?)\n\}}", css, re.S)
        assert block is not None
        return {n: (d if dark else li) for n, li, d in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", block[1])}

    tokens = {**colors("root"), **colors(theme)}
    for ground in ("ground", "sheet", "raised"):
        for word in ("ink", "soft", "accent", "ok", "wait", "stop", "info"):
            assert _contrast(tokens[word], tokens[ground]) >= least, (word, ground)
    for meaning in ("ok", "wait", "stop", "info"):
        for word in (meaning, "ink"):
            assert _contrast(tokens[word], tokens[f"{meaning}-wash"]) >= least, (word, meaning)
    assert _contrast(tokens["accent-ink"], tokens["accent"]) >= least
