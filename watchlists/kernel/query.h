/* What one query at a time needs besides the image, and what the files that answer it share. */
#ifndef WATCHLISTS_QUERY_H
#define WATCHLISTS_QUERY_H

#include <stdlib.h>

#include "kernel.h"

static inline int max2(int a, int b) { return a > b ? a : b; }
static inline int min2(int a, int b) { return a < b ? a : b; }
static inline int bit(const u64 *map, u32 t) { return (int)(map[t >> 6] >> (t & 63) & 1); }

typedef struct { /* what a word may stand for, but for the neighbors themselves */
  u8 family[LEVELS], given[LEVELS], best_family, best_given; /* the best of those that any token found has */
} Word;
typedef struct { u64 key; u32 off, count; } Memo; /* where in the pool the Word stands and its neighbors behind it; none: nowhere */
typedef struct { u32 token; int undated_only, paired; } Reach; /* a surname token whose families may reach the threshold */
typedef struct { u32 token, levels; } Mark; /* the level of each slot, four bits each; token 0: free */
typedef struct { int bucket, weight; } Day;
typedef struct { u32 partial; int weight; } NearPartial; /* what is known of some birth dates, and speaks for the one shown */
typedef struct { u32 family, from, to, undated_from, undated_to; short score, cross; } Scan; /* rows by family, undated rows */
struct Context { /* what one query at a time needs besides the image; one a thread */
  Mark *marks;              /* what the query touched: a hash table that stays in the first-level cache */
  u32 mark_bits;
  Word word[SLOTS];       /* what the words shown may stand for */
  const u32 *list[SLOTS]; /* their neighbours: in the pool, or in `fresh` where the word is new */
  u32 listed[SLOTS];
  u8 is_new[SLOTS];
  NeighbourList fresh[SLOTS];
  /* Sieves over 16 bits of the token number: what they let through is looked at, so a token too many does no harm. */
  u64 given_sieve[1024]; /* tokens with any level as a given name */
  u8 given_value[65536]; /* the most such a token may say, plus one; 0 nothing */
  u8 family_sieve[1 << SIEVE_BITS]; /* the same for surnames, the most it may say: pass A asks it for every row */
  u32 *touched, touched_count, touched_room; /* where in `marks` they stand */
  u32 *stamp, stamp_now;          /* neighbour search: tokens seen */
  Reach *reaching;                /* pass B: surnames whose families may be in reach; as long as `touched` */
  Scan *scans;                    /* pass B: the families to look through */
  u32 scan_count, scan_room;
  u32 *seen, seen_room; /* candidates of the deletion index */
  Memo *memo;
  u64 *memo_met; /* bitmap: the word came again */
  u32 memo_bits, memo_used, *pool, pool_used, pool_room;
  int best_family[SLOTS], best_given[SLOTS];
  Day days[MAX_DAYS];
  short day_weight[DAY_KINDS][256]; /* by kind of slip and rows of that day; NO_WEIGHT: not worked out yet */
  int day_count, days_of, days_found; /* the days looked at, of those found; the date they are near */
  int days_kinds, days_upto[DAY_KINDS]; /* the kinds of slip they were found for, and how many after each */
  NearPartial *near_partials;
  int near_count, partials_of, partials_most; /* the month they speak for, and the most one of them says */
  Hit *hits;
  u32 hit_count, hit_room;
  int no_memory;
  u64 rows_seen, rows_scored; /* counters for benchmarks */
};

/* What a query's bounds and fixed parts are; worked out once. */
typedef struct {
  int given_max, middle_max, swapped_max, more_max, undated_max, miss;
  int bare, bare_cross; /* what a family says that agrees with nothing shown: in its own place, read as the given name */
  int crossed_miss; /* what a given name that does not agree with the family name shown says */
  int bare_names; /* the most the names of such a row say */
  int names_max; /* the most any row's names say */
  int cross_shift; /* what a surname read as the given name shown may make up for, beyond its own place */
  int any_given; /* rows can not be told apart by their given names: none was shown, or one letter only */
  int threshold;
} Bounds;

/* --- context.c: what the words shown may stand for --- */
int find_words(const Image *x, Context *c, const Query *q, int mode); /* -1 out of memory */
int spread_words(Context *c, const Bounds *b); /* -1 out of memory, and nothing was spread */
void remember_words(Context *c, const Query *q);                      /* those that were new */
void mark_given(Context *c, u32 t, int value);
void unmark_given(Context *c, u32 t);
void wipe(Context *c); /* everything touched, for the next query */

static inline u32 mark_home(const Context *c, u32 t) { return t * 0x9e3779b1u >> (32 - c->mark_bits); }

/* The levels of a token: 0 for one that was not touched, and for the empty one. */
static inline u32 levels_of(const Context *c, u32 t) {
  u32 h = mark_home(c, t), mask = (1u << c->mark_bits) - 1;
  while (c->marks[h].token && c->marks[h].token != t) h = (h + 1) & mask;
  return c->marks[h].levels;
}
enum { SIEVE_MOST = 255 }; /* says at least as much */
static inline int in_family(const Context *c, u32 key) { return c->family_sieve[key >> (16 - SIEVE_BITS)]; }

#define AS_FAMILY(slot, levels) ((int)c->word[slot].family[(levels) >> 4 * (slot) & 15])
#define AS_GIVEN(slot, levels) ((int)c->word[slot].given[(levels) >> 4 * (slot) & 15])

static inline void family_of(const Image *x, u32 f, u32 *a, u32 *b, u32 *j) {
  if (f < x->tokens) *a = f, *b = *j = 0;
  else {
    const Multi *m = &x->multi[f - x->tokens];
    *a = m->first, *b = m->second, *j = m->joined;
  }
}

/* Family evidence of family f; *cross is what its surnames say of the given name shown, which may stand in their place. */
static inline int family_score(const Image *x, const Context *c, const Query *q, u32 f, int *cross) {
  u32 s1, s2, sj;
  family_of(x, f, &s1, &s2, &sj);
  u32 a = levels_of(c, s1), b = s2 ? levels_of(c, s2) : 0, j = sj ? levels_of(c, sj) : 0;
  int m11 = AS_FAMILY(SLOT_S1, a), m12 = AS_FAMILY(SLOT_S2, a), m21 = AS_FAMILY(SLOT_S1, b), m22 = AS_FAMILY(SLOT_S2, b);
  int best = max2(max2(m11, m12), max2(m21, m22)), q2 = q->name.length[SLOT_S2] != 0, score = 0;
  *cross = max2(max2(AS_FAMILY(SLOT_G1, a), AS_FAMILY(SLOT_G1, b)), max2(AS_FAMILY(SLOT_GJ, a), AS_FAMILY(SLOT_GJ, j)));
  if (!*cross && s1 && q->name.length[SLOT_G1]) *cross = W.FAMILY_MISS;
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

/* --- evidence.c: what a row and its date say --- */
void near_days(const Image *x, Context *c, int y, int m, int d, int kinds);
void near_partials(const Image *x, Context *c, const Query *q);
int day_weight(const Image *x, Context *c, int kind, u32 rows); /* of a day on which so many are born */
int undated_weight(const Image *x, const Query *q, u32 r);
int partial_weight(const PartialDate *p, const Query *q);
int dated_weight(const Image *x, const Context *c, const Bounds *b, u32 r);
void score_row(const Image *x, Context *c, const Query *q, const Bounds *b, u32 r, int family, int cross, int date, int id);

#endif
