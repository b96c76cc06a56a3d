/* One question: the visitor's tokens against the dictionary, then rows by birth date (pass A), by family (pass B) and by
 * identity document (pass C); every row that could reach the threshold is scored, and reference._score is what scores it. */
#include "query.h"

static inline int count_bits(u64 v) {
  int n = 0;
  for (; v; v &= v - 1) n++;
  return n;
}

enum { MANY_PARTIAL = 4096 }; /* rows with a date known to the same part of it: rather found by family */
static u32 partial_rows(const Image *x, u32 partial) { return x->partial_off[partial + 1] - x->partial_off[partial]; }

static void set_bounds(const Image *x, const Context *c, const Query *q, Bounds *b) {
  int g1 = q->name.length[SLOT_G1], g2 = q->name.length[SLOT_G2];
  b->given_max = max2(max2(c->best_given[SLOT_G1], c->best_given[SLOT_GJ]), max2(0, c->best_given[SLOT_G2] + W.GIVEN_IS_MIDDLE));
  if (g1) b->given_max = max2(b->given_max, x->head->given_initial[q->name.text[SLOT_G1][0] - 'A']);
  b->middle_max = g2 ? max2(min2(W.MIDDLE_MAX, c->best_given[SLOT_G2]), x->head->middle_initial[q->name.text[SLOT_G2][0] - 'A']) : 0;
  b->middle_max = max2(0, b->middle_max);
  b->swapped_max = max2(c->best_given[SLOT_S1], c->best_given[SLOT_SJ]) + W.NAMES_SWAPPED + b->middle_max;
  int more = (q->sex ? W.SEX_AGREES : 0) + (q->name.suffix ? W.SUFFIX_AGREES : 0);
  if (x->fields) {
    if (q->fields.postal[0] || q->fields.region[0]) more += W.POSTAL_MAX;
    if (q->fields.height) more += W.height_bits[0];
    if (q->fields.eye) more += W.EYE_MAX;
  }
  b->more_max = min2(more, W.DESCRIPTION_MAX);
  b->miss = q->year ? W.DOB_MISS : 0;
  b->undated_max = 0;
  for (int i = 0; i < c->near_count; i++) /* the others have a pass of their own */
    if (partial_rows(x, c->near_partials[i].partial) > MANY_PARTIAL) b->undated_max = max2(b->undated_max, c->near_partials[i].weight);
  b->any_given = g1 <= 1;
  b->bare = q->name.length[SLOT_S1] ? W.FAMILY_MISS : 0;
  b->crossed_miss = q->name.length[SLOT_S1] ? W.GIVEN_MISS : 0;
  b->bare_cross = g1 ? W.FAMILY_MISS : 0;
  b->bare_names = max2(b->bare + b->given_max + b->middle_max, b->bare_cross + b->swapped_max);
  b->cross_shift = b->swapped_max - b->given_max - b->middle_max;
  int family = max2(c->best_family[SLOT_S1] + c->best_family[SLOT_S2], c->best_family[SLOT_SJ]);
  int cross = max2(c->best_family[SLOT_G1], c->best_family[SLOT_GJ]);
  b->names_max = b->bare_names;
  if (family) b->names_max = max2(b->names_max, min2(W.FAMILY_MAX, family) + b->given_max + b->middle_max);
  if (cross) b->names_max = max2(b->names_max, cross + b->swapped_max);
  if (x->fam[1].from > x->fam[0].from) b->names_max = max2(b->names_max, max2(b->given_max + b->middle_max, b->swapped_max)); /* no family name */
}

/* The most a row of this family could score, but for its date. */
static inline int family_bound(const Bounds *b, int family, int cross) {
  return max2(family + b->given_max + b->middle_max, cross + b->swapped_max) + b->more_max;
}

/* A row that the sieve let through, or all of its day, with that day's weight. */
static inline void consider(const Image *x, Context *c, const Query *q, const Bounds *b, u32 r, int date) {
  int cross, family = family_score(x, c, q, x->row_f[r], &cross);
  if (family_bound(b, family, cross) + date >= b->threshold) score_row(x, c, q, b, r, family, cross, date, 0);
}

enum { WAITING = 512, PICKED_AT_ONCE = 128 };
typedef struct {
  u32 count, row[WAITING];
  short date[WAITING];
} Waiting;

/* In three rounds, so that what is far away in memory comes for many rows at a time. */
static void consider_all(const Image *x, Context *c, const Query *q, const Bounds *b, Waiting *w) {
  for (u32 i = 0; i < w->count; i++) PREFETCH(&x->row_f[w->row[i]]);
  for (u32 i = 0; i < w->count; i++) {
    u32 f = x->row_f[w->row[i]];
    if (f >= x->tokens) PREFETCH(&x->multi[f - x->tokens]);
  }
  for (u32 i = 0; i < w->count; i++) consider(x, c, q, b, w->row[i], w->date[i]);
  w->count = 0;
}

/* What a surname must say, at the least, of a row with such a date; a sieve says no more than SIEVE_MOST. */
static int sieve_need(const Bounds *b, int date) {
  return min2(SIEVE_MOST, max2(1, b->threshold - date - b->more_max - b->given_max - b->middle_max));
}

/* The rows of one day whose surnames pass the sieve; it looks at every row, so what counts is how few instructions. */
static void pick(const Image *x, Context *c, const Query *q, const Bounds *b, Waiting *w, u32 r, u32 end, const MultiKey *multi, int date) {
  const u16 *key = x->row_key;
  int need = sieve_need(b, date);
  while (r < end) {
    if (w->count + PICKED_AT_ONCE > WAITING) consider_all(x, c, q, b, w);
    u32 stop = end - r > PICKED_AT_ONCE ? r + PICKED_AT_ONCE : end, n = w->count, *row = w->row;
    if (multi) {
      for (; r < stop; r++, multi++) {
        row[n] = r;
        n += (in_family(c, key[r]) + in_family(c, multi->second) >= need) | (in_family(c, multi->joined) >= need);
      }
    } else {
      for (; r + 4 <= stop; r += 4)
        if ((in_family(c, key[r]) | in_family(c, key[r + 1]) | in_family(c, key[r + 2]) | in_family(c, key[r + 3])) >= need)
          for (u32 k = r; k < r + 4; k++) {
            row[n] = k;
            n += in_family(c, key[k]) >= need;
          }
      for (; r < stop; r++) {
        row[n] = r;
        n += in_family(c, key[r]) >= need;
      }
    }
    for (; w->count < n; w->count++) w->date[w->count] = (short)date;
  }
}

/* Whether a row with such a date may reach the threshold by its given names alone; then all of the day's rows are looked at. */
static int given_may_do(const Bounds *b, int date) { return b->bare_names + date + b->more_max >= b->threshold; }
static int any_may_do(const Bounds *b, int date) { return b->any_given || b->bare + W.GIVEN_MISS + date + b->more_max >= b->threshold; }

static void pass_dates(const Image *x, Context *c, const Query *q, const Bounds *b, Waiting *w) {
  for (int i = 0; i < c->day_count; i++) {
    const DayStart *day = &x->day[c->days[i].bucket];
    for (u32 r = day[0].row & ~31u; r < day[1].row; r += 32) PREFETCH(&x->row_key[r]);
    PREFETCH(&x->multi_key[day->multi]);
  }
  for (int i = 0; i < c->day_count; i++) {
    const DayStart *day = &x->day[c->days[i].bucket];
    int date = c->days[i].weight;
    u32 end = day[1].row, multis = day[1].multi - day[0].multi;
    c->rows_seen += end - day->row;
    if (!given_may_do(b, date)) {
      pick(x, c, q, b, w, day->row, end - multis, NULL, date);
      pick(x, c, q, b, w, end - multis, end, &x->multi_key[day->multi], date);
      continue;
    }
    int all = any_may_do(b, date);
    for (u32 r = day->row; r < end; r++) {
      const RowRest *rest = &x->row_rest[r];
      u32 k = r - (end - multis) + day->multi;
      if (all || bit(c->given_sieve, fold16(rest->given)) || bit(c->given_sieve, fold16(MIDDLE_OF(rest->middle_less))) || in_family(c, x->row_key[r]) ||
          (r >= end - multis && (in_family(c, x->multi_key[k].second) || in_family(c, x->multi_key[k].joined))))
        consider(x, c, q, b, r, date);
    }
  }
}

/* The rows whose date is known in part, where that part speaks for the date shown: as if they were one more day. */
static void pass_partials(const Image *x, Context *c, const Query *q, const Bounds *b, Waiting *w) {
  for (int i = 0; i < c->near_count; i++) {
    NearPartial near = c->near_partials[i];
    if (partial_rows(x, near.partial) > MANY_PARTIAL || b->names_max + near.weight + b->more_max < b->threshold) continue;
    int by_given = given_may_do(b, near.weight), all = by_given && any_may_do(b, near.weight), need = sieve_need(b, near.weight);
    c->rows_seen += partial_rows(x, near.partial);
    for (u32 k = x->partial_off[near.partial]; k < x->partial_off[near.partial + 1]; k++) {
      const PartialRow *p = &x->partial_row[k];
      int wanted = in_family(c, p->first) + in_family(c, p->second) >= need || in_family(c, p->joined) >= need;
      if (by_given && !wanted)
        wanted = all || bit(c->given_sieve, p->given & 0xffff) || bit(c->given_sieve, p->given >> 16) || in_family(c, p->first) ||
                 in_family(c, p->second) || in_family(c, p->joined);
      if (!wanted) continue;
      if (w->count == WAITING) consider_all(x, c, q, b, w);
      w->row[w->count] = p->row;
      w->date[w->count++] = (short)near.weight;
    }
  }
}

/* Which rows of a family, or of those without an exact day, their given names let through: those that could still reach the
 * threshold if everything else went as well as it may. */
typedef struct {
  int all, by_value, need;
} GivenFilter;
static GivenFilter given_filter(const Bounds *b, int family, int cross, int date) {
  int without = family + b->more_max + date; /* a given name that does not agree brings no middle name's evidence either */
  int crossed = cross + W.NAMES_SWAPPED + b->more_max + date; /* likewise, where the family agrees with the given name shown */
  GivenFilter g = {b->any_given || without + W.GIVEN_MISS >= b->threshold || (cross > 0 && crossed + b->crossed_miss >= b->threshold), 0, 0};
  g.need = b->threshold - without - b->middle_max + 1;
  /* The values know of given names in the family's place, as long as the family itself says no more read so. */
  g.by_value = g.need > 1 && (cross <= family || cross + b->swapped_max + b->more_max + date < b->threshold);
  return g;
}
static inline int lets_through(const Context *c, const GivenFilter *g, u32 given) {
  if (g->all) return 1;
  if (!(bit(c->given_sieve, given & 0xffff) | bit(c->given_sieve, given >> 16))) return 0;
  return !g->by_value || c->given_value[given & 0xffff] >= g->need || c->given_value[given >> 16] + W.GIVEN_IS_MIDDLE >= g->need;
}

/* All rows of one family that were not near the date. */
static void scan_family(const Image *x, Context *c, const Query *q, const Bounds *b, const Scan *s) {
  int bound = family_bound(b, s->score, s->cross);
  if (bound + b->miss >= b->threshold) {
    GivenFilter g = given_filter(b, s->score, s->cross, b->miss);
    c->rows_seen += s->to - s->from;
    for (u32 i = s->from; i < s->to; i++) {
      if (!lets_through(c, &g, i == s->from ? x->fam[s->family].given : x->fam_given[i])) continue;
      u32 r = x->fam_row[i], before = c->hit_count;
      score_row(x, c, q, b, r, s->score, s->cross, b->miss, 0);
      /* Near the date after all? Then pass A has it, with its date's own weight. */
      if (c->hit_count > before && c->day_count && dated_weight(x, c, b, r) != b->miss) c->hit_count = before;
    }
  }
  if (s->undated_from == s->undated_to) return;
  GivenFilter g = given_filter(b, s->score, s->cross, b->undated_max);
  for (u32 i = s->undated_from; i < s->undated_to; i++)
    if (lets_through(c, &g, x->undated_given[i])) {
      u32 r = x->undated + i;
      score_row(x, c, q, b, r, s->score, s->cross, undated_weight(x, q, r), 0);
    }
}

static int has_undated(const Image *x, u32 f) { return (int)(x->undated_of[f >> 6].has >> (f & 63) & 1); }

static void want_family(const Image *x, Context *c, u32 f) {
  if (c->scan_count == c->scan_room) {
    u32 room = c->scan_room ? c->scan_room * 2 : 256;
    Scan *more = realloc(c->scans, room * sizeof *more);
    if (!more) {
      c->no_memory = 1;
      return;
    }
    c->scans = more;
    c->scan_room = room;
  }
  c->scans[c->scan_count++].family = f;
  PREFETCH(&x->fam[f]);
  PREFETCH(&x->undated_of[f >> 6]);
  if (f >= x->tokens) PREFETCH(&x->multi[f - x->tokens]);
}

/* The wanted families' rows, where the family's exact score leaves any within reach: found for all before any is read. */
static void scan_families(const Image *x, Context *c, const Query *q, const Bounds *b) {
  u32 kept = 0;
  for (u32 i = 0; i < c->scan_count; i++) {
    u32 f = c->scans[i].family;
    int cross, score = family_score(x, c, q, f, &cross), bound = family_bound(b, score, cross);
    if (bound + max2(b->miss, b->undated_max) < b->threshold) continue;
    Scan s = {.family = f, .from = x->fam[f].from, .to = x->fam[f + 1].from, .score = (short)score, .cross = (short)cross};
    const UndatedOf *of = &x->undated_of[f >> 6];
    if (of->has >> (f & 63) & 1) {
      const u32 *off = x->undated_off + of->before + count_bits(of->has & ((1ULL << (f & 63)) - 1));
      s.undated_from = off[0];
      s.undated_to = off[1];
      s.to -= off[1] - off[0]; /* they stand last */
      PREFETCH(&x->undated_given[s.undated_from]);
    } else if (bound + b->miss < b->threshold) {
      continue;
    }
    if (bound + b->miss >= b->threshold && s.to - s.from > 1) PREFETCH(&x->fam_given[s.from]);
    c->scans[kept++] = s;
  }
  for (u32 i = 0; i < kept; i++) scan_family(x, c, q, b, &c->scans[i]);
  c->scan_count = 0;
}

/* Every dated row, whatever its family; with `filter` only those with a given name that may agree. */
static void scan_dated(const Image *x, Context *c, const Query *q, const Bounds *b, int filter) {
  c->rows_seen += x->undated;
  for (u32 r = 0; r < x->undated; r++) {
    if (filter && !bit(c->given_sieve, fold16(x->row_rest[r].given)) && !bit(c->given_sieve, fold16(MIDDLE_OF(x->row_rest[r].middle_less)))) continue;
    int cross, family = family_score(x, c, q, x->row_f[r], &cross);
    score_row(x, c, q, b, r, family, cross, dated_weight(x, c, b, r), 0);
  }
}

/* Every undated row whose family says nothing and whose given names could make up for it; those their family speaks for are
 * found by family. */
static void scan_undated(const Image *x, Context *c, const Query *q, const Bounds *b) {
  GivenFilter g = given_filter(b, b->bare, b->bare_cross, b->undated_max);
  u64 buckets[BY_GIVEN_BUCKETS / 64];
  memset(buckets, g.all ? 0xff : 0, sizeof buckets);
  for (u32 w = 0; w < 1024 && !g.all; w++)
    for (u64 left = c->given_sieve[w]; left; left = drop_bit(left)) {
      u32 key = w * 64 + (u32)count_bits((left & -left) - 1), bucket = given_bucket(key);
      if (!g.by_value || c->given_value[key] >= g.need || c->given_value[key] + W.GIVEN_IS_MIDDLE >= g.need) buckets[bucket >> 6] |= 1ULL << (bucket & 63);
    }
  for (u32 bucket = 0; bucket < BY_GIVEN_BUCKETS; bucket++) {
    if (!bit(buckets, bucket)) continue;
    for (u32 k = x->by_given_off[bucket]; k < x->by_given_off[bucket + 1]; k++) {
      u32 i = x->by_given[k], r = x->undated + i;
      if (!lets_through(c, &g, x->undated_given[i])) continue;
      int cross, score = family_score(x, c, q, x->row_f[r], &cross);
      score_row(x, c, q, b, r, score, cross, undated_weight(x, q, r), 0); /* perhaps twice: one of the hits is dropped */
    }
  }
}

static void pass_families(const Image *x, Context *c, const Query *q, const Bounds *b) {
  int date = x->undated < x->rows ? max2(b->miss, b->undated_max) : b->miss;
  if (b->names_max + b->more_max + date < b->threshold) return;
  int rest = b->given_max + b->middle_max + b->more_max;
  /* Rows whose family says nothing at all: only where the bound does not rule them out. */
  int filter = !b->any_given && b->bare + W.GIVEN_MISS + b->more_max + date < b->threshold;
  if (b->bare_names + b->more_max + b->miss >= b->threshold) scan_dated(x, c, q, b, filter);
  if (b->bare_names + b->more_max + date >= b->threshold) scan_undated(x, c, q, b);
  want_family(x, c, 0); /* rows without a family name */
  u32 kept = 0;
  Reach *reaching = c->reaching;
  int no_dated = b->names_max + b->more_max + b->miss < b->threshold;
  for (u32 i = 0; i < c->touched_count; i++) {
    u32 t = c->marks[c->touched[i]].token, l = c->marks[c->touched[i]].levels;
    if (no_dated && !bit(x->undated_token, t)) continue;
    int s1 = AS_FAMILY(SLOT_S1, l), s2 = AS_FAMILY(SLOT_S2, l), sj = AS_FAMILY(SLOT_SJ, l), cross = max2(AS_FAMILY(SLOT_G1, l), AS_FAMILY(SLOT_GJ, l));
    int own = max2(s1 ? s1 + c->best_family[SLOT_S2] : 0, max2(s2 ? s2 + c->best_family[SLOT_S1] : 0, sj));
    int bound = own ? min2(W.FAMILY_MAX, own) + rest : -1000;
    if (cross) bound = max2(bound, cross + b->swapped_max + b->more_max);
    if (bound + date < b->threshold) continue;
    int undated_only = bound + b->miss < b->threshold;
    if (undated_only && !bit(x->undated_token, t)) continue;
    /* Of double surnames with t, those whose other half was not shown too may be out of reach together. */
    int alone = max2(max2(s1, s2) ? max2(s1, s2) + (q->name.length[SLOT_S2] ? W.SECOND_SURNAME_DIFFERS : W.SECOND_SURNAME_MISSING) : 0, 0);
    int reach = alone + rest;
    if (cross) reach = max2(reach, cross + b->swapped_max + b->more_max);
    reaching[kept++] = (Reach){t, undated_only, reach + date < b->threshold};
    PREFETCH(&x->multi_off[t]);
    if (!undated_only || has_undated(x, t)) want_family(x, c, t);
  }
  for (u32 i = 0; i < kept; i++) PREFETCH(&x->multi_of[x->multi_off[reaching[i].token]]);
  for (u32 i = 0; i < kept; i++) {
    u32 t = reaching[i].token;
    for (u32 k = x->multi_off[t]; k < x->multi_off[t + 1]; k++) {
      MultiOf of = x->multi_of[k];
      if (reaching[i].paired && of.other && !in_family(c, fold16(of.other))) continue;
      if (!reaching[i].undated_only || has_undated(x, x->tokens + of.multi)) want_family(x, c, x->tokens + of.multi); /* perhaps twice */
    }
  }
  scan_families(x, c, q, b);
}

static void pass_documents(const Image *x, Context *c, const Query *q, const Bounds *b) {
  for (int i = 0; i < q->id_count; i++) {
    u32 lo = 0, hi = x->head->id_hashes;
    while (lo < hi) {
      u32 mid = lo + (hi - lo) / 2;
      if (x->id_hash[mid].hash < q->ids[i]) lo = mid + 1;
      else hi = mid;
    }
    for (; lo < x->head->id_hashes && x->id_hash[lo].hash == q->ids[i]; lo++) {
      u32 r = x->id_hash[lo].row;
      near_days(x, c, q->year, q->month, q->day, DAY_KINDS); /* whatever else is out of reach with that date */
      int cross, family = family_score(x, c, q, x->row_f[r], &cross);
      int date = r >= x->undated ? undated_weight(x, q, r) : dated_weight(x, c, b, r);
      score_row(x, c, q, b, r, family, cross, date, W.ID_AGREES);
    }
  }
}

static int by_entry(const void *a, const void *b) {
  const Hit *p = a, *q = b;
  if (p->entry != q->entry) return p->entry < q->entry ? -1 : 1;
  if (p->total != q->total) return p->total > q->total ? -1 : 1;
  return p->row < q->row ? -1 : p->row > q->row;
}
static int by_total(const void *a, const void *b) {
  const Hit *p = a, *q = b;
  if (p->total != q->total) return p->total > q->total ? -1 : 1;
  return p->entry < q->entry ? -1 : p->entry > q->entry;
}

/* Every row that may reach the threshold, by one pass or another. */
static int answer(const Image *x, Context *c, const Query *q, const Bounds *b, int mode) {
  if (spread_words(c, b)) return -1;
  /* A row without a family name, or without a given name, is always worth a look. */
  c->family_sieve[0] = (u8)max2(c->family_sieve[0], min2(SIEVE_MOST, max2(1, b->cross_shift)));
  mark_given(c, 0, 0);
  u32 initial = q->name.length[SLOT_G1] ? x->single[q->name.text[SLOT_G1][0] - 'A'] : 0;
  if (initial) mark_given(c, initial, x->head->given_initial[q->name.text[SLOT_G1][0] - 'A']);
  if (mode == MODE_EXHAUSTIVE) {
    scan_dated(x, c, q, b, 0);
    for (u32 r = x->undated; r < x->rows; r++) {
      int cross, family = family_score(x, c, q, x->row_f[r], &cross);
      score_row(x, c, q, b, r, family, cross, undated_weight(x, q, r), 0);
    }
  } else {
    Waiting w;
    w.count = 0;
    pass_dates(x, c, q, b, &w);
    pass_partials(x, c, q, b, &w);
    consider_all(x, c, q, b, &w);
    pass_families(x, c, q, b);
  }
  pass_documents(x, c, q, b);
  unmark_given(c, initial);
  unmark_given(c, 0);
  c->family_sieve[0] = 0;
  wipe(c);
  return 0;
}

int query_run(const Image *x, Context *c, const Query *q, int threshold, int mode) {
  Bounds b = {.threshold = threshold};
  c->hit_count = 0;
  c->no_memory = 0;
  int failed = find_words(x, c, q, mode), kinds = 0;
  if (!failed) {
    near_partials(x, c, q);
    set_bounds(x, c, q, &b);
    /* A row's names say so much at the most: which slips of the birth date could still make up for the rest? */
    for (int kind = 0; kind < DAY_KINDS && q->year; kind++)
      if (mode == MODE_EXHAUSTIVE || b.names_max + b.more_max + day_weight(x, c, kind, 1) >= threshold) kinds = kind + 1;
    near_days(x, c, q->year, q->month, q->day, kinds);
    int date = max2(b.miss, c->partials_most); /* the most that any row's date says */
    if (x->undated < x->rows) date = max2(date, 0);
    for (int i = 0; i < c->day_count; i++) date = max2(date, c->days[i].weight);
    int hopeless = b.names_max + b.more_max + date < threshold;
    if (mode == MODE_EXHAUSTIVE || q->id_count || !hopeless) failed = answer(x, c, q, &b, mode);
    if (mode == MODE_INDEXED) remember_words(c, q);
  }
  if (failed || c->no_memory) return -1;
  if (c->hit_count > 1) {
    qsort(c->hits, c->hit_count, sizeof(Hit), by_entry);
    u32 kept = 1;
    for (u32 i = 1; i < c->hit_count; i++)
      if (c->hits[i].entry != c->hits[kept - 1].entry) c->hits[kept++] = c->hits[i];
    c->hit_count = kept;
    qsort(c->hits, kept, sizeof(Hit), by_total);
  }
  return 0;
}
