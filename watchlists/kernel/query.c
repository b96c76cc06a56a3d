/* One question: the visitor's tokens against the dictionary, then rows by birth date (pass A), by family (pass B) and by
 * identity document (pass C); every row that could reach the threshold is scored, and reference._score is what scores it. */
#include "query.h"

static inline int count_bits(u64 v) {
  int n = 0;
  for (; v; v &= v - 1) n++;
  return n;
}

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
  if (q->year)
    for (u32 i = 1; i < x->head->partials; i++) b->undated_max = max2(b->undated_max, partial_weight(&x->partial[i], q));
  b->any_given = g1 <= 1;
  b->bare = q->name.length[SLOT_S1] ? W.FAMILY_MISS : 0;
  b->crossed_miss = q->name.length[SLOT_S1] ? W.GIVEN_MISS : 0;
  b->bare_cross = g1 ? W.FAMILY_MISS : 0;
  b->bare_names = max2(b->bare + b->given_max + b->middle_max, b->bare_cross + b->swapped_max);
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

/* The rows of one day whose surnames pass the sieve; it looks at every row, so what counts is how few instructions. */
static void pick(const Image *x, Context *c, const Query *q, const Bounds *b, Waiting *w, u32 r, u32 end, const MultiKey *multi, int date) {
  const u8 *sieve = c->family_sieve;
  const u16 *key = x->row_key;
#define SIFT(k) sieve[(k) >> (16 - SIEVE_BITS)]
  while (r < end) {
    if (w->count + PICKED_AT_ONCE > WAITING) consider_all(x, c, q, b, w);
    u32 stop = end - r > PICKED_AT_ONCE ? r + PICKED_AT_ONCE : end, n = w->count, *row = w->row;
    if (multi) {
      for (; r < stop; r++, multi++) {
        row[n] = r;
        n += SIFT(key[r]) | SIFT(multi->second) | SIFT(multi->joined);
      }
    } else {
      for (; r + 4 <= stop; r += 4)
        if (SIFT(key[r]) | SIFT(key[r + 1]) | SIFT(key[r + 2]) | SIFT(key[r + 3]))
          for (u32 k = r; k < r + 4; k++) {
            row[n] = k;
            n += SIFT(key[k]);
          }
      for (; r < stop; r++) {
        row[n] = r;
        n += SIFT(key[r]);
      }
    }
    for (; w->count < n; w->count++) w->date[w->count] = (short)date;
  }
}

static void pass_dates(const Image *x, Context *c, const Query *q, const Bounds *b) {
  Waiting w;
  w.count = 0;
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
    if (b->bare_names + date + b->more_max < b->threshold) { /* a row whose family says nothing is out of reach */
      pick(x, c, q, b, &w, day->row, end - multis, NULL, date);
      pick(x, c, q, b, &w, end - multis, end, &x->multi_key[day->multi], date);
      continue;
    }
    int all = b->any_given || b->bare + W.GIVEN_MISS + date + b->more_max >= b->threshold;
    for (u32 r = day->row; r < end; r++) {
      const RowRest *rest = &x->row_rest[r];
      u32 k = r - (end - multis) + day->multi;
      if (all || bit(c->given_sieve, fold16(rest->given)) || bit(c->given_sieve, fold16(rest->middle)) || in_family(c, x->row_key[r]) ||
          (r >= end - multis && (in_family(c, x->multi_key[k].second) || in_family(c, x->multi_key[k].joined))))
        consider(x, c, q, b, r, date);
    }
  }
  consider_all(x, c, q, b, &w);
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
    if (filter && !bit(c->given_sieve, fold16(x->row_rest[r].given)) && !bit(c->given_sieve, fold16(x->row_rest[r].middle))) continue;
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
  int date = max2(b->miss, b->undated_max);
  int rest = b->given_max + b->middle_max + b->more_max;
  /* Rows whose family says nothing at all: only where the bound does not rule them out. */
  int filter = !b->any_given && b->bare + W.GIVEN_MISS + b->more_max + date < b->threshold;
  if (b->bare_names + b->more_max + b->miss >= b->threshold) scan_dated(x, c, q, b, filter);
  if (b->bare_names + b->more_max + date >= b->threshold) scan_undated(x, c, q, b);
  want_family(x, c, 0); /* rows without a family name */
  u32 kept = 0;
  Reach *reaching = c->reaching;
  for (u32 i = 0; i < c->touched_count; i++) {
    u32 t = c->marks[c->touched[i]].token, l = c->marks[c->touched[i]].levels;
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

int query_run(const Image *x, Context *c, const Query *q, int threshold, int mode) {
  c->hit_count = 0;
  c->no_memory = 0;
  int failed = touch_words(x, c, q, mode);
  if (!failed) {
    Bounds b = {.threshold = threshold};
    near_days(x, c, q->year, q->month, q->day);
    set_bounds(x, c, q, &b);
    c->beside_g1 = together(x, c, SLOT_G1);
    c->beside_gj = together(x, c, SLOT_GJ);
    c->family_sieve[0] = 1; /* a row without a family name, or without a given name, is always worth a look */
    mark_given(c, 0, 0);
    u32 initial = q->name.length[SLOT_G1] ? x->single[q->name.text[SLOT_G1][0] - 'A'] : 0;
    if (initial) mark_given(c, initial, x->head->given_initial[q->name.text[SLOT_G1][0] - 'A']);
    if (mode == MODE_EXHAUSTIVE) {
      scan_dated(x, c, q, &b, 0);
      for (u32 r = x->undated; r < x->rows; r++) {
        int cross, family = family_score(x, c, q, x->row_f[r], &cross);
        score_row(x, c, q, &b, r, family, cross, undated_weight(x, q, r), 0);
      }
    } else {
      pass_dates(x, c, q, &b);
      pass_families(x, c, q, &b);
    }
    pass_documents(x, c, q, &b);
    unmark_given(c, initial);
    unmark_given(c, 0);
    c->family_sieve[0] = 0;
  }
  wipe(c);
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
