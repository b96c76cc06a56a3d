"""Error model B, written without a look at the matcher's tables: people by origin of name, for a second opinion and for fairness.

Names: given names and surnames by hand (`NAMES` below; common names as telephone books, naming statistics and encyclopedias give
them), and for English the surnames of the 1990 census. East Asian and Vietnamese given names are made of two syllables.

Rates, and where they come from:

- a mistyped word has one error in four cases of five, and the errors are substitution, omission, insertion and transposition
  (Damerau, CACM 7, 1964; Kukich, ACM Computing Surveys 24, 1992, section 2.1); a word is mistyped in 2 % of the cases when copied
  from a document (Kukich gives 1 % to 3 % for practised typists), the first letter less often than the others (Yannakoudakis and
  Fawthrop, IPM 19, 1983);
- transliterations are made by rule, letter by letter, from the alternatives of the romanisations in use (ALA-LC, BGN/PCGN, ICAO
  9303-3 section 6, French and German press), not from a list of names;
- short forms are cut from the name or taken from a list by hand, 8 % of the visitors;
- surnames of women change by marriage: 3 %, half of them keep the old one hyphenated;
- birth dates: 2.5 % are wrong in some way, of which day and month exchanged 20 %, one digit 50 %, neighbouring year 20 %, anything 10 %.
"""

# ruff: noqa: N806 - R is the random source of every draw; the lists of names are lists
from __future__ import annotations

import csv
import datetime
import random
from collections.abc import Callable

from people_census import names_folder

ORIGINS = {"english": 50, "african_american": 12, "spanish": 18, "arabic": 4, "east_asian": 6, "vietnamese": 4, "slavic": 6}

# fmt: off
NAMES: dict[str, tuple[str, str, str]] = {  # men, women, families; the commoner first
    "english": (
        "Michael James John Robert David William Christopher Joseph Matthew Daniel Thomas Andrew Charles Anthony Steven Mark Richard Brian Kevin Timothy Jason Jeffrey Ryan Jacob Gary Nicholas Eric Jonathan Stephen Larry Justin Scott Brandon Benjamin Samuel Gregory Alexander Patrick Frank Raymond Jack Dennis Jerry Tyler Aaron Nathan Henry Douglas Zachary Peter Adam Kyle Walter Ethan Jeremy Harold Keith Christian Roger Noah Gerald Carl Terry Sean Austin Arthur Lawrence Jesse Dylan Bryan Joe Jordan Billy Bruce Albert Willie Gabriel Logan Alan Wayne Roy Ralph Randy Eugene Vincent Russell Louis Philip Bobby Johnny Bradley",
        "Jennifer Mary Patricia Linda Elizabeth Barbara Susan Jessica Sarah Karen Lisa Nancy Sandra Ashley Emily Kimberly Betty Margaret Donna Michelle Carol Amanda Melissa Deborah Stephanie Rebecca Sharon Laura Cynthia Dorothy Amy Kathleen Angela Shirley Emma Brenda Pamela Nicole Anna Samantha Katherine Christine Helen Debra Rachel Carolyn Janet Maria Catherine Heather Diane Olivia Julie Joyce Victoria Ruth Virginia Lauren Kelly Christina Joan Evelyn Judith Andrea Hannah Megan Cheryl Jacqueline Martha Madison Teresa Gloria Sara Janice Ann Kathryn Abigail Sophia Frances Jean Alice Judy",
        ""),
    "african_american": (
        "Darnell Tyrone Jamal DeShawn Marquis Terrell DeAndre Jermaine Lamar Darius Malik Trevon Tyrell Antwan Demetrius Reginald Cedric LaMarcus Jalen Kendrick Devonte Rashad Kareem Dwayne Davon Tremaine Javon Keyshawn Quinton Deion Raheem Roosevelt Cornelius Lavell Montrell Tavares Shaquille Donte Dominique Jaquan",
        "Latoya Keisha Tanisha Ebony Shanice Aaliyah Imani Tamika Lakeisha Precious Kiara Nia Monique Jada Deja Tiara Latasha Shameka Tyesha Raven Destiny Jasmine Shaniqua Lashonda Tameka Kenya Ayanna Aniyah Nevaeh Chanel Tierra Yolanda Janelle Shantel Rolanda Daneisha Kierra Tawanda Sheniqua Essence",
        "Washington Jefferson Jackson Johnson Williams Smith Jones Brown Davis Robinson Harris Thomas Lewis Walker Banks Booker Mosley Gaines Dorsey Rivers Joseph Glover Pierre Charles Coleman Simmons Freeman Hampton Singleton Bolden Randle Cotton Muhammad Boykin Whitaker Mays Grier Hairston Bradshaw Broadnax Gadson Bryant Jenkins Alston Merriweather Toussaint Francois Baptiste Okafor Diallo Mensah"),
    "spanish": (
        "José Juan Luis Carlos Jesús Francisco Miguel Antonio Jorge Alejandro Manuel Pedro Roberto Fernando Ricardo Eduardo Javier Sergio Rafael Daniel Raúl Arturo Héctor Mario Alberto Óscar Martín Enrique Gerardo Andrés Ramón Salvador Guillermo Ernesto Alfredo Armando Diego Víctor Gustavo Adrián Ignacio Esteban Felipe Rodolfo Hugo Marcos Rogelio Ismael Julio Rubén",
        "María Guadalupe Juana Margarita Verónica Rosa Leticia Alejandra Patricia Ana Yolanda Carmen Gabriela Silvia Elizabeth Norma Teresa Martha Adriana Claudia Gloria Sandra Mónica Laura Lorena Alicia Rocío Esperanza Beatriz Blanca Isabel Josefina Araceli Irma Elena Luz Marisol Graciela Consuelo Dolores",
        "Hernández García Martínez López González Rodríguez Pérez Sánchez Ramírez Flores Cruz Gómez Morales Vázquez Reyes Jiménez Torres Díaz Gutiérrez Ruiz Mendoza Aguilar Ortiz Moreno Castillo Romero Álvarez Méndez Chávez Rivera Juárez Ramos Domínguez Herrera Medina Castro Vargas Guzmán Velázquez Rojas Contreras Salazar Luna Ortega Guerrero Santiago Estrada Bautista Cortés Soto Alvarado Espinoza Lara Ávila Ríos Cervantes Silva Delgado Vega Márquez Sandoval Carrillo León Mejía Solís Rosas Ibarra Valdez Núñez Campos Santos Camacho Navarro Peña Maldonado Rosales Acosta Miranda Trejo Valencia Nava Pacheco Robles Molina Rangel Fuentes Huerta Meza Cárdenas Cabrera Zamora Tapia Galindo Orozco Padilla Serrano Barrera Villarreal Arroyo Quintero"),
    "arabic": (
        "Mohammed Ahmed Ali Hassan Hussein Ibrahim Mahmoud Khaled Omar Youssef Abdullah Mustafa Said Tarek Karim Samir Walid Nabil Jamal Hamza Bilal Faisal Rashid Salim Sami Ziad Anwar Bashir Fadi Hisham Imad Majid Munir Nasser Rami Riad Sharif Tamer Waleed Yasser Zaki Adel Amr Ashraf Essam",
        "Fatima Aisha Maryam Khadija Zainab Noor Layla Salma Amina Huda Rania Samira Nadia Hanan Yasmin Mona Dina Reem Lina Rasha Sahar Suad Zahra Iman Dalia",
        "Al-Hassan Hussein Mohammed Al-Shammari Abdullah El-Sayed Ibrahim Khalil Nasser Haddad Al-Otaibi Mansour Saleh Suleiman Al-Rashid Osman Farouk Hamdan Khoury Najjar Qasim Said Taha Yousef Zidan Al-Ghamdi Al-Qahtani Al-Harbi Abu-Bakr Bin-Laden Darwish Fayed Ghanem Hariri Issa Jabari Kassab Lahoud Mubarak Nasrallah Odeh Rahman Sabbagh Shaheen Tamimi Wahab Zaman Awad Bakri Barakat Maalouf Shadid Touma"),
    "east_asian": (
        "wei jun ming hao jian guo zhi qiang yong lei bo tao gang peng fei hong xiang hai long dong sheng cheng liang min ho seung hyun jae sung young ken hiro taka kazu",
        "mei xiao li na yan fang hui jing xia ling juan ying qin hong yu xue ting ping min ji soo jin eun hye sun young kyung yuki ai nao miki",
        "Wang Li Zhang Liu Chen Yang Huang Zhao Wu Zhou Xu Sun Ma Zhu Hu Guo He Lin Gao Luo Zheng Liang Xie Song Tang Han Feng Deng Cao Peng Zeng Xiao Tian Dong Pan Yuan Cai Jiang Yu Du Ye Cheng Wei Su Lu Ding Ren Shen Kim Lee Park Choi Jung Kang Cho Yoon Jang Lim Shin Seo Kwon Hwang Ahn Tanaka Suzuki Sato Watanabe Ito Yamamoto Nakamura Kobayashi Kato Yoshida Chan Wong Cheung Leung Lau Ho Ng Lam"),
    "vietnamese": (
        "van minh tuan duc hai long quang thanh hung nam hoang tien dung khanh bao phuc son dat kien trung",
        "thi lan hoa mai linh huong hanh ngoc trang thu phuong thao nga yen ha my nhung tuyet diem anh",
        "Nguyen Nguyen Nguyen Nguyen Tran Tran Le Le Pham Pham Huynh Hoang Phan Vu Vo Dang Bui Do Ho Ngo Duong Ly Truong Dinh Lam Doan Trinh Mai Cao Luong Luu Ta Chau Quach Thai Vuong"),
    "slavic": (
        "Dmitry Sergey Aleksandr Andrey Aleksey Maksim Yevgeny Ivan Mikhail Nikolay Vladimir Pavel Roman Oleg Igor Yury Viktor Anton Denis Konstantin Artyom Ilya Vitaly Kirill Ruslan Stanislav Piotr Krzysztof Tomasz Marek Milan Goran Zoran Bohdan Taras",
        "Natalya Yelena Olga Tatyana Irina Yekaterina Anna Svetlana Mariya Yuliya Anastasiya Oksana Lyudmila Galina Valentina Darya Kseniya Larisa Nina Vera Agnieszka Katarzyna Malgorzata Ivana Jelena",
        "Ivanov Smirnov Kuznetsov Popov Vasilyev Petrov Sokolov Mikhaylov Novikov Fyodorov Morozov Volkov Alekseyev Lebedev Semyonov Yegorov Pavlov Kozlov Stepanov Nikolayev Orlov Andreyev Makarov Nikitin Zakharov Zaytsev Solovyov Borisov Yakovlev Grigoryev Romanov Vorobyov Sergeyev Kuzmin Frolov Aleksandrov Dmitriyev Korolyov Gusev Kiselyov Ilyin Maksimov Polyakov Sorokin Vinogradov Kovalyov Belov Medvedev Antonov Tarasov Zhukov Baranov Filippov Shevchenko Bondarenko Kovalenko Tkachenko Kravchenko Nowak Kowalski Wojcik Kowalczyk Lewandowski Zielinski Jovanovic Petrovic Horvat Novak"),
}
SHORT = {"Michael": "Mike", "James": "Jim", "John": "Jack", "Robert": "Bob", "David": "Dave", "William": "Bill", "Christopher": "Chris", "Joseph": "Joe", "Matthew": "Matt", "Daniel": "Dan", "Thomas": "Tom", "Andrew": "Drew", "Charles": "Chuck", "Anthony": "Tony", "Richard": "Rick", "Timothy": "Tim", "Nicholas": "Nick", "Jonathan": "Jon", "Benjamin": "Ben", "Samuel": "Sam", "Gregory": "Greg", "Patrick": "Pat", "Raymond": "Ray", "Lawrence": "Larry", "Elizabeth": "Liz", "Jennifer": "Jenny", "Patricia": "Trish", "Barbara": "Barb", "Susan": "Sue", "Margaret": "Peggy", "Deborah": "Debbie", "Rebecca": "Becky", "Katherine": "Kate", "Christine": "Chris", "Kimberly": "Kim", "Jacqueline": "Jackie", "Francisco": "Pancho", "José": "Pepe", "Jesús": "Chuy", "Guadalupe": "Lupe", "Ignacio": "Nacho", "Eduardo": "Lalo", "Enrique": "Quique", "Roberto": "Beto", "Dolores": "Lola", "Consuelo": "Chelo", "Aleksandr": "Sasha", "Dmitry": "Dima", "Vladimir": "Volodya", "Yekaterina": "Katya", "Natalya": "Natasha", "Mariya": "Masha", "Darnell": "Nell", "Demetrius": "Meechie", "Reginald": "Reggie"}
ROMANISATIONS = {
    "arabic": [("ou", "u"), ("u", "ou"), ("ee", "i"), ("i", "ee"), ("Al-", "El "), ("Al-", "Al"), ("El-", "Al "), ("q", "k"), ("k", "q"), ("ss", "s"), ("s", "ss"), ("mm", "m"), ("ai", "ay"), ("ei", "ey"), ("a", "e"), ("ah", "a"), ("j", "dj"), ("sh", "ch"), ("dh", "d"), ("y", "i"), ("Kh", "Ch"), ("Y", "I")],
    "slavic": [("yev", "ev"), ("ye", "e"), ("yo", "e"), ("y", "i"), ("y", "ij"), ("ya", "ia"), ("ya", "ja"), ("yu", "iu"), ("zh", "j"), ("kh", "h"), ("ts", "c"), ("sh", "sch"), ("v", "w"), ("ks", "x"), ("Y", "J"), ("Ye", "E"), ("Yu", "Iu"), ("ov", "off"), ("iy", "y")],
    "east_asian": [("zh", "ch"), ("q", "ch"), ("x", "hs"), ("j", "ch"), ("g", "k"), ("d", "t"), ("b", "p"), ("ao", "au"), ("ong", "ung"), ("oo", "u"), ("eo", "u"), ("Lee", "Yi"), ("Park", "Pak"), ("Choi", "Choe"), ("ian", "ien"), ("ui", "wei")],
}
# fmt: on


def _split(words: str) -> list[str]:
    return words.split()


class ByOrigin:
    """The generator; one seed, one registry. Subjects and records are dictionaries of the fields they have."""

    def __init__(self, seed: int = 4711) -> None:
        self.R = random.Random(seed)
        with (names_folder() / "surnames_1990.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.english = [row["name"].title() for row in rows]
        self.english_weights = []
        total = 0.0
        for row in rows:
            total += float(row["freq_pct"]) or 0.0002
            self.english_weights.append(total)
        self.lists = {origin: tuple(_split(part) for part in parts) for origin, parts in NAMES.items()}

    def _pick(self, words: list[str]) -> str:
        return self.R.choices(words, [1 / (rank + 6) for rank in range(len(words))])[0]

    def _given(self, origin: str, man: bool) -> str:
        words = self.lists[origin][0 if man else 1]
        if origin in ("east_asian", "vietnamese"):
            first, second = self._pick(words), self._pick(words)
            return first.title() if self.R.random() < 0.25 or first == second else f"{first.title()} {second.title()}"
        return self._pick(words)

    def _family(self, origin: str) -> str:
        R = self.R
        if origin == "english":
            return R.choices(self.english, cum_weights=self.english_weights)[0]
        if origin == "african_american" and R.random() < 0.5:
            return R.choices(self.english, cum_weights=self.english_weights)[0]
        if origin == "spanish":
            return self._pick(self.lists[origin][2]) + (" " + self._pick(self.lists[origin][2]) if R.random() < 0.6 else "")
        return self._pick(self.lists[origin][2])

    def person(self, origin: str | None = None) -> dict:
        R = self.R
        origin = origin or R.choices(list(ORIGINS), list(ORIGINS.values()))[0]
        man = R.random() < 0.85
        family, given = self._family(origin), self._given(origin, man)
        if origin == "slavic" and not man and family.endswith(("ov", "ev", "in")):
            family += "a"
        has_middle = origin in ("english", "african_american", "spanish", "arabic") and R.random() < 0.8
        born = datetime.date(1943, 1, 1) + datetime.timedelta(R.randrange(365 * 62))
        place = min(int(R.paretovariate(0.6)), 30_000)
        return {
            "origin": origin,
            "family": family,
            "given": given,
            "middle": self._given(origin, man) if has_middle else "",
            "born": born,
            "sex": "M" if man else "F",
            "zip": f"{10000 + place * 2:05d}",
            "region": f"{'ACDFGIKLMN'[place % 10]}{'ADELNORTXZ'[place // 50 % 10]}",
            "height": round(R.gauss(177 if man else 163, 7)),
            "eye": R.choices(["BRO", "BLU", "HAZ", "GRN", "GRY"], [86, 4, 6, 3, 1] if origin not in ("english", "slavic") else [35, 35, 15, 12, 3])[0],
        }

    def _mistype(self, word: str) -> str:
        R = self.R
        for _ in range(1 if R.random() < 0.8 else 2):
            places = [i for i, c in enumerate(word) if c.isalpha()]
            if len(places) < 3:
                return word
            i = R.choice(places if R.random() < 0.2 else places[1:])
            kind = R.random()
            letter = R.choice("abcdefghijklmnopqrstuvwxyz")
            if kind < 0.45:
                word = word[:i] + letter + word[i + 1 :]
            elif kind < 0.70:
                word = word[:i] + word[i + 1 :]
            elif kind < 0.90:
                word = word[:i] + letter + word[i:]
            elif i + 1 < len(word):
                word = word[:i] + word[i + 1] + word[i] + word[i + 2 :]
        return word

    def _romanise(self, word: str, origin: str) -> str:
        R = self.R
        rules = [(a, b) for a, b in ROMANISATIONS.get(origin, []) if a in word]
        for a, b in R.sample(rules, min(len(rules), R.choice([1, 1, 2]))):
            word = word.replace(a, b, 1)
        return word

    def visitor(self, person: dict) -> tuple[dict, list[str]]:
        """A visitor's view of a person, and what happened to it."""
        R = self.R
        v, tags = dict(person), []
        origin = v["origin"]

        def maybe(chance: float, tag: str, change: Callable[[], None]) -> None:
            if R.random() < chance:
                before = dict(v)
                change()
                if v != before:
                    tags.append(tag)

        def set_(field: str, value: object) -> None:
            v[field] = value

        maybe(0.08, "short_form", lambda: set_("given", SHORT.get(v["given"], v["given"][:4] if len(v["given"]) > 5 and R.random() < 0.5 else v["given"])))
        if origin in ROMANISATIONS:
            maybe(0.20, "romanised", lambda: set_("given", self._romanise(v["given"], origin)))
            maybe(0.20, "romanised", lambda: set_("family", self._romanise(v["family"], origin)))
        if " " in v["given"]:
            maybe(0.35, "given_joined", lambda: set_("given", v["given"].replace(" ", R.choice(["", "-"]))))
            maybe(0.06, "given_half", lambda: set_("given", v["given"].split()[-1]))
        if origin in ("east_asian", "vietnamese"):
            maybe(0.06, "swapped", lambda: v.update(given=v["family"], family=v["given"]))
        else:
            maybe(0.015, "swapped", lambda: v.update(given=v["family"], family=v["given"]))
        if origin == "spanish" and " " in v["family"]:
            maybe(0.30, "one_surname", lambda: set_("family", v["family"].split()[0 if R.random() < 0.8 else 1]))
            maybe(0.10, "joined", lambda: set_("family", v["family"].replace(" ", R.choice(["-", ""]))))
        if v["sex"] == "F":
            maybe(0.03, "married", lambda: set_("family", self._family(origin) if R.random() < 0.5 else v["family"] + "-" + self._family(origin)))
        maybe(0.40, "middle_left_out", lambda: set_("middle", ""))
        maybe(0.35, "middle_initial", lambda: set_("middle", v["middle"][:1]))
        maybe(0.01, "given_initial", lambda: set_("given", v["given"][:1]))
        maybe(0.02, "mistyped", lambda: set_("given", self._mistype(v["given"])))
        maybe(0.02, "mistyped", lambda: set_("family", self._mistype(v["family"])))
        maybe(0.005, "cut", lambda: set_("family", v["family"][:8]))
        born = v["born"]
        if R.random() < 0.025:
            kind = R.random()
            text = born.isoformat()
            if kind < 0.2:
                text = f"{born.year:04d}-{born.day:02d}-{born.month:02d}"
            elif kind < 0.7:
                i = R.choice([2, 3, 5, 6, 8, 9])
                text = text[:i] + R.choice("0123456789") + text[i + 1 :]
            elif kind < 0.9:
                text = f"{born.year + R.choice([-1, 1]):04d}{text[4:]}"
            else:
                text = (datetime.date(1943, 1, 1) + datetime.timedelta(R.randrange(365 * 62))).isoformat()
            try:
                v["born"] = datetime.date.fromisoformat(text)
            except ValueError:
                v["born"] = born
            if v["born"] != born:
                tags.append("birth_date")
        maybe(0.004, "no_birth_date", lambda: set_("born", None))
        maybe(0.02, "no_sex", lambda: set_("sex", None))
        moved = R.random()
        if moved < 0.25:
            v["zip"] = v["zip"][:3] + f"{R.randrange(50) * 2:02d}" if moved < 0.12 else f"{R.randrange(10000, 70000):05d}"
        v["height"] += round(R.gauss(0, 2.5))
        if R.random() < 0.06:
            v["eye"] = R.choice(["BRO", "BLU", "HAZ", "GRN"])
        return v, tags
