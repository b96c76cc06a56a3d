/* One question: the visitor's tokens against the dictionary, then rows by birth date (pass A), by family (pass B) and by
 * identity document (pass C); every row that could reach the threshold is scored, and reference._score is what scores it. */
#include <math.h>
#include <stdlib.h>

#include "kernel.h"

Score W;

static inline int max2(int a, int b) { return a > b ? a : b; }
static inline int min2(int a, int b) { return a < b ? a : b; }
static inline int bit(const u64 *map, u32 t) { return (int)(map[t >> 6] >> (t & 63) & 1); }
static inline u32 fold16(u32 t) { return (t ^ t >> 16) & 0xffff; }

int eighths(double m, double u) { return (int)floor(W.UNIT * log2(m / u)); }

Context *context_new(const Image *x) {
  Context *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  size_t words = x->tokens / 64 + 1, multis = x->head->families - x->tokens + 1;
  c->memo_bits = 12;
  while (c->memo_bits < 18 && (1u << c->memo_bits) < x->tokens) c->memo_bits++;
  c->memo_limit = (1u << c->memo_bits) / 4 * 3;
  c->pool_room = (1u << c->memo_bits) * 32; /* 32 MB at most */
  c->levels = calloc(x->tokens + 1, 8);
  c->in_family = calloc(words, 8);
  c->in_given = calloc(words, 8);
  c->stamp = calloc(x->tokens + 1, 4);
  c->family_stamp = calloc(multis, 4);
  c->memo = calloc((size_t)1 << c->memo_bits, sizeof(Memo));
  c->pool = malloc((size_t)c->pool_room * 4);
  if (!c->levels || !c->in_family || !c->in_given || !c->stamp || !c->family_stamp || !c->memo || !c->pool) {
    context_free(c);
    return NULL;
  }
  return c;
}

void context_free(Context *c) {
  if (!c) return;
  void *all[] = {c->levels, c->in_family, c->in_given, c->touched, c->stamp, c->family_stamp, c->found.at, c->seen, c->memo, c->pool, c->hits};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
  free(c);
}

void context_forget(Context *c) {
  memset(c->memo, 0, ((size_t)1 << c->memo_bits) * sizeof(Memo));
  c->memo_used = c->pool_used = 0;
}

/* score.token_weights */
static void token_weights(const double *table, const u64 *counts, double rows, double unseen, int own, u8 *out) {
  double chance = unseen;
  memset(out, 0, LEVELS);
  for (int l = 1; l < RARE_EDIT1_ALIKE; l++)
    if (table[l] > 0) chance += table[l] * (double)counts[l] / rows;
  for (int l = 1; l < RARE_EDIT1_ALIKE; l++)
    if (table[l] > 0) out[l] = (u8)max2(1, min2(W.TOKEN_MAX, eighths(table[l], chance)));
  for (int l = EDIT1_ALIKE; l <= EDIT2; l++) {
    out[l + RARE_SHIFT] = out[l];
    if (own && out[l]) out[l + RARE_SHIFT] = (u8)max2(out[l], min2(W.TOKEN_MAX, eighths(W.registered_wrong[l], W.RARE_COUNT / rows + unseen)));
  }
}

/* Weigh the tokens just found, and keep those that can say anything. */
static void weigh(const Image *x, Context *c, int given, Memo *m) {
  u64 as_family[LEVELS] = {0}, as_given[LEVELS] = {0};
  for (u32 i = 0; i < c->found.count; i++) {
    u32 t = c->found.at[i] & TOKEN_BITS, level = c->found.at[i] >> 28;
    as_family[level] += x->count_s[t];
    as_given[level] += x->count_g[t];
    if (level >= EDIT1_ALIKE && level <= EDIT2 && (given ? x->count_g : x->count_s)[t] <= (u32)W.RARE_COUNT)
      c->found.at[i] += (u32)RARE_SHIFT << 28;
  }
  m->bearers = (u32)(as_given[EXACT] + as_given[VARIANT] + as_given[NICKNAME] + as_given[EDIT1_ALIKE]);
  double rows = (double)x->rows + W.BACKGROUND_ROWS;
  token_weights(given ? W.family_swapped : W.family, as_family, rows, x->head->unseen_family, !given, m->family);
  token_weights(given ? W.given : W.given_swapped, as_given, rows, x->head->unseen_given, given, m->given);
  u32 kept = 0;
  for (u32 i = 0; i < c->found.count; i++) {
    u32 t = c->found.at[i] & TOKEN_BITS, level = c->found.at[i] >> 28;
    u32 family = m->family[level] && x->count_s[t] ? SAYS_FAMILY : 0, forename = m->given[level] && x->count_g[t] ? SAYS_GIVEN : 0;
    if (family | forename) c->found.at[kept++] = t | family | forename | level << 28;
  }
  m->count = c->found.count = kept;
}

/* Fill one slot: from the memo where this token was met before, else from the dictionary. */
static int fill_slot(const Image *x, Context *c, const Query *q, int slot, int mode) {
  const char *word = q->name.text[slot];
  int length = q->name.length[slot], given = slot >= SLOT_G1, light = slot == SLOT_G2;
  memset(c->family[slot], 0, LEVELS);
  memset(c->given[slot], 0, LEVELS);
  c->best_family[slot] = c->best_given[slot] = 0;
  c->bearers[slot] = 0;
  if (slot == SLOT_S1) c->surname = 0;
  if (!length) return 0;
  int cut_min = given ? W.CUT_GIVEN_MIN : W.CUT_FAMILY_MIN;
  if (given ? q->given_cut : q->family_cut) cut_min = W.CUT_FLAGGED_MIN;
  Memo fresh = {0}, *m = &fresh;
  const u32 *list = NULL;
  if (mode == MODE_INDEXED) {
    u64 key = mix(hash_word(word, length) + (u64)(given + 2 * light) * 0x9e3779b97f4a7c15ULL + (u64)cut_min) | 1;
    u32 mask = (1u << c->memo_bits) - 1, h = (u32)(key >> (64 - c->memo_bits));
    while (c->memo[h].key && c->memo[h].key != key) h = (h + 1) & mask;
    if (c->memo[h].key) {
      m = &c->memo[h];
      list = c->pool + m->off;
    } else {
      if (neighbours(x, c, word, length, given, cut_min, light, &c->found)) return -1;
      weigh(x, c, given, &fresh);
      if (c->found.count <= c->pool_room / 16) {
        if (c->memo_used >= c->memo_limit || c->pool_used + c->found.count > c->pool_room) {
          context_forget(c);
          h = (u32)(key >> (64 - c->memo_bits));
        }
        fresh.key = key;
        fresh.off = c->pool_used;
        if (c->found.count) memcpy(c->pool + c->pool_used, c->found.at, c->found.count * sizeof(u32));
        c->pool_used += c->found.count;
        c->memo[h] = fresh;
        c->memo_used++;
      }
      list = c->found.at;
    }
  } else {
    if (mode == MODE_COLD ? neighbours(x, c, word, length, given, cut_min, light, &c->found)
                          : neighbours_all(x, c, word, length, given, cut_min, light, &c->found)) return -1;
    weigh(x, c, given, &fresh);
    list = c->found.at;
  }
  memcpy(c->family[slot], m->family, LEVELS);
  memcpy(c->given[slot], m->given, LEVELS);
  c->bearers[slot] = m->bearers;
  if (c->touched_count + m->count > c->touched_room) {
    u32 room = (c->touched_count + m->count) * 2;
    u32 *more = realloc(c->touched, room * sizeof *more);
    if (!more) return -1;
    c->touched = more;
    c->touched_room = room;
  }
  for (u32 i = 0; i < m->count; i++) {
    u32 t = list[i] & TOKEN_BITS, level = list[i] >> 28;
    if (i + 8 < m->count) PREFETCH(&c->levels[list[i + 8] & TOKEN_BITS]);
    if (!c->levels[t]) c->touched[c->touched_count++] = t;
    c->levels[t] |= (u64)level << 8 * slot;
    if (slot == SLOT_S1 && level <= VARIANT) {
      u32 mine = x->fam_off[t + 1] - x->fam_off[t], most = x->fam_off[c->surname + 1] - x->fam_off[c->surname];
      if (!c->surname || mine > most || (mine == most && t < c->surname)) c->surname = t;
    }
    if (list[i] & SAYS_FAMILY && (!given || slot == SLOT_G1)) {
      c->in_family[t >> 6] |= 1ULL << (t & 63);
      c->best_family[slot] = max2(c->best_family[slot], m->family[level]);
    }
    if (list[i] & SAYS_GIVEN && slot != SLOT_S2) {
      u32 f = fold16(t);
      c->in_given[t >> 6] |= 1ULL << (t & 63);
      c->hashed_given[f >> 6] |= 1ULL << (f & 63);
      c->best_given[slot] = max2(c->best_given[slot], m->given[level]);
      int value = m->given[level] + 1 + (slot == SLOT_G2 ? W.GIVEN_IS_MIDDLE : 0);
      if (given && value > c->hashed_value[f]) c->hashed_value[f] = (u8)value;
    }
  }
  return 0;
}

static void forget_given(Context *c, u32 t) {
  u32 f = fold16(t);
  c->in_given[t >> 6] = 0;
  c->hashed_given[f >> 6] = 0;
  c->hashed_value[f] = 0;
}
static void mark_given(Context *c, u32 t, int value) {
  u32 f = fold16(t);
  if (value + 1 > c->hashed_value[f]) c->hashed_value[f] = (u8)(value + 1);
  c->in_given[t >> 6] |= 1ULL << (t & 63);
  c->hashed_given[f >> 6] |= 1ULL << (f & 63);
}

#define LEVEL(slot, levels) ((levels) >> 8 * (slot) & 15)

/* How many of the family's rows, at most `room`, bear the given name of the slot. */
static u32 bearers_in(const Image *x, const Context *c, u32 f, int slot, u32 *room) {
  u32 lo = x->fam_off[f], n = x->fam_off[f + 1] - lo, seen = 0;
  if (n > *room) n = *room;
  *room -= n;
  for (u32 i = lo; i < lo + n; i++) {
    if (!bit(c->hashed_given, x->fam_given[i] & 0xffff)) continue;
    u32 level = (u32)LEVEL(slot, c->levels[x->row_rest[x->fam_row[i]].given]);
    seen += (level >= EXACT && level <= EDIT1_ALIKE) || level == RARE_EDIT1_ALIKE;
  }
  return seen;
}

/* score.together, for the given name in this slot beside the surname shown: alone, then with its particles. */
static int together(const Image *x, const Context *c, int slot) {
  u32 s = c->surname, room = (u32)W.TOGETHER_ROWS;
  if (!s || !c->bearers[slot]) return 0;
  u32 seen = bearers_in(x, c, s, slot, &room);
  for (u32 k = x->multi_off[s]; k < x->multi_off[s + 1] && room; k++) {
    MultiOf of = x->multi_of[k];
    if (!of.other && x->multi[of.multi].first == s) seen += bearers_in(x, c, x->tokens + of.multi, slot, &room);
  }
  u32 looked_at = (u32)W.TOGETHER_ROWS - room;
  if (!looked_at) return 0;
  double expected = (double)looked_at * (double)c->bearers[slot] / ((double)x->rows + W.BACKGROUND_ROWS);
  return -min2(W.TOGETHER_MAX, max2(0, eighths((seen + W.TOGETHER_PRIOR) / (expected + W.TOGETHER_PRIOR), 1.0)));
}

#define AS_FAMILY(slot, levels) ((int)c->family[slot][(levels) >> 8 * (slot) & 15])
#define AS_GIVEN(slot, levels) ((int)c->given[slot][(levels) >> 8 * (slot) & 15])

/* What a query's bounds and fixed parts are; worked out once. */
typedef struct {
  int given_max, middle_max, swapped_max, more_max, partial_max, undated_max, miss;
  int any_given; /* rows can not be told apart by their given names: none was shown, or one letter only */
  int threshold;
} Bounds;

static inline void family_of(const Image *x, u32 f, u32 *a, u32 *b, u32 *j) {
  if (f < x->tokens) *a = f, *b = *j = 0;
  else {
    const Multi *m = &x->multi[f - x->tokens];
    *a = m->first, *b = m->second, *j = m->joined;
  }
}

/* Family evidence of family f; *cross is what its surnames say when read as the given name shown (0: nothing). */
static inline int family_score(const Image *x, const Context *c, const Query *q, u32 f, int *cross) {
  u32 s1, s2, sj;
  family_of(x, f, &s1, &s2, &sj);
  u64 a = c->levels[s1], b = s2 ? c->levels[s2] : 0, j = sj ? c->levels[sj] : 0;
  int m11 = AS_FAMILY(SLOT_S1, a), m12 = AS_FAMILY(SLOT_S2, a), m21 = AS_FAMILY(SLOT_S1, b), m22 = AS_FAMILY(SLOT_S2, b);
  int best = max2(max2(m11, m12), max2(m21, m22)), q2 = q->name.length[SLOT_S2] != 0, score = 0;
  *cross = max2(AS_FAMILY(SLOT_G1, a), AS_FAMILY(SLOT_G1, b));
  if (best && q2 && s2) {
    score = best + W.SECOND_SURNAME_DIFFERS;
    if (m11 && m22) score = max2(score, m11 + m22);
    if (m12 && m21) score = max2(score, m12 + m21 + W.SURNAMES_REVERSED);
  } else if (best) {
    score = best + (q2 != (s2 != 0) ? W.SECOND_SURNAME_MISSING : 0);
  }
  int joined = max2(AS_FAMILY(SLOT_SJ, j), max2(AS_FAMILY(SLOT_S1, j), AS_FAMILY(SLOT_SJ, a)));
  if (best || joined) return min2(W.FAMILY_MAX, max2(score, joined));
  return q->name.length[SLOT_S1] && s1 ? W.FAMILY_MISS : 0;
}

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

/* Score row r with its date's weight; keep it if it reaches the threshold. `family` and `cross` are those of its family. */
static void score_row(const Image *x, Context *c, const Query *q, const Bounds *b, u32 r, int family, int cross, int date, int id) {
  RowRest rest = x->row_rest[r];
  u64 g = c->levels[rest.given], m = c->levels[rest.middle];
  u32 g1 = rest.given, g2 = rest.middle;
  int q1 = q->name.length[SLOT_G1], q2 = q->name.length[SLOT_G2];
  char qg = q->name.text[SLOT_G1][0], qm = q->name.text[SLOT_G2][0];
  int given = AS_GIVEN(SLOT_G1, g), fused = AS_GIVEN(SLOT_GJ, g), middle = 0, swapped = 0;
  if (family > 0) {
    if (given) given = max2(1, given + c->beside_g1);
    if (fused) fused = max2(1, fused + c->beside_gj);
  }
  given = max2(given, fused);
  c->rows_scored++;
#define STARTS(t, letter_) (x->letter[(letter_) - 'A'] <= (t) && (t) < x->letter[(letter_) - 'A' + 1])
  if (given) {
    if (g2 && q2) {
      if (q2 == 1 || x->single[qm - 'A'] == g2 || token_length(x, g2) == 1)
        middle = STARTS(g2, qm) ? x->head->middle_initial[qm - 'A'] : W.MIDDLE_INITIAL_DIFFERS;
      else {
        middle = min2(W.MIDDLE_MAX, AS_GIVEN(SLOT_G2, m));
        if (!middle) middle = STARTS(g2, qm) ? W.MIDDLE_SAME_LETTER : W.MIDDLE_DIFFERS;
      }
    }
  } else {
    int crossed = max2(AS_GIVEN(SLOT_G2, g), AS_GIVEN(SLOT_G1, m)) + W.GIVEN_IS_MIDDLE;
    if (crossed > 0) given = crossed;
    else if (g1 && q1) {
      int initial = STARTS(g1, qg) && (q1 == 1 || x->single[qg - 'A'] == g1);
      given = initial ? x->head->given_initial[qg - 'A'] : W.GIVEN_MISS;
    }
  }
  int weak = WEAK_OF(rest.entry) ? W.WEAK_ALIAS : 0, other = max2(AS_GIVEN(SLOT_S1, g), AS_GIVEN(SLOT_SJ, g));
  family += weak;
  if (cross && other && cross + other + W.NAMES_SWAPPED + weak > family + given + middle) {
    swapped = cross + other + W.NAMES_SWAPPED + weak;
    family = given = middle = 0;
  }
  int core = family + given + middle + swapped + date + id;
  if (core + b->more_max < b->threshold) return;
  Hit h = {.part = {(short)family, (short)given, (short)middle, (short)swapped, (short)date}};
  h.total = core + describe(x, q, rest.entry, h.part);
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

/* The most a row of this family could score, but for its date. */
static inline int family_bound(const Bounds *b, int family, int cross) {
  int straight = family + b->given_max + b->middle_max;
  return (cross ? max2(straight, cross + b->swapped_max) : straight) + b->more_max;
}

static int day_of_row(const Image *x, u32 r) {
  u32 lo = 0, hi = DAYS + 1; /* the last day whose first row is not after r */
  while (hi - lo > 1) {
    u32 mid = lo + (hi - lo) / 2;
    if (x->day_off[mid] <= r) lo = mid;
    else hi = mid;
  }
  return (int)lo;
}

static int partial_weight(const PartialDate *p, const Query *q) {
  if (q->year < p->first || q->year > p->last) return W.YEAR_MISS;
  if (p->month) return p->month == q->month ? eighths(W.YEAR_M, 1.0 / (12 * W.YEAR_SPAN)) : W.YEAR_MISS / 2;
  return max2(0, eighths(W.YEAR_M, (double)(p->last - p->first + 1) / W.YEAR_SPAN));
}

static int undated_weight(const Image *x, const Query *q, u32 r) {
  u32 p = x->partial_of[r - x->undated];
  return q->year && p ? partial_weight(&x->partial[p], q) : 0;
}

/* A dated row's weight for its date, wherever it stands. */
static int dated_weight(const Image *x, const Context *c, const Bounds *b, u32 r) {
  int day = day_of_row(x, r);
  for (int i = 0; i < c->day_count; i++)
    if (c->days[i].bucket == day) return c->days[i].weight;
  return b->miss;
}

static void add_day(const Image *x, Context *c, int bucket, double chance) {
  if (bucket < 0 || x->day_off[bucket] == x->day_off[bucket + 1]) return; /* no one born that day: nothing to weigh */
  for (int i = 0; i < c->day_count; i++)
    if (c->days[i].bucket == bucket) return;
  double rows = (double)x->rows + W.BACKGROUND_ROWS, here = (double)(x->day_off[bucket + 1] - x->day_off[bucket]);
  c->days[c->day_count++] = (Day){bucket, eighths(chance, (here + W.BACKGROUND_A_DAY) / rows)};
}

/* score.dob_neighbours: the same days in the same order. */
static void near_days(const Image *x, Context *c, int y, int m, int d) {
  c->day_count = 0;
  if (!y) return;
  add_day(x, c, day_bucket(y, m, d), W.DOB_SAME);
  add_day(x, c, day_bucket(y, d, m), W.DOB_SWAPPED);
  add_day(x, c, day_bucket(y - 1, m, d), W.DOB_YEAR);
  add_day(x, c, day_bucket(y + 1, m, d), W.DOB_YEAR);
  add_day(x, c, day_bucket(y / 100 * 100 + y % 10 * 10 + y / 10 % 10, m, d), W.DOB_TRANSPOSED);
  add_day(x, c, day_bucket(y, m % 10 * 10 + m / 10, d), W.DOB_TRANSPOSED);
  add_day(x, c, day_bucket(y, m, d % 10 * 10 + d / 10), W.DOB_TRANSPOSED);
  for (int i = 0; i < 10; i++) {
    add_day(x, c, day_bucket(y - y % 10 + i, m, d), W.DOB_DIGIT);
    add_day(x, c, day_bucket(y - y / 10 % 10 * 10 + i * 10, m, d), W.DOB_DIGIT);
    add_day(x, c, day_bucket(y, m - m % 10 + i, d), W.DOB_DIGIT);
    add_day(x, c, day_bucket(y, m % 10 + i * 10, d), W.DOB_DIGIT);
    add_day(x, c, day_bucket(y, m, d - d % 10 + i), W.DOB_DIGIT);
    add_day(x, c, day_bucket(y, m, d % 10 + i * 10), W.DOB_DIGIT);
  }
}

static void set_bounds(const Image *x, const Context *c, const Query *q, Bounds *b) {
  int g1 = q->name.length[SLOT_G1], g2 = q->name.length[SLOT_G2];
  b->given_max = max2(max2(c->best_given[SLOT_G1], c->best_given[SLOT_GJ]), max2(0, c->best_given[SLOT_G2] + W.GIVEN_IS_MIDDLE));
  if (g1) b->given_max = max2(b->given_max, x->head->given_initial[q->name.text[SLOT_G1][0] - 'A']);
  b->middle_max = g2 ? max2(min2(W.MIDDLE_MAX, c->best_given[SLOT_G2]), x->head->middle_initial[q->name.text[SLOT_G2][0] - 'A']) : 0;
  b->middle_max = max2(0, b->middle_max);
  b->swapped_max = max2(c->best_given[SLOT_S1], c->best_given[SLOT_SJ]) + W.NAMES_SWAPPED;
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
}

/* What makes a row of one day worth scoring though its family says nothing. */
typedef struct {
  int date, by_given, all;
} DayRule;

static inline void consider(const Image *x, Context *c, const Query *q, const Bounds *b, const DayRule *rule, u32 r, u32 f, int hit) {
  if (!hit && !rule->all && !bit(c->in_given, x->row_rest[r].given) && !bit(c->in_given, x->row_rest[r].middle)) return;
  int cross, family = family_score(x, c, q, f, &cross);
  if (family_bound(b, family, cross) + rule->date >= b->threshold) score_row(x, c, q, b, r, family, cross, rule->date, 0);
}

static void pass_dates(const Image *x, Context *c, const Query *q, const Bounds *b) {
  enum { WAITING = 256 };
  u32 waiting[WAITING];
  for (int i = 0; i < c->day_count; i++) {
    const u32 *first = &x->row_f[x->day_off[c->days[i].bucket]];
    for (u32 k = 0, n = x->day_off[c->days[i].bucket + 1] - x->day_off[c->days[i].bucket]; k < n; k += 16) PREFETCH(first + k);
  }
  int miss = q->name.length[SLOT_S1] ? W.FAMILY_MISS : 0;
  for (int i = 0; i < c->day_count; i++) {
    int date = c->days[i].weight, bare = date + miss + b->more_max;
    DayRule rule = {date, bare + b->given_max + b->middle_max >= b->threshold, 0};
    rule.all = rule.by_given && (b->any_given || bare + W.GIVEN_MISS >= b->threshold);
    u32 r = x->day_off[c->days[i].bucket], hi = x->day_off[c->days[i].bucket + 1];
    c->rows_seen += hi - r;
    while (r < hi) { /* multiple families wait until their tokens have come from memory */
      u32 n = 0;
      for (; r < hi && n < WAITING; r++) {
        u32 f = x->row_f[r];
        if (f >= x->tokens) {
          PREFETCH(&x->multi[f - x->tokens]);
          waiting[n++] = r;
        } else if (bit(c->in_family, f) || !f || rule.by_given) { /* a row without a family name is always worth a look */
          consider(x, c, q, b, &rule, r, f, bit(c->in_family, f) || !f);
        }
      }
      for (u32 k = 0; k < n; k++) {
        u32 f = x->row_f[waiting[k]];
        const Multi *m = &x->multi[f - x->tokens];
        int hit = bit(c->in_family, m->first) | bit(c->in_family, m->second) | bit(c->in_family, m->joined);
        if (hit || rule.by_given) consider(x, c, q, b, &rule, waiting[k], f, hit);
      }
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
  GivenFilter g = {b->any_given || without + W.GIVEN_MISS >= b->threshold, !cross, 0};
  g.need = max2(0, b->threshold - without - b->middle_max) + 1;
  return g;
}
static inline int lets_through(const Context *c, const GivenFilter *g, u32 given) {
  if (g->all) return 1;
  if (g->by_value) return c->hashed_value[given & 0xffff] >= g->need || c->hashed_value[given >> 16] + W.GIVEN_IS_MIDDLE >= g->need;
  return bit(c->hashed_given, given & 0xffff) | bit(c->hashed_given, given >> 16);
}

/* All rows of one family that were not near the date. */
static void scan_family(const Image *x, Context *c, const Query *q, const Bounds *b, u32 f) {
  u32 lo = x->fam_off[f], hi = x->fam_off[f + 1];
  if (lo == hi) return;
  int cross, family = family_score(x, c, q, f, &cross), bound = family_bound(b, family, cross);
  if (bound + max2(b->miss, b->undated_max) < b->threshold) return;
  u32 dated = hi; /* the undated ones stand last */
  while (dated > lo && x->fam_row[dated - 1] >= x->undated) dated--;
  if (bound + b->miss >= b->threshold) {
    GivenFilter g = given_filter(b, family, cross, b->miss);
    c->rows_seen += dated - lo;
    for (u32 i = lo; i < dated; i++) {
      if (!lets_through(c, &g, x->fam_given[i])) continue;
      u32 r = x->fam_row[i], before = c->hit_count;
      score_row(x, c, q, b, r, family, cross, b->miss, 0);
      /* Near the date after all? Then pass A has it, with its date's own weight. */
      if (c->hit_count > before && c->day_count && dated_weight(x, c, b, r) != b->miss) c->hit_count = before;
    }
  }
  GivenFilter g = given_filter(b, family, cross, b->undated_max);
  for (u32 i = dated; i < hi; i++)
    if (lets_through(c, &g, x->fam_given[i])) {
      u32 r = x->fam_row[i];
      score_row(x, c, q, b, r, family, cross, undated_weight(x, q, r), 0);
    }
}

/* Every dated row, whatever its family; with `filter` only those with a given name that may agree. */
static void scan_dated(const Image *x, Context *c, const Query *q, const Bounds *b, int filter) {
  c->rows_seen += x->undated;
  for (u32 r = 0; r < x->undated; r++) {
    if (filter && !bit(c->in_given, x->row_rest[r].given) && !bit(c->in_given, x->row_rest[r].middle)) continue;
    int cross, family = family_score(x, c, q, x->row_f[r], &cross);
    score_row(x, c, q, b, r, family, cross, dated_weight(x, c, b, r), 0);
  }
}

/* Every undated row whose family says nothing; those it does say something of are found by family. */
static void scan_undated(const Image *x, Context *c, const Query *q, const Bounds *b, int family) {
  GivenFilter g = given_filter(b, family, 0, b->undated_max);
  for (u32 r = x->undated; r < x->rows; r++) {
    if (!lets_through(c, &g, x->undated_given[r - x->undated])) continue;
    int cross, score = family_score(x, c, q, x->row_f[r], &cross);
    score_row(x, c, q, b, r, score, cross, undated_weight(x, q, r), 0);
  }
}

static void pass_families(const Image *x, Context *c, const Query *q, const Bounds *b) {
  int date = max2(b->miss, b->undated_max);
  int rest = b->given_max + b->middle_max + b->more_max;
  /* Rows whose family says nothing at all: only where the bound does not rule them out. */
  int bare = q->name.length[SLOT_S1] ? W.FAMILY_MISS : 0;
  int filter = !b->any_given && bare + W.GIVEN_MISS + b->more_max + date < b->threshold;
  if (bare + rest + b->miss >= b->threshold) scan_dated(x, c, q, b, filter);
  if (bare + rest + date >= b->threshold) scan_undated(x, c, q, b, bare);
  if (++c->family_now == 0) {
    memset(c->family_stamp, 0, (x->head->families - x->tokens + 1) * sizeof(u32));
    c->family_now = 1;
  }
  scan_family(x, c, q, b, 0); /* rows without a family name */
  for (u32 i = 0; i < c->touched_count; i++) {
    u32 t = c->touched[i];
    if (!bit(c->in_family, t)) continue;
    u64 l = c->levels[t];
    int s1 = AS_FAMILY(SLOT_S1, l), s2 = AS_FAMILY(SLOT_S2, l), sj = AS_FAMILY(SLOT_SJ, l), cross = AS_FAMILY(SLOT_G1, l);
    int own = max2(s1 ? s1 + c->best_family[SLOT_S2] : 0, max2(s2 ? s2 + c->best_family[SLOT_S1] : 0, sj));
    int bound = own ? min2(W.FAMILY_MAX, own) + rest : -1000;
    if (cross) bound = max2(bound, cross + b->swapped_max + b->more_max);
    int undated_only = bound + b->miss < b->threshold;
    if (undated_only && (bound + date < b->threshold || !bit(x->undated_token, t))) continue;
    if (!undated_only || bit(x->undated_family, t)) scan_family(x, c, q, b, t);
    /* Of double surnames with t, those whose other half was not shown too may be out of reach together. */
    int alone = max2(max2(s1, s2) ? max2(s1, s2) + (q->name.length[SLOT_S2] ? W.SECOND_SURNAME_DIFFERS : W.SECOND_SURNAME_MISSING) : 0, 0);
    int reach = alone + rest;
    if (cross) reach = max2(reach, cross + b->swapped_max + b->more_max);
    int paired = reach + date < b->threshold;
    for (u32 k = x->multi_off[t]; k < x->multi_off[t + 1]; k++) {
      MultiOf of = x->multi_of[k];
      if (paired && of.other && !bit(c->in_family, of.other)) continue;
      u32 m = of.multi;
      if ((undated_only && !bit(x->undated_family, x->tokens + m)) || c->family_stamp[m] == c->family_now) continue;
      c->family_stamp[m] = c->family_now;
      scan_family(x, c, q, b, x->tokens + m);
    }
  }
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
  c->touched_count = c->hit_count = 0;
  c->no_memory = 0;
  int failed = 0;
  for (int slot = 0; slot < SLOTS && !failed; slot++) failed = fill_slot(x, c, q, slot, mode);
  if (!failed) {
    Bounds b = {.threshold = threshold};
    near_days(x, c, q->year, q->month, q->day);
    set_bounds(x, c, q, &b);
    c->beside_g1 = together(x, c, SLOT_G1);
    c->beside_gj = together(x, c, SLOT_GJ);
    mark_given(c, 0, 0); /* a row without a given name is always worth a look */
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
    forget_given(c, 0);
    if (initial) forget_given(c, initial);
  }
  for (u32 i = 0; i < c->touched_count; i++) {
    u32 t = c->touched[i];
    c->levels[t] = 0;
    c->in_family[t >> 6] = 0;
    forget_given(c, t);
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
