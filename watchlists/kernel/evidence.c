/* What a row says for or against: names, dates and description, as reference._score says it in Python. */
#include <math.h>

#include "query.h"

Score W;

int eighths(double m, double u) { return (int)floor(W.UNIT * log2(m / u)); }

static int capped(double m, u32 count, u32 total) { return min2(W.POSTAL_MAX, eighths(m, (double)count / (double)total)); }

static u32 postal_count(const Image *x, u32 code) {
  u32 lo = 0, hi = x->head->postal_codes;
  while (lo < hi) {
    u32 mid = lo + (hi - lo) / 2;
    if (x->postal[mid].code < code) lo = mid + 1;
    else hi = mid;
  }
  return x->postal[lo].count; /* the code is an entry's, so it is there */
}

static int address_score(const Image *x, const Fields *mine, const Fields *theirs) {
  int have = 0, best = 0, both = mine->postal[0] && theirs->postal[0];
  if (both) {
    u32 code = mine->postal[0];
    if (code == theirs->postal[0] || code == theirs->postal[1]) return capped(W.POSTAL_M, postal_count(x, code) + 1, x->head->with_postal);
    for (int i = 0; i < 2; i++) {
      u32 p = theirs->postal[i];
      if (code < 100000 && p && p < 100000 && p / 100 == code / 100) {
        best = capped(W.POSTAL3_M, x->postal3[code / 100] + 1, x->head->with_postal);
        have = 1;
      }
    }
  }
  if (mine->region[0] && theirs->region[0]) {
    u16 r = mine->region[0];
    if (r == theirs->region[0] || r == theirs->region[1]) {
      int weight = capped(W.REGION_M, x->regions[r] + (u32)W.BACKGROUND_A_REGION, x->head->with_region);
      if (both) weight += W.POSTAL_DIFFERS;
      return have ? max2(best, weight) : weight;
    }
    return have ? best : W.REGION_DIFFERS;
  }
  return best;
}

static int describe(const Image *x, const Query *q, u32 rest, short *part) {
  u32 entry = ENTRY_OF(rest);
  int suffix = SUFFIX_OF(rest), sex = x->sex[entry], n[5] = {0};
  if (q->sex && sex) n[0] = q->sex == sex ? W.SEX_AGREES : W.SEX_DIFFERS;
  if (q->name.suffix && suffix) n[1] = q->name.suffix == suffix ? W.SUFFIX_AGREES : W.SUFFIX_DIFFERS;
  if (x->fields) {
    const Fields *theirs = &x->fields[entry], *mine = &q->fields;
    n[2] = address_score(x, mine, theirs);
    if (mine->height && theirs->height) {
      int apart = abs((int)mine->height - (int)theirs->height), i = 0;
      while (i < W.height_steps && apart > W.height_most[i]) i++;
      n[3] = i < W.height_steps ? W.height_bits[i] : W.HEIGHT_DIFFERS;
    }
    if (mine->eye && theirs->eye) {
      if (mine->eye == theirs->eye) n[4] = min2(W.EYE_MAX, eighths(W.EYE_M, (double)x->eyes[theirs->eye] / (double)x->head->with_eyes));
      else n[4] = W.eye_near[mine->eye][theirs->eye] ? W.EYE_NEAR : W.EYE_DIFFERS;
    }
  }
  int sum = n[0] + n[1] + n[2] + n[3] + n[4];
  if (sum > W.DESCRIPTION_MAX) n[2] -= sum - W.DESCRIPTION_MAX, sum = W.DESCRIPTION_MAX;
  for (int i = 0; i < 5; i++) part[PART_SEX + i] = (short)n[i];
  return sum;
}

#define STARTS(t, letter_) (x->letter[(letter_) - 'A'] <= (t) && (t) < x->letter[(letter_) - 'A' + 1])

/* What the middle name says where the names before it agree, in their own places or in each other's. */
static int middle_score(const Image *x, const Context *c, const Query *q, u32 token, u32 levels) {
  if (!token || !q->name.length[SLOT_G2]) return 0;
  char shown = q->name.text[SLOT_G2][0];
  if (q->name.length[SLOT_G2] == 1 || x->single[shown - 'A'] == token || token_length(x, token) == 1)
    return STARTS(token, shown) ? x->head->middle_initial[shown - 'A'] : W.MIDDLE_INITIAL_DIFFERS;
  int weight = min2(W.MIDDLE_MAX, AS_GIVEN(SLOT_G2, levels));
  return weight ? weight : STARTS(token, shown) ? W.MIDDLE_SAME_LETTER : W.MIDDLE_DIFFERS;
}

typedef struct { int family, given, middle, swapped; } NameScore;

/* What a row's names say, its family's evidence being known. */
static int names_score(const Image *x, const Context *c, const Query *q, const RowRest *rest, int family, int cross, NameScore *out) {
  u32 g1 = rest->given, middle_name = MIDDLE_OF(rest->middle_less), g = levels_of(c, g1), m = levels_of(c, middle_name);
  int q1 = q->name.length[SLOT_G1];
  char qg = q->name.text[SLOT_G1][0];
  int given = max2(AS_GIVEN(SLOT_G1, g), AS_GIVEN(SLOT_GJ, g)), middle = 0, swapped = 0;
  int less = family > 0 ? LESS_OF(rest->middle_less) : 0;
  if (given) given = max2(1, given - less);
  int crossed_given = max2(AS_GIVEN(SLOT_S1, g), AS_GIVEN(SLOT_SJ, g));
  int beside_given = given || crossed_given ? middle_score(x, c, q, middle_name, m) : 0;
  if (given) {
    middle = beside_given;
  } else {
    int crossed = max2(AS_GIVEN(SLOT_G2, g), AS_GIVEN(SLOT_G1, m)) + W.GIVEN_IS_MIDDLE;
    if (crossed > 0) given = max2(1, crossed - less);
    else if (g1 && q1) {
      int initial = STARTS(g1, qg) && (q1 == 1 || x->single[qg - 'A'] == g1);
      given = initial ? x->head->given_initial[qg - 'A'] : W.GIVEN_MISS;
    }
  }
  int weak = WEAK_OF(rest->entry) ? W.WEAK_ALIAS : 0, beside_crossed = crossed_given ? beside_given : 0;
  family += weak;
  if (!crossed_given) crossed_given = max2(0, AS_GIVEN(SLOT_S1, m) + W.GIVEN_IS_MIDDLE);
  if (cross > 0 || crossed_given) {
    if (!crossed_given && g1 && q->name.length[SLOT_S1]) crossed_given = W.GIVEN_MISS;
    int exchanged = cross + crossed_given + W.NAMES_SWAPPED + weak;
    if (exchanged + beside_crossed > family + given + middle) {
      swapped = exchanged;
      family = given = 0;
      middle = beside_crossed;
    }
  }
  *out = (NameScore){family, given, middle, swapped};
  return family + given + middle + swapped;
}

/* Score row r with its date's weight; keep it if it reaches the threshold. `family` and `cross` are those of its family. */
void score_row(const Image *x, Context *c, const Query *q, const Bounds *b, u32 r, int family, int cross, int date, int id) {
  RowRest rest = x->row_rest[r];
  NameScore n;
  int enough = b->threshold - b->more_max - date - id;
  c->rows_scored++;
  if (names_score(x, c, q, &rest, family, cross, &n) < enough) return;
  Hit h = {.part = {(short)n.family, (short)n.given, (short)n.middle, (short)n.swapped, (short)date}};
  h.total = n.family + n.given + n.middle + n.swapped + date + id + describe(x, q, rest.entry, h.part);
  if (h.total < b->threshold) return;
  h.part[PART_ID] = (short)id;
  h.entry = ENTRY_OF(rest.entry);
  h.row = r;
  if (c->hit_count == c->hit_room) {
    u32 room = c->hit_room ? c->hit_room * 2 : 64;
    Hit *more = realloc(c->hits, room * sizeof *more);
    if (!more) {
      c->no_memory = 1;
      return;
    }
    c->hits = more;
    c->hit_room = room;
  }
  c->hits[c->hit_count++] = h;
}

static int day_of_row(const Image *x, u32 r) {
  u32 lo = 0, hi = DAYS + 1; /* the last day whose first row is not after r */
  while (hi - lo > 1) {
    u32 mid = lo + (hi - lo) / 2;
    if (x->day[mid].row <= r) lo = mid;
    else hi = mid;
  }
  return (int)lo;
}

int partial_weight(const PartialDate *p, const Query *q) {
  if (q->year < p->first || q->year > p->last) return W.YEAR_MISS;
  if (p->month) return p->month == q->month ? eighths(W.YEAR_M, 1.0 / (12 * W.YEAR_SPAN)) : W.YEAR_MISS / 2;
  return max2(0, eighths(W.YEAR_M, (double)(p->last - p->first + 1) / W.YEAR_SPAN));
}

int undated_weight(const Image *x, const Query *q, u32 r) {
  u32 p = x->partial_of[r - x->undated];
  return q->year && p ? partial_weight(&x->partial[p], q) : 0;
}

/* A dated row's weight for its date, wherever it stands. */
int dated_weight(const Image *x, const Context *c, const Bounds *b, u32 r) {
  int day = day_of_row(x, r);
  for (int i = 0; i < c->day_count; i++)
    if (c->days[i].bucket == day) return c->days[i].weight;
  return b->miss;
}

int day_weight(const Image *x, Context *c, int kind, u32 rows) {
  int weight = rows < 256 ? c->day_weight[kind][rows] : NO_WEIGHT;
  if (weight == NO_WEIGHT) {
    const double chance[DAY_KINDS] = {W.DOB_SAME, W.DOB_SWAPPED, W.DOB_YEAR, W.DOB_TRANSPOSED, W.DOB_DIGIT};
    weight = eighths(chance[kind], ((double)rows + W.BACKGROUND_A_DAY) / ((double)x->rows + W.BACKGROUND_ROWS));
    if (rows < 256) c->day_weight[kind][rows] = (short)weight;
  }
  return weight;
}

static void add_day(const Image *x, Context *c, int bucket, int kind) {
  if (bucket < 0 || !(x->born[bucket >> 6] >> (bucket & 63) & 1)) return; /* no one born that day: nothing to weigh */
  /* One digit wrong is another day for every digit, so that only the other kinds of slip may have come to this one before. */
  int before = kind == DAY_DIGIT ? c->days_upto[DAY_TRANSPOSED] : c->days_found;
  for (int i = 0; i < before; i++)
    if (c->days[i].bucket == bucket) return;
  c->days[c->days_found++] = (Day){bucket, day_weight(x, c, kind, x->day[bucket + 1].row - x->day[bucket].row)};
}

static void add_kind(const Image *x, Context *c, int y, int m, int d, int kind) {
  if (kind == DAY_SAME) add_day(x, c, day_bucket(y, m, d), kind);
  if (kind == DAY_SWAPPED) add_day(x, c, day_bucket(y, d, m), kind);
  if (kind == DAY_YEAR) {
    add_day(x, c, day_bucket(y - 1, m, d), kind);
    add_day(x, c, day_bucket(y + 1, m, d), kind);
  }
  if (kind == DAY_TRANSPOSED) {
    add_day(x, c, day_bucket(y / 100 * 100 + y % 10 * 10 + y / 10 % 10, m, d), kind);
    add_day(x, c, day_bucket(y, m % 10 * 10 + m / 10, d), kind);
    add_day(x, c, day_bucket(y, m, d % 10 * 10 + d / 10), kind);
  }
  for (int i = 0; i < 10 && kind == DAY_DIGIT; i++) { /* a digit put for itself is the day shown, which is there already */
    if (i != y % 10) add_day(x, c, day_bucket(y - y % 10 + i, m, d), kind);
    if (i != y / 10 % 10) add_day(x, c, day_bucket(y - y / 10 % 10 * 10 + i * 10, m, d), kind);
    if (i != m % 10) add_day(x, c, day_bucket(y, m - m % 10 + i, d), kind);
    if (i < 2 && i != m / 10) add_day(x, c, day_bucket(y, m % 10 + i * 10, d), kind);
    if (i != d % 10) add_day(x, c, day_bucket(y, m, d - d % 10 + i), kind);
    if (i < 4 && i != d / 10) add_day(x, c, day_bucket(y, m, d % 10 + i * 10), kind);
  }
}

/* score.dob_neighbours, the same days in the same order: those of the likeliest kinds of slip, as many kinds as asked for. */
void near_days(const Image *x, Context *c, int y, int m, int d, int kinds) {
  int day = (y * 16 + m) * 32 + d; /* a batch comes in order of birth date */
  if (day != c->days_of) c->days_found = c->days_kinds = 0;
  c->days_of = day;
  for (; y && c->days_kinds < kinds; c->days_kinds++) {
    add_kind(x, c, y, m, d, c->days_kinds);
    c->days_upto[c->days_kinds] = c->days_found;
  }
  c->day_count = y && kinds ? c->days_upto[kinds - 1] : 0;
}

/* What is known in part of some birth dates and speaks for the one shown. */
void near_partials(const Image *x, Context *c, const Query *q) {
  int month = q->year * 16 + q->month;
  if (month == c->partials_of) return;
  c->partials_of = month;
  c->near_count = c->partials_most = 0;
  for (u32 i = 1; q->year && i < x->head->partials; i++) {
    int weight = partial_weight(&x->partial[i], q);
    if (weight <= 0) continue;
    c->near_partials[c->near_count++] = (NearPartial){i, weight};
    c->partials_most = max2(c->partials_most, weight);
  }
}
