"""AAMVA's tables as data: who issues, which elements exist, what each may hold.

Issuer numbers: AAMVA "Issuer Identification Numbers (IIN)" list. Elements: AAMVA DL/ID Card Design Standard 2000
(version 1), 2003 to 2025 (versions 2 to 11), annex D, tables D.3 and D.4.
"""

from __future__ import annotations

import re

__all__ = [
    "CANADA",
    "EYE_COLORS",
    "GIVEN_NAMES_IN_ONE",
    "IN_ORDER",
    "ISSUERS",
    "KNOWN",
    "KNOWN_IN_1",
    "KNOWN_SINCE_2",
    "LATEST_VERSION",
    "MANDATORY",
    "PLACEHOLDERS",
    "SUFFIX",
    "UNUSUAL",
    "VALUES",
]

LATEST_VERSION = 11

ISSUERS: dict[str, str] = {
    # United States
    "636033": "AL", "636059": "AK", "636026": "AZ", "636021": "AR", "636014": "CA", "636020": "CO", "636006": "CT",
    "636011": "DE", "636043": "DC", "636010": "FL", "636055": "GA", "636047": "HI", "636050": "ID", "636035": "IL",
    "636037": "IN", "636018": "IA", "636022": "KS", "636046": "KY", "636007": "LA", "636041": "ME", "636003": "MD",
    "636002": "MA", "636032": "MI", "636038": "MN", "636051": "MS", "636030": "MO", "636008": "MT", "636054": "NE",
    "636049": "NV", "636039": "NH", "636036": "NJ", "636009": "NM", "636001": "NY", "636004": "NC", "636034": "ND",
    "636023": "OH", "636058": "OK", "636029": "OR", "636025": "PA", "636052": "RI", "636005": "SC", "636042": "SD",
    "636053": "TN", "636015": "TX", "636040": "UT", "636024": "VT", "636000": "VA", "636045": "WA", "636061": "WV",
    "636031": "WI", "636060": "WY",
    # Territories and the Department of State
    "604427": "AS", "636019": "GU", "604430": "MP", "604431": "PR", "636062": "VI", "636027": "US",
    # Canada; 990876 is not registered, but is what Alberta's cards carry
    "604432": "AB", "990876": "AB", "636028": "BC", "636048": "MB", "636017": "NB", "636016": "NL", "636013": "NS",
    "604434": "NT", "604433": "NU", "636012": "ON", "604426": "PE", "604428": "QC", "636044": "SK", "604429": "YT",
    # Mexico (two states are registered)
    "636056": "COA", "636057": "HID",
}  # fmt: skip
CANADA = frozenset({"AB", "BC", "MB", "NB", "NL", "NS", "NT", "NU", "ON", "PE", "QC", "SK", "YT"})

# Wyoming fills DAC with every given name and leaves DAD empty.
GIVEN_NAMES_IN_ONE = frozenset({"WY"})

_NAME = r"[^\W_][\w ,.'’`/\-]*"
_NAME_OPTIONAL = rf"(?:{_NAME})?"
_DATE = r"(?:\d{8}|(?i:NONE))?"
_LINE = r"[\w #.,;:'’/&@()+*\-]*"

# What each element may hold, upper or lower case, blanks trimmed. Strict enough to tell where an element ends when every
# separator was lost, loose enough that no payload of a real card breaks it.
_PATTERNS: dict[str, str] = {
    key: pattern
    for keys, pattern in (
        ("DAA", r"[^\W\d_][\w ,.'’`/@$\-]*[\w,.'’`/@$\-]"),
        ("DAB DAC DCS DCT", _NAME),
        ("DAD DBN DBO DBP DBQ DBR", _NAME_OPTIONAL),
        ("DAE DAF DBS DCU", r"[\w. ]{0,5}"),
        ("DAG DAH DAL DAM", _LINE),
        ("DAI DAN", r"[^\W\d_][\w .'’/,\-]*"),
        ("DAJ DAO", r"[A-Za-z]{2}"),
        ("DAK DAP", r"[A-Za-z0-9][A-Za-z0-9 \-]{1,12}[A-Za-z0-9\-]"),
        ("DAQ", r"[A-Za-z0-9*][A-Za-z0-9 *./\-]{0,24}"),
        ("DAR DAS DAT", r"[A-Za-z0-9 */\-]{0,12}"),
        ("DAU", r"(?: ?\d{2,3} ?(?i:IN|CM)?|\d ?'-? ?\d{1,2}\"?|)"),
        ("DAV DAX", r"(?:\d{2,3} ?(?i:CM|KG)?)?"),
        ("DAW", r"(?:\d{2,3} ?(?i:LBS?|KG)?)?"),
        ("DAY DAZ", r"[A-Za-z]{0,12}"),
        ("DBA DBB DBD DDB DDC DDH DDI DDJ DBL", _DATE),
        ("DBC", r"(?:(?i:MALE|FEMALE)|[0129MFXmfx])"),
        ("DBE DBJ DBK DBM DCI DCJ DCK DCO DCP DCQ DCR", r"[\x20-\x7e]*"),
        ("DBF DBG", r"\d{0,2}"),
        ("DBH", r"[A-Za-z0-9 ]{0,10}"),
        ("DBI", r"[A-Za-z0-9 ]{0,2}"),
        ("DCA", r"[A-Za-z0-9 ,/\-*]{0,6}"),
        ("DCB", r"[A-Za-z0-9 */&,.\-]{0,12}"),
        ("DCD DCH", r"[A-Za-z0-9 */\-]{0,5}"),
        ("DCE", r"\d?"),
        ("DCF", r"[\x20-\x7e]{0,30}"),
        ("DCG", r"(?i:USA|CAN|MEX|US|CA)?"),
        ("DCL", r"[A-Za-z]{0,3}"),
        ("DCM DCN", r"[A-Za-z0-9 ]{0,5}"),
        ("DDA", r"[A-Za-z]?"),
        ("DDD DDK DDL DDM DDN DDO DDP", r"[01NYny]?"),
        ("DDE DDF DDG", r"[NTUntu]?"),
    )
    for key in keys.split()
}
VALUES: dict[str, re.Pattern[str]] = {key: re.compile(pattern) for key, pattern in _PATTERNS.items()}
KNOWN = frozenset(VALUES)



def _in_order() -> re.Pattern[str]:
    """The whole of a card in order at one stroke: lines of known elements, each holding what it may, then the jurisdiction's own
    (group 1). The second letter is told apart before the third, and elements of one kind together, so that a line tries few branches.
    """
    branches = []
    for second in "ABCD":
        kinds: dict[str, str] = {}
        for key, pattern in _PATTERNS.items():
            if key[1] == second:
                kinds[pattern] = kinds.get(pattern, "") + key[2]
        branches.append(f"{second}(?:{'|'.join(f'[{letters}](?:{pattern})' for pattern, letters in kinds.items())})")
    return re.compile(rf"(?:D(?:{'|'.join(branches)}) *+\n)*+((?:Z[A-Z0-9]{{2}}[^\n]*+\n)*+)")


IN_ORDER = _in_order()

# Which of them belong to version 1 (2000) and to those since 2003, and which hardly any card carries.
KNOWN_IN_1 = frozenset(key for key in VALUES if key[:2] in ("DA", "DB"))
UNUSUAL = frozenset(
    {
        "DAE", "DAF", "DAL", "DAM", "DAN", "DAO", "DAP", "DAV", "DAX", "DBE", "DBI", "DBJ", "DBK", "DBL", "DBM", "DBN", "DBO", "DBP",
        "DBQ", "DBR", "DBS", "DCI", "DCM", "DCN", "DCO", "DCP", "DCQ", "DCR",
    }
)  # fmt: skip
KNOWN_SINCE_2 = KNOWN - {
    "DAA", "DAE", "DAF", "DAL", "DAM", "DAN", "DAO", "DAP", "DAR", "DAS", "DAT", "DBE", "DBF", "DBH", "DBI", "DBJ", "DBK", "DBL", "DBM",
    "DBO", "DBP", "DBQ", "DBR",
}  # fmt: skip

# Every card of these versions must carry these (annex D, "mandatory data elements").
_SINCE_2000 = ("DBA", "DBB", "DBC", "DAG", "DAI", "DAJ", "DAK", "DAQ")
_SINCE_2003 = (*_SINCE_2000, "DBD", "DCS", "DCF", "DCG")
_SINCE_2009 = (*_SINCE_2003, "DAC", "DAD", "DAU", "DAY")
MANDATORY: dict[int, tuple[str, ...]] = {
    version: _SINCE_2000 if version < 2 else _SINCE_2003 if version < 4 else _SINCE_2009 for version in range(LATEST_VERSION + 1)
}

PLACEHOLDERS = frozenset({"", "NONE", "UNAVL", "UNAVAIL", "UNAVAILABLE", "N/A", "NA", "NULL", "NMN", "NFN", "-"})

SUFFIX = re.compile(r"(?:JR|SR|I{2,3}|IV|VI{0,3}|IX|[2-9](?:ND|RD|TH)|1ST|ESQ|M\.?D|PH\.?D)\.?", re.IGNORECASE)

# ANSI D-20 codes, and the words and short forms found on real cards.
EYE_COLORS: dict[str, str] = {
    "BLK": "black", "BLU": "blue", "BRO": "brown", "DIC": "dichromatic", "GRY": "gray", "GRN": "green", "HAZ": "hazel",
    "MAR": "maroon", "PNK": "pink", "BRN": "brown", "BR": "brown", "BN": "brown", "BL": "blue", "GR": "green", "GN": "green",
    "HZ": "hazel", "BK": "black", "GY": "gray", "BROWN": "brown", "BLUE": "blue", "GREEN": "green", "HAZEL": "hazel",
    "BLACK": "black", "GRAY": "gray", "GREY": "gray", "MUL": "dichromatic",
}  # fmt: skip
