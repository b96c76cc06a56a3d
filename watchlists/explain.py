"""Evidence in words, for a clerk, in English and Spanish."""

from __future__ import annotations

from .normalize import name_tokens
from .records import Explanation, Match, Reason
from .reference import level
from .score import (
    ALIKE,
    CUT,
    CUT_FAMILY_MIN,
    CUT_GIVEN_MIN,
    EDIT1,
    EDIT1_ALIKE,
    EDIT2,
    EXACT,
    FAMILY_SWAPPED,
    GIVEN_SWAPPED,
    LEVELS,
    NICKNAME,
    VARIANT,
)

INITIAL = LEVELS  # one letter against a name

_HOW = {
    EXACT: ("is the same as", "es igual a"),
    VARIANT: ("is another spelling of", "es otra grafía de"),
    NICKNAME: ("is a short form of", "es una forma familiar de"),
    EDIT1_ALIKE: ("sounds like", "suena como"),
    ALIKE: ("sounds like", "suena como"),
    EDIT1: ("differs by one letter from", "difiere en una letra de"),
    EDIT2: ("is close to", "se parece a"),
    CUT: ("looks like a cut-off form of", "parece una forma cortada de"),
    INITIAL: ("is the initial of", "es la inicial de"),
}
_LABELS = {
    "family": ("family name", "apellido"),
    "given": ("given name", "nombre"),
    "middle": ("middle name", "segundo nombre"),
}


def explain(match: Match) -> Explanation:
    """A sentence for each piece of evidence of `match`, the strongest first.

    Raises ValueError for a match that does not carry its subject, as those of `Matcher.screen` do.
    """
    if match.subject is None:
        raise ValueError("a match without its subject can not be explained")
    reasons = [_reason(match, field, bits) for field, bits in match.evidence.items()]
    reasons.sort(key=lambda reason: -abs(reason.bits))
    against = len(match.contradictions)
    strong = match.band == "red"
    en = f"{'Strong possible match' if strong else 'Possible match'} ({match.bits:.0f} bits of evidence)"
    es = f"{'Posible coincidencia fuerte' if strong else 'Posible coincidencia'} ({match.bits:.0f} bits de evidencia)"
    if against:
        en += f"; {against} fact{'s speak' if against > 1 else ' speaks'} against it"
        es += f"; {against} dato{'s' if against > 1 else ''} en contra"
    return Explanation(match.entry_id, match.list, match.bits, match.band, en + ".", es + ".", tuple(reasons))


def _reason(match: Match, field: str, bits: float) -> Reason:
    for_it = bits > 0
    if field == "names_swapped":
        en, es = _exchanged(match)
    elif field in _LABELS and for_it:
        en, es = _name_sentences(match, field)
    elif field in _LABELS:
        label_en, label_es = _LABELS[field]
        en, es = f"The {label_en} does not agree.", f"El {label_es} no coincide."
    else:
        en, es = _plain(match, field, for_it)
    return Reason(field, bits, en, es)


def _name_sentences(match: Match, field: str) -> tuple[str, str]:
    assert match.subject is not None, "only a match that came from screen can be explained"
    name = match.subject.name
    shown = name_tokens(name.family, name.given, name.middle, name.suffix)
    entry = name_tokens(match.matched.family, match.matched.given, match.matched.middle, "")
    given = field != "family"
    mine = {"family": (shown.s1, shown.s2, shown.sj), "given": (shown.g1, shown.gj, shown.g2), "middle": (shown.g2,)}
    theirs = {"family": (entry.s1, entry.s2, entry.sj), "given": (entry.g1, entry.g2), "middle": (entry.g2,)}
    # The closest pair; of equally close ones the first: a given name before a middle one that happens to agree as well.
    pairs = [
        (at, i + j, a, b)
        for i, a in enumerate(mine[field])
        for j, b in enumerate(theirs[field])
        if (at := level(a, b, given, 2) or (INITIAL if a[:1] == b[:1] and a and b else 0))
    ]
    label_en, label_es = _LABELS[field]
    if not pairs:
        return f"The {label_en} agrees.", f"El {label_es} coincide."
    at, _, a, b = min(pairs)
    if a == b:
        return f"The {label_en} {a} is the same.", f"El {label_es} {a} es el mismo."
    how_en, how_es = _HOW[at]
    return f"The {label_en} {a} {how_en} {b}.", f"El {label_es} {a} {how_es} {b}."


def _exchanged(match: Match) -> tuple[str, str]:
    """Names in each other's place: both may agree there, or one of them."""
    assert match.subject is not None, "only a match that came from screen can be explained"
    name = match.subject.name
    shown = name_tokens(name.family, name.given, name.middle, name.suffix)
    entry = name_tokens(match.matched.family, match.matched.given, match.matched.middle, "")
    surnames, givens = (entry.s1, entry.s2, entry.sj), (entry.g1, entry.g2)
    family = any(level(a, b, True, CUT_GIVEN_MIN) in FAMILY_SWAPPED for a in (shown.g1, shown.gj) for b in surnames)
    given = any(level(a, b, False, CUT_FAMILY_MIN) in GIVEN_SWAPPED for a in (shown.s1, shown.sj) for b in givens)
    if family and not given:
        return (
            "The given name agrees with the registered family name; the names may be in each other's place.",
            "El nombre coincide con el apellido registrado; los nombres pueden estar intercambiados.",
        )
    if given and not family:
        return (
            "The family name agrees with the registered given name; the names may be in each other's place.",
            "El apellido coincide con el nombre registrado; los nombres pueden estar intercambiados.",
        )
    return "Family and given name agree, but in each other's place.", "Apellido y nombre coinciden, pero intercambiados."


def _plain(match: Match, field: str, for_it: bool) -> tuple[str, str]:
    if field == "birth_date":
        assert match.subject is not None
        shown = match.subject.birth_date
        if shown is not None and shown.isoformat() == match.birth_date:
            return "The birth date is the same.", "La fecha de nacimiento es la misma."
        if for_it:
            return (
                f"The birth date {shown} is close to the registered {match.birth_date}.",
                f"La fecha de nacimiento {shown} se parece a la registrada {match.birth_date}.",
            )
        return (
            f"The birth date {shown} is not the registered {match.birth_date}.",
            f"La fecha de nacimiento {shown} no es la registrada {match.birth_date}.",
        )
    texts = {
        "sex": ("The sex is the same.", "El sexo es el mismo."),
        "suffix": ("The suffix is the same.", "El sufijo es el mismo."),
        "address": ("The address lies in the same area.", "La dirección está en la misma zona."),
        "height": ("The height agrees.", "La estatura coincide."),
        "eye_color": ("The eye color is the same.", "El color de ojos es el mismo."),
        "id": ("An identity document is the same.", "Un documento de identidad es el mismo."),
    }  # fmt: skip
    against = {
        "sex": ("The sex is different.", "El sexo es distinto."),
        "suffix": ("The suffix is different.", "El sufijo es distinto."),
        "address": ("The address lies elsewhere.", "La dirección está en otro lugar."),
        "height": ("The height is different.", "La estatura es distinta."),
        "eye_color": ("The eye color is different.", "El color de ojos es distinto."),
        "id": ("The identity documents differ.", "Los documentos de identidad difieren."),
    }
    return (texts if for_it else against)[field]
