/* One question: the visitor's tokens against the dictionary, then rows by birth date (pass A), by family (pass B) and by
 * identity document (pass C); every row that could reach the threshold is scored, and reference._score is what scores it. */
#include <math.h>
#include <stdlib.h>

#include "kernel.h"

Score W;

static inline int max2(int a, int b) { return a > b ? a : b; }
static inline int min2(int a, int b) { return a < b ? a : b; }
static inline int bit(const u64 *map, u32 t) { return (int)(map[t >> 6] >> (t & 63) & 1); }
static inline int count_bits(u64 v) {
  int n = 0;
  for (; v; v &= v - 1) n++;
  return n;
}

int eighths(double m, double u) { return (int)floor(W.UNIT * log2(m / u)); }

enum { MARK_BITS = 10, FEW = 150 /* tokens that are faster wiped one by one than with everything else */ };
static inline u32 mark_home(const Context *c, u32 t) { return t * 0x9e3779b1u >> (32 - c->mark_bits); }

/* The levels of a token: 0 for one that was not touched, and for the empty one. */
static inline u32 levels_of(const Context *c, u32 t) {
  u32 h = mark_home(c, t), mask = (1u << c->mark_bits) - 1;
  while (c->marks[h].token && c->marks[h].token != t) h = (h + 1) & mask;
  return c->marks[h].levels;
}
/* The token's levels to add to; there is room. */
static inline u32 *mark(Context *c, u32 t) {
  u32 h = mark_home(c, t), mask = (1u << c->mark_bits) - 1;
  while (c->marks[h].token && c->marks[h].token != t) h = (h + 1) & mask;
  c->touched[c->touched_count] = h;
  c->touched_count += c->marks[h].token == 0;
  c->marks[h].token = t;
  return &c->marks[h].levels;
}

/* Room for so many more tokens, the table never more than half full. */
static int make_room(Context *c, u32 more) {
  if (c->touched_count + more >= c->touched_room) {
    u32 room = (c->touched_count + more) * 2 + 256, *longer = realloc(c->touched, room * sizeof *longer);
    if (longer) c->touched = longer;
    Reach *reaching = realloc(c->reaching, room * sizeof *reaching);
    if (reaching) c->reaching = reaching;
    if (!longer || !reaching) return -1;
    c->touched_room = room;
  }
  u32 bits = c->mark_bits;
  while ((1u << bits) < 2 * (c->touched_count + more)) bits++;
  if (bits == c->mark_bits) return 0;
  Mark *old = c->marks, *larger = calloc((size_t)1 << bits, sizeof *larger);
  if (!larger) return -1;
  u32 size = 1u << c->mark_bits;
  c->marks = larger;
  c->mark_bits = bits;
  c->touched_count = 0;
  for (u32 h = 0; h < size; h++)
    if (old[h].token) *mark(c, old[h].token) = old[h].levels;
  free(old);
  return 0;
}

Context *context_new(const Image *x) {
  Context *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->memo_bits = 15;
  while (c->memo_bits < 18 && (1u << c->memo_bits) < x->tokens) c->memo_bits++;
  c->memo_limit = (1u << c->memo_bits) / 4 * 3;
  c->pool_room = (1u << c->memo_bits) * 32; /* 32 MB at most */
  c->mark_bits = MARK_BITS;
  c->marks = calloc((size_t)1 << MARK_BITS, sizeof(Mark));
  c->stamp = calloc(x->tokens + 1, 4);
  c->memo = calloc((size_t)1 << c->memo_bits, sizeof(Memo));
  c->pool = malloc((size_t)c->pool_room * 4);
  for (int i = 0; i < DAY_KINDS; i++)
    for (int n = 0; n < 256; n++) c->day_weight[i][n] = NO_WEIGHT;
  if (!c->marks || !c->stamp || !c->memo || !c->pool) {
    context_free(c);
    return NULL;
  }
  return c;
}

void context_free(Context *c) {
  if (!c) return;
  void *all[] = {c->marks, c->touched, c->reaching, c->scans, c->stamp, c->found.at, c->seen, c->memo, c->pool, c->hits};
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
  if (!c->found.count) return; /* nobody is called anything like it, so no weight of it will be asked for */
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
  m->surname = m->best_family = m->best_given = 0;
  for (u32 i = 0; i < c->found.count; i++) {
    u32 t = c->found.at[i] & TOKEN_BITS, level = c->found.at[i] >> 28;
    u32 family = m->family[level] && x->count_s[t] ? SAYS_FAMILY : 0, forename = m->given[level] && x->count_g[t] ? SAYS_GIVEN : 0;
    if (!(family | forename)) continue;
    c->found.at[kept++] = t | family | forename | level << 28;
    if (family && m->family[level] > m->best_family) m->best_family = m->family[level];
    if (forename && m->given[level] > m->best_given) m->best_given = m->given[level];
    if (level > VARIANT) continue;
    u32 mine = x->fam[t + 1].from - x->fam[t].from, most = x->fam[m->surname + 1].from - x->fam[m->surname].from;
    if (!m->surname || mine > most || (mine == most && t < m->surname)) m->surname = t;
  }
  m->count = c->found.count = kept;
}

/* From how many letters on a word of this slot may be one that was cut off. */
static int cut_from(const Query *q, int slot) {
  if (slot >= SLOT_G1 ? q->given_cut : q->family_cut) return W.CUT_FLAGGED_MIN;
  return slot >= SLOT_G1 ? W.CUT_GIVEN_MIN : W.CUT_FAMILY_MIN;
}

/* Where each word would stand in the memo, asked for all at once. */
static void seek_memo(Context *c, const Query *q) {
  for (int slot = 0; slot < SLOTS; slot++) {
    if (!q->name.length[slot]) continue;
    u64 kind = (slot >= SLOT_G1) + 2 * (slot == SLOT_G2);
    u64 key = mix(hash_word(q->name.text[slot], q->name.length[slot]) + kind * 0x9e3779b97f4a7c15ULL + (u64)cut_from(q, slot)) | 1;
    c->keys[slot] = key;
    PREFETCH(&c->memo[key >> (64 - c->memo_bits)]);
  }
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
  int cut_min = cut_from(q, slot);
  Memo fresh = {0}, *m = &fresh;
  const u32 *list = NULL;
  if (mode == MODE_INDEXED) {
    u64 key = c->keys[slot];
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
  if (make_room(c, m->count)) return -1;
  u32 as_family = !given || slot == SLOT_G1, as_given = slot != SLOT_S2;
  int lower = slot == SLOT_G2 ? W.GIVEN_IS_MIDDLE : 0;
  if (as_family) c->best_family[slot] = m->best_family;
  if (as_given) c->best_given[slot] = m->best_given;
  if (slot == SLOT_S1) c->surname = m->surname;
  for (u32 i = 0; i < m->count; i++) { /* without branches: what kind of neighbour comes next can not be guessed */
    u32 t = list[i] & TOKEN_BITS, level = list[i] >> 28, key = fold16(t);
    *mark(c, t) |= level << 4 * slot;
    u32 family = list[i] / SAYS_FAMILY & as_family, forename = list[i] / SAYS_GIVEN & as_given;
    c->family_sieve[key >> (16 - SIEVE_BITS)] |= (u8)family;
    c->given_sieve[key >> 6] |= (u64)forename << (key & 63);
    if (given) {
      int value = forename ? m->given[level] + 1 + lower : 0;
      c->given_value[key] = (u8)max2(c->given_value[key], value);
    }
  }
  return 0;
}

/* A given name that always is worth a look: none, or the letter shown. */
static void mark_given(Context *c, u32 t, int value) {
  u32 key = fold16(t);
  if (value + 1 > c->given_value[key]) c->given_value[key] = (u8)(value + 1);
  c->given_sieve[key >> 6] |= 1ULL << (key & 63);
}

static inline int in_family(const Context *c, u32 key) { return c->family_sieve[key >> (16 - SIEVE_BITS)]; }

#define LEVEL(slot, levels) ((levels) >> 4 * (slot) & 15)

/* How many of the family's rows, at most `room`, bear the given name of the slot. */
static u32 bearers_in(const Image *x, const Context *c, u32 f, int slot, u32 *room) {
  u32 lo = x->fam[f].from, n = x->fam[f + 1].from - lo, seen = 0;
  if (n > *room) n = *room;
  *room -= n;
  u32 waiting[128], last = lo + n;
  while (lo < last) { /* rows are far apart: asked for first, looked at then */
    u32 count = 0, end = last - lo > 128 ? lo + 128 : last;
    for (; lo < end; lo++) {
      if (!bit(c->given_sieve, x->fam_given[lo] & 0xffff)) continue;
      waiting[count++] = x->fam_row[lo];
      PREFETCH(&x->row_rest[x->fam_row[lo]]);
    }
    for (u32 i = 0; i < count; i++) {
      u32 level = LEVEL(slot, levels_of(c, x->row_rest[waiting[i]].given));
      seen += (level >= EXACT && level <= EDIT1_ALIKE) || level == RARE_EDIT1_ALIKE;
    }
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

#define AS_FAMILY(slot, levels) ((int)c->family[slot][(levels) >> 4 * (slot) & 15])
#define AS_GIVEN(slot, levels) ((int)c->given[slot][(levels) >> 4 * (slot) & 15])

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
  u32 a = levels_of(c, s1), b = s2 ? levels_of(c, s2) : 0, j = sj ? levels_of(c, sj) : 0;
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
  u32 g = levels_of(c, rest.given), m = levels_of(c, rest.middle);
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
    if (x->day[mid].row <= r) lo = mid;
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

static void add_day(const Image *x, Context *c, int bucket, int kind) {
  if (bucket < 0 || x->day[bucket].row == x->day[bucket + 1].row) return; /* no one born that day: nothing to weigh */
  for (int i = 0; i < c->day_count; i++)
    if (c->days[i].bucket == bucket) return;
  u32 here = x->day[bucket + 1].row - x->day[bucket].row;
  int weight = here < 256 ? c->day_weight[kind][here] : NO_WEIGHT;
  if (weight == NO_WEIGHT) {
    const double chance[DAY_KINDS] = {W.DOB_SAME, W.DOB_SWAPPED, W.DOB_YEAR, W.DOB_TRANSPOSED, W.DOB_DIGIT};
    weight = eighths(chance[kind], ((double)here + W.BACKGROUND_A_DAY) / ((double)x->rows + W.BACKGROUND_ROWS));
    if (here < 256) c->day_weight[kind][here] = (short)weight;
  }
  c->days[c->day_count++] = (Day){bucket, weight};
}

/* score.dob_neighbours: the same days in the same order. */
static void near_days(const Image *x, Context *c, int y, int m, int d) {
  int day = (y * 16 + m) * 32 + d; /* a batch comes in order of birth date */
  if (day == c->days_of) return;
  c->days_of = day;
  c->day_count = 0;
  if (!y) return;
  add_day(x, c, day_bucket(y, m, d), DAY_SAME);
  add_day(x, c, day_bucket(y, d, m), DAY_SWAPPED);
  add_day(x, c, day_bucket(y - 1, m, d), DAY_YEAR);
  add_day(x, c, day_bucket(y + 1, m, d), DAY_YEAR);
  add_day(x, c, day_bucket(y / 100 * 100 + y % 10 * 10 + y / 10 % 10, m, d), DAY_TRANSPOSED);
  add_day(x, c, day_bucket(y, m % 10 * 10 + m / 10, d), DAY_TRANSPOSED);
  add_day(x, c, day_bucket(y, m, d % 10 * 10 + d / 10), DAY_TRANSPOSED);
  for (int i = 0; i < 10; i++) { /* a digit put for itself is the day shown, which is there already */
    if (i != y % 10) add_day(x, c, day_bucket(y - y % 10 + i, m, d), DAY_DIGIT);
    if (i != y / 10 % 10) add_day(x, c, day_bucket(y - y / 10 % 10 * 10 + i * 10, m, d), DAY_DIGIT);
    if (i != m % 10) add_day(x, c, day_bucket(y, m - m % 10 + i, d), DAY_DIGIT);
    if (i < 2 && i != m / 10) add_day(x, c, day_bucket(y, m % 10 + i * 10, d), DAY_DIGIT);
    if (i != d % 10) add_day(x, c, day_bucket(y, m, d - d % 10 + i), DAY_DIGIT);
    if (i < 4 && i != d / 10) add_day(x, c, day_bucket(y, m, d % 10 + i * 10), DAY_DIGIT);
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
  int miss = q->name.length[SLOT_S1] ? W.FAMILY_MISS : 0;
  for (int i = 0; i < c->day_count; i++) {
    const DayStart *day = &x->day[c->days[i].bucket];
    int date = c->days[i].weight, bare = date + miss + b->more_max;
    u32 end = day[1].row, multis = day[1].multi - day[0].multi;
    c->rows_seen += end - day->row;
    if (bare + b->given_max + b->middle_max < b->threshold) { /* a row whose family says nothing is out of reach */
      pick(x, c, q, b, &w, day->row, end - multis, NULL, date);
      pick(x, c, q, b, &w, end - multis, end, &x->multi_key[day->multi], date);
      continue;
    }
    int all = b->any_given || bare + W.GIVEN_MISS >= b->threshold;
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
  GivenFilter g = {b->any_given || without + W.GIVEN_MISS >= b->threshold, !cross, 0};
  g.need = max2(0, b->threshold - without - b->middle_max) + 1;
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
static void scan_undated(const Image *x, Context *c, const Query *q, const Bounds *b, int family) {
  GivenFilter g = given_filter(b, family, 0, b->undated_max);
  u64 buckets[BY_GIVEN_BUCKETS / 64];
  memset(buckets, g.all ? 0xff : 0, sizeof buckets);
  for (u32 w = 0; w < 1024 && !g.all; w++)
    for (u64 left = c->given_sieve[w]; left; left = drop_bit(left)) {
      u32 key = w * 64 + (u32)count_bits((left & -left) - 1), bucket = given_bucket(key);
      if (c->given_value[key] >= g.need || c->given_value[key] + W.GIVEN_IS_MIDDLE >= g.need) buckets[bucket >> 6] |= 1ULL << (bucket & 63);
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
  int bare = q->name.length[SLOT_S1] ? W.FAMILY_MISS : 0;
  int filter = !b->any_given && bare + W.GIVEN_MISS + b->more_max + date < b->threshold;
  if (bare + rest + b->miss >= b->threshold) scan_dated(x, c, q, b, filter);
  if (bare + rest + date >= b->threshold) scan_undated(x, c, q, b, bare);
  want_family(x, c, 0); /* rows without a family name */
  u32 kept = 0;
  Reach *reaching = c->reaching;
  for (u32 i = 0; i < c->touched_count; i++) {
    u32 t = c->marks[c->touched[i]].token, l = c->marks[c->touched[i]].levels;
    int s1 = AS_FAMILY(SLOT_S1, l), s2 = AS_FAMILY(SLOT_S2, l), sj = AS_FAMILY(SLOT_SJ, l), cross = AS_FAMILY(SLOT_G1, l);
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
  c->touched_count = c->hit_count = 0;
  c->no_memory = 0;
  int failed = 0;
  seek_memo(c, q);
  for (int slot = 0; slot < SLOTS && !failed; slot++) failed = fill_slot(x, c, q, slot, mode);
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
    c->family_sieve[0] = 0;
    c->given_value[0] = c->given_value[fold16(initial)] = 0;
    c->given_sieve[0] = c->given_sieve[fold16(initial) >> 6] = 0;
  }
  for (u32 i = 0; i < c->touched_count; i++) {
    Mark *m = &c->marks[c->touched[i]];
    u32 key = fold16(m->token);
    if (m->levels >> 4 * SLOT_G1) c->given_value[key] = 0;
    if (c->touched_count > FEW) continue;
    c->family_sieve[key >> (16 - SIEVE_BITS)] = 0;
    c->given_sieve[key >> 6] = 0;
    *m = (Mark){0, 0};
  }
  if (c->touched_count > FEW) {
    memset(c->marks, 0, sizeof(Mark) << c->mark_bits);
    memset(c->family_sieve, 0, sizeof c->family_sieve);
    memset(c->given_sieve, 0, sizeof c->given_sieve);
  }
  c->mark_bits = MARK_BITS; /* a larger table may stay where it is */
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
