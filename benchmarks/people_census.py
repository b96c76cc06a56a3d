"""Error model A: a registry of invented people with the frequencies of the US census, and visitors through a careless reader.

1,000,000 records and 459,010 aliases, 10,000 true visitors and 90,000 in no record, the same for the same seed as the figures
in watchlists/README.md. Surnames and given names are drawn by their frequencies in the 1990 census (VISITOR_TEST_DATA/names), a
tenth of the surnames are invented from letter triples, 12 % of the people have Spanish names, mostly double surnames, 3 % Arabic,
1.5 % Russian. Visitors come by scan (half), OCR or typing (a quarter each). Nicknames are those of PyPI `nicknames`, which the
matcher uses too, and the transliterations overlap with its table: recall is optimistic there, which is why there is a model B.

The order of the random draws is what makes the data reproducible: do not tidy it.
"""

# ruff: noqa: N806 - R is the random source of every draw; the lists of names are lists
from __future__ import annotations

import collections
import csv
import datetime
import importlib.resources
import os
import random
from collections.abc import Iterator
from pathlib import Path

SEED = 20261121
Person = list  # [given, middle, family, suffix, (year, month, day), sex]


def test_data() -> Path:
    """The test data nobody here wrote: VISITOR_TEST_DATA, by default ../shared/data beside the repository."""
    return Path(__file__).resolve().parents[1] / os.environ.get("VISITOR_TEST_DATA", "../shared/data")


def names_folder() -> Path:
    """Where the census files lie; SystemExit in words where they do not."""
    folder = test_data() / "names"
    if not (folder / "surnames_1990.csv").is_file():
        raise SystemExit(f"{folder}: the census name files are not there; set VISITOR_TEST_DATA")
    return folder


def _load(name: str) -> tuple[list[str], list[float]]:
    with (names_folder() / name).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["name"] for row in rows], [float(row["freq_pct"]) or 0.0002 for row in rows]


def _cumulated(weights: list[float]) -> list[float]:
    out, total = [], 0.0
    for weight in weights:
        total += weight
        out.append(total)
    return out


# fmt: off
SPANISH = "GARCIA RODRIGUEZ MARTINEZ HERNANDEZ LOPEZ GONZALEZ PEREZ SANCHEZ RAMIREZ TORRES FLORES RIVERA GOMEZ DIAZ REYES MORALES CRUZ ORTIZ GUTIERREZ CHAVEZ RAMOS RUIZ MENDOZA ALVAREZ JIMENEZ CASTILLO VASQUEZ ROMERO MORENO HERRERA MEDINA AGUILAR VARGAS CASTRO FERNANDEZ GUZMAN MUNOZ SALAZAR ORTEGA DELGADO ESTRADA AYALA PENA CABRERA ALVARADO ESPINOZA PADILLA CARDENAS RIOS SOTO VEGA NAVARRO SANDOVAL DOMINGUEZ CAMPOS LEON VALDEZ MALDONADO ROJAS ACOSTA ROSALES FUENTES CONTRERAS LARA MOLINA CERVANTES OROZCO SERRANO CORTEZ MEJIA TREVINO ROBLES VELASQUEZ MONTOYA TREJO ZAMORA CISNEROS SALINAS VILLARREAL BAUTISTA".split()
SPANISH_MEN = "JOSE JUAN LUIS CARLOS JESUS MIGUEL ANTONIO JORGE FRANCISCO MANUEL PEDRO RAFAEL ALEJANDRO DANIEL DAVID RICARDO FERNANDO ROBERTO EDUARDO JAVIER MARIO RAUL OSCAR ANGEL ARMANDO SERGIO ALBERTO HECTOR RUBEN ENRIQUE".split()
SPANISH_WOMEN = "MARIA GUADALUPE ANA ROSA MARTHA CARMEN JUANA GLORIA PATRICIA ELENA LETICIA TERESA ALICIA MARGARITA SILVIA NORMA YOLANDA IRMA ESTHER ELIZABETH".split()
ARABIC_MEN = "MOHAMMED AHMED ALI HASSAN HUSSEIN MAHMOUD IBRAHIM YUSUF OMAR KHALID ABDULLAH ABDULRAHMAN MUSTAFA SAID TARIQ HAMZA BILAL".split()
ARABIC_WOMEN = "FATIMA AISHA MARYAM KHADIJA ZAINAB NOOR LAYLA SALMA HANAN SAMIRA".split()
ARABIC = "AL HASSAN|HUSSEIN|MOHAMMED|AL SHAMMARI|ABDULLAH|EL SAYED|IBRAHIM|KHALIL|NASSER|HADDAD|AL OTAIBI|MANSOUR|SALEH|QADDAFI|SULEIMAN|AL RASHID|BEN ALI|OSMAN|FAROUK|HAMDAN".split("|")
RUSSIAN_MEN = "DMITRY SERGEY YURI ALEXEY MIKHAIL VLADIMIR ANDREY NIKOLAI EVGENY IGOR".split()
RUSSIAN_WOMEN = "NATALIA EKATERINA YULIA SVETLANA OLGA TATIANA KSENIA IRINA ANASTASIA LYUDMILA".split()
RUSSIAN = "IVANOV PETROV SMIRNOV KUZNETSOV SOKOLOV POPOV LEBEDEV KOZLOV NOVIKOV MOROZOV VOLKOV ALEKSEEV YAKOVLEV ZHUKOV TSVETKOV SHCHERBAKOV DZERZHINSKY CHAYKOVSKY KHRUSHCHEV YELTSIN".split()
SPELLINGS = {'MOHAMMED':['MUHAMMAD','MOHAMED','MOHAMMAD','MUHAMMED'],'AHMED':['AHMAD','AHMET'],'HASSAN':['HASAN','HASSEN'],'HUSSEIN':['HUSSAIN','HOSSEIN','HUSAYN'],'MAHMOUD':['MAHMUD','MAHMOOD'],'YUSUF':['YOUSEF','YOUSSEF','YUSSUF'],'OMAR':['UMAR'],'KHALID':['KHALED'],'ABDULLAH':['ABDALLAH','ABDULLA'],'ABDULRAHMAN':['ABDUL RAHMAN','ABDELRAHMAN','ABD AL RAHMAN'],'SAID':['SAEED','SAYED'],'TARIQ':['TAREK','TARIK'],'FATIMA':['FATEMA','FATIMAH'],'AISHA':['AYESHA','AICHA'],'MARYAM':['MARIAM'],'KHADIJA':['KHADIJAH','KADIJA'],'ZAINAB':['ZAYNAB','ZEINAB'],'NOOR':['NUR','NOUR'],'LAYLA':['LEILA','LAILA'],'QADDAFI':['GADDAFI','KADAFI','QADHAFI'],'SULEIMAN':['SULAYMAN','SOLIMAN'],'OSMAN':['UTHMAN','OTHMAN'],'FAROUK':['FARUQ','FARUK'],'DMITRY':['DMITRI','DIMITRI','DMITRIY'],'SERGEY':['SERGEI','SERGUEI'],'YURI':['YURIY','IOURI'],'ALEXEY':['ALEKSEI','ALEXEI','ALEKSEY'],'ANDREY':['ANDREI','ANDREJ'],'NIKOLAI':['NIKOLAY'],'EVGENY':['YEVGENIY','EVGENII','YEVGENY'],'NATALIA':['NATALYA','NATALIYA'],'YULIA':['JULIA','IULIA','YULIYA'],'EKATERINA':['YEKATERINA','KATERINA'],'KSENIA':['XENIA','KSENIYA'],'TSVETKOV':['CVETKOV','TZVETKOV'],'SHCHERBAKOV':['SCHERBAKOV','SHERBAKOV'],'CHAYKOVSKY':['TCHAIKOVSKY','CHAIKOVSKY'],'YAKOVLEV':['IAKOVLEV','JAKOVLEV'],'ZHUKOV':['JOUKOV','ZUKOV'],'ALEKSEEV':['ALEXEEV','ALEKSEYEV'],'KHRUSHCHEV':['KHRUSCHEV','CHRUSCHTSCHOW']}
KEYBOARD = {'Q':'WA','W':'QES','E':'WRD','R':'ETF','T':'RYG','Y':'TUH','U':'YIJ','I':'UOK','O':'IPL','P':'OL','A':'QSZ','S':'ADWX','D':'SFEC','F':'DGRV','G':'FHTB','H':'GJYN','J':'HKUM','K':'JLI','L':'KO','Z':'AX','X':'ZCS','C':'XVD','V':'CBF','B':'VNG','N':'BMH','M':'NJ'}
OCR = [('O','0'),('I','1'),('L','1'),('I','L'),('S','5'),('B','8'),('RN','M'),('M','RN'),('CL','D'),('VV','W'),('W','VV'),('U','V'),('V','U'),('G','6'),('C','G'),('G','C'),('E','F'),('H','N'),('N','H'),('D','O'),('Q','O'),('Z','2'),('A','4'),('T','I'),('Y','V'),('K','X'),('R','P'),('H','I-I'),('LI','U')]
SOUNDS = [('PH','F'),('F','PH'),('CK','K'),('K','CK'),('IE','EI'),('EI','IE'),('Y','I'),('I','Y'),('Z','S'),('S','Z'),('C','K'),('K','C'),('SON','SEN'),('SEN','SON'),('EY','Y'),('Y','IE'),('SCH','SH'),('SH','SCH'),('TH','T'),('GH',''),('OU','U'),('EE','EA'),('EA','EE'),('LL','L'),('TT','T'),('SS','S'),('NN','N'),('RR','R'),('MANN','MAN'),('MAN','MANN'),('ER','AR'),('W','V'),('J','G'),('GU','G'),('AI','AY'),('CE','SE'),('X','KS')]
SPANISH_ENDS = ('EZ','AZ','OZA','ERA','ERO','ILLO','ILLA','ANDO','INO','ORES','ADO','EDA','UENTES')
# fmt: on


class Census:
    """The generator; one seed, one registry."""

    def __init__(self, seed: int = SEED) -> None:
        self.R = random.Random(seed)
        self.last, last_weights = _load("surnames_1990.csv")
        self.men, men_weights = _load("male_first_1990.csv")
        self.women, women_weights = _load("female_first_1990.csv")
        self.last_c, self.men_c, self.women_c = map(_cumulated, (last_weights, men_weights, women_weights))
        self.triples = collections.defaultdict(list)
        for name in self.last[:60000]:
            s = "^^" + name + "$"
            for i in range(len(s) - 2):
                self.triples[s[i : i + 2]].append(s[i + 2])
        self.tail = [self.invented() for _ in range(150000)]
        nick = collections.defaultdict(set)
        text = importlib.resources.files("nicknames").joinpath("names.csv").read_text("utf-8")
        for row in csv.DictReader(text.splitlines()):
            a, b = row["name1"].upper(), row["name2"].upper()
            nick[a].add(b)
            nick[b].add(a)
        self.nick = {name: sorted(others) for name, others in nick.items()}
        self.spanish_c = _cumulated([1 / (i + 3) for i in range(len(SPANISH))])
        self.spanish2 = [name for name in self.last[:30000] if name.endswith(SPANISH_ENDS)]
        self.spanish2_c = _cumulated([1 / (i + 8) for i in range(len(self.spanish2))])
        self.odd_given: list[str] = []
        while len(self.odd_given) < 400:
            if len(word := self.invented()[:8]) >= 4:
                self.odd_given.append(word)
        self.odd_given_c = _cumulated([1 / (i + 5) for i in range(len(self.odd_given))])

    def invented(self) -> str:
        while True:
            s = "^^"
            while len(s) < 14:
                c = self.R.choice(self.triples[s[-2:]])
                if c == "$":
                    break
                s += c
            if 5 <= len(s) <= 13:
                return s[2:]

    def pick(self, words: list[str], cumulated: list[float]) -> str:
        return self.R.choices(words, cum_weights=cumulated)[0]

    def surname(self) -> str:
        return self.R.choice(self.tail) if self.R.random() < 0.095 else self.pick(self.last, self.last_c)

    def spanish(self) -> str:
        return self.pick(SPANISH, self.spanish_c) if self.R.random() < 0.7 else self.pick(self.spanish2, self.spanish2_c)

    def born(self) -> tuple[int, int, int]:
        R = self.R
        y = R.randint(1940, 2005)
        if R.random() < 0.01:
            return (y, 1, 1)
        d = datetime.date(y, 1, 1) + datetime.timedelta(R.randrange(365))
        return (d.year, d.month, d.day)

    def person(self) -> Person:
        R = self.R
        sex = "M" if R.random() < 0.85 else "F"
        man = sex == "M"
        given, given_c = (self.men, self.men_c) if man else (self.women, self.women_c)
        u = R.random()
        if u < 0.12:
            spanish_given = SPANISH_MEN if man else SPANISH_WOMEN
            g = R.choice(spanish_given) if R.random() < 0.6 else self.pick(given, given_c)
            family = self.spanish()
            family = family + " " + self.spanish() if R.random() < 0.6 else family
            m = R.choice(spanish_given)
        elif u < 0.15:
            g = R.choice(ARABIC_MEN if man else ARABIC_WOMEN) if R.random() < 0.5 else self.pick(self.odd_given, self.odd_given_c)
            family = R.choice(ARABIC) if R.random() < 0.3 else R.choice(self.tail)
            m = R.choice(ARABIC_MEN)
        elif u < 0.165:
            g = R.choice(RUSSIAN_MEN if man else RUSSIAN_WOMEN)
            family = R.choice(RUSSIAN) if R.random() < 0.3 else R.choice(self.tail[:20000]) + R.choice(["OV", "EV", "IN", "SKY", "ENKO"])
            family += "A" if not man else ""
            m = ""
        else:
            g = self.pick(given, given_c)
            m = self.pick(given, given_c)
            family = self.surname()
            if R.random() < (0.10 if not man else 0.015):
                family = family + "-" + self.surname()
        if R.random() < 0.2:
            m = ""
        suffix = R.choices(["", "JR", "SR", "II", "III"], [94.5, 4, 0.7, 0.4, 0.4])[0] if man else ""
        return [g, m, family, suffix, self.born(), sex]

    def _typo1(self, s: str) -> str:
        R = self.R
        letters = [i for i, c in enumerate(s) if c.isalpha()]
        if len(letters) < 2:
            return s
        i = R.choice(letters) if R.random() < 0.3 else R.choice(letters[1:])
        u = R.random()
        if u < 0.35:
            return s[:i] + R.choice(KEYBOARD.get(s[i], "E")) + s[i + 1 :]
        if u < 0.60:
            return s[:i] + s[i + 1 :]
        if u < 0.80:
            return s[:i] + (s[i] if R.random() < 0.5 else R.choice("AEIOURNTLS")) + s[i:]
        if i + 1 < len(s):
            return s[:i] + s[i + 1] + s[i] + s[i + 2 :]
        return s[: i - 1] + s[i] + s[i - 1] + s[i + 1 :]

    def typo(self, s: str) -> str:
        t = self._typo1(s)
        return self._typo1(t) if self.R.random() < 0.2 else t

    def ocr(self, s: str) -> str:
        R = self.R
        confusable = [(a, b) for a, b in OCR if a in s]
        if not confusable:
            return s
        for _ in range(1 if R.random() < 0.8 else 2):
            a, b = R.choice(confusable)
            places = [i for i in range(len(s)) if s.startswith(a, i)]
            if places:
                i = R.choice(places)
                s = s[:i] + b + s[i + len(a) :]
        return s

    def misheard(self, s: str) -> str:
        confusable = [(a, b) for a, b in SOUNDS if a in s[1:]]
        if not confusable:
            return self._typo1(s)
        a, b = self.R.choice(confusable)
        i = s.index(a, 1)
        return s[:i] + b + s[i + len(a) :]

    def _one_digit(self, y: int, m: int, d: int) -> tuple[int, int, int]:
        R = self.R
        for _ in range(50):
            s = list(f"{y:04d}{m:02d}{d:02d}")
            i = R.choice([2, 3, 4, 5, 6, 7, 3, 5, 7, 7])
            s[i] = R.choice([c for c in "0123456789" if c != s[i]])
            t = "".join(s)
            found = (int(t[:4]), int(t[4:6]), int(t[6:]))
            if _valid(*found):
                return found
        return (y, m, d)

    def visitor(self, person: Person, aliases: list[list[str]]) -> tuple[list, list[str]]:
        """A visitor's view of a person: [given, middle, family, suffix, yyyymmdd or 0, sex], and what happened to it."""
        R = self.R
        g, m, family, suffix, born, sex = person
        tags: list[str] = []
        if aliases and R.random() < 0.3:
            g, m, family = R.choice(aliases)
            tags.append("alias")
        channel = R.choices(["scan", "ocr", "typed"], [50, 25, 25])[0]
        if R.random() < 0.10 and g in self.nick:
            g = R.choice(self.nick[g])
            tags.append("nick")
        if g in SPELLINGS and R.random() < 0.4:
            g = R.choice(SPELLINGS[g])
            tags.append("translit")
        if family in SPELLINGS and R.random() < 0.4:
            family = R.choice(SPELLINGS[family])
            tags.append("translit")
        if m and R.random() < 0.025:
            g, m = m, g
            tags.append("gm_swap")
        u = R.random()
        if m:
            if u < 0.35:
                m = ""
                tags.append("m_missing")
            elif u < 0.6:
                m = m[0]
            elif u < 0.63:
                g, m = g + " " + m, ""
                tags.append("gm_fused")
        if " " in family and family.split()[0] not in ("AL", "EL", "BEN"):
            a, b = family.split(" ", 1)
            u = R.random()
            if u < 0.25:
                family = a
                tags.append("dbl_first")
            elif u < 0.35:
                family = b
                tags.append("dbl_last")
            elif u < 0.45:
                family = a + "-" + b
                tags.append("dbl_sep")
            elif u < 0.50:
                family = a + b
                tags.append("dbl_join")
            elif u < 0.53:
                family = b + " " + a
                tags.append("dbl_rev")
            elif u < 0.57 and not m:
                m, family = a, b
                tags.append("dbl_mid")
        elif "-" in family:
            a, b = family.split("-", 1)
            u = R.random()
            if u < 0.2:
                family = a
                tags.append("hyp_first")
            elif u < 0.4:
                family = b
                tags.append("hyp_last")
            elif u < 0.6:
                family = a + " " + b
                tags.append("dbl_sep")
            elif u < 0.7:
                family = a + b
                tags.append("dbl_join")
        elif family.startswith(("AL ", "EL ")) and R.random() < 0.4:
            family = family[3:] if R.random() < 0.5 else family[:2] + ("-" if R.random() < 0.5 else "") + family[3:]
            tags.append("article")
        if R.random() < 0.008:
            family = self.surname()
            tags.append("surname_changed")

        def noise(s: str, chance: float) -> str:
            if channel == "typed":
                if R.random() < chance:
                    tags.append("typo")
                    s = self.typo(s)
            elif channel == "ocr":
                if R.random() < chance * 1.2:
                    tags.append("ocr")
                    s = self.ocr(s)
            elif R.random() < 0.01:
                tags.append("typo")
                s = self.typo(s)
            return s

        if R.random() < 0.03:
            family = self.misheard(family)
            tags.append("phon")
        if R.random() < 0.015:
            g = self.misheard(g)
            tags.append("phon")
        g, family = noise(g, 0.08), noise(family, 0.10)
        if m and len(m) > 1:
            m = noise(m, 0.08)
        if channel == "scan":
            if R.random() < 0.015:
                k = R.randint(8, 12)
                if len(family) > k or len(g) > 5:
                    family = family[:k]
                    g = g[: R.randint(3, 6)]
                    tags.append("trunc")
            elif R.random() < 0.005:
                g = g[0]
                tags.append("initial")
        if R.random() < 0.02:
            g, family = family, g
            tags.append("fl_swap")
        if suffix:
            if R.random() < 0.5:
                suffix = ""
            elif R.random() < 0.1:
                family, suffix = family + " " + suffix, ""
                tags.append("suf_in_l")
        y, mo, d = born
        u = R.random() / (2.0 if channel != "scan" else 0.5)
        if u < 0.010 and d <= 12 and d != mo:
            mo, d = d, mo
            tags.append("dob_swap")
        elif 0.010 <= u < 0.025:
            y, mo, d = self._one_digit(y, mo, d)
            tags.append("dob_digit")
        elif 0.025 <= u < 0.030:
            other = y + R.choice([-1, 1])
            if _valid(other, mo, d):
                y = other
            tags.append("dob_year")
        elif 0.030 <= u < 0.032:
            other_day = datetime.date(1941, 1, 1) + datetime.timedelta(R.randrange(23000))
            y, mo, d = other_day.year, other_day.month, other_day.day
            tags.append("dob_wrong")
        if R.random() < 0.005:
            y = mo = d = 0
            tags.append("dob_missing")
        u = R.random()
        if u < 0.03:
            sex = ""
        elif u < 0.035:
            sex = "F" if sex == "M" else "M"
            tags.append("sex_wrong")
        return [g, m, family, suffix, y * 10000 + mo * 100 + d, sex], tags

    def registry(self, count: int, true: int) -> Iterator[tuple[int, Person, list[list[str]], str, int, bool]]:
        """(number, person, aliases, middle name as registered, birth date as registered, whether he will visit)."""
        R = self.R
        chosen = set(R.sample(range(count), true))
        for i in range(count):
            p = self.person()
            g, m, family, _, born, _ = p
            aliases: list[list[str]] = []
            if R.random() < 0.3:
                for _ in range(R.choices([1, 2, 3], [60, 27, 13])[0]):
                    u = R.random()
                    a = [g, m, family]
                    if u < 0.4 and g in self.nick:
                        a[0] = R.choice(self.nick[g])
                    elif u < 0.7:
                        a[2] = self.surname()
                    elif u < 0.9:
                        a[R.choice([0, 2])] = a[0]
                        a[2] = self.typo(family)
                    else:
                        q = self.person()
                        a = [q[0], q[1], q[2]]
                    aliases.append(a)
            registered_middle = m[0] if m and R.random() < 0.3 else m
            y, mo, d = born
            registered = y * 10000 + mo * 100 + d
            u = R.random()
            if u < 0.015:
                registered = 0
            elif u < 0.020:
                registered = y * 10000
            yield i, p, aliases, registered_middle, registered, i in chosen


def _valid(y: int, m: int, d: int) -> bool:
    try:
        datetime.date(y, m, d)
    except ValueError:
        return False
    return 1930 <= y <= 2020
