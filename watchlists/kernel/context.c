/* The visitor's words against the dictionary: each one's neighbours from the memo, or found and weighed, and laid out so that
 * the passes over the rows can ask for a token's levels without leaving the first-level cache. */
#include "query.h"

enum { WORD_ROOM = (sizeof(Word) + 3) / 4 }; /* in the pool */
enum { MARK_BITS = 10, FEW = 150 /* tokens that are faster wiped one by one than with everything else */ };

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

/* Words remembered: 4,096 at first, 262,144 at most, with 32 MB of lists. */
enum { MEMO_BITS_FIRST = 12, MEMO_BITS_MOST = 18, POOL_FIRST = 1 << 16, POOL_MOST = 1 << 23 };

Context *context_new(const Image *x) {
  Context *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->memo_bits = MEMO_BITS_FIRST;
  c->pool_room = POOL_FIRST;
  c->mark_bits = MARK_BITS;
  c->marks = calloc((size_t)1 << MARK_BITS, sizeof(Mark));
  c->stamp = calloc(x->tokens + 1, 4);
  c->memo = calloc((size_t)1 << c->memo_bits, sizeof(Memo));
  c->memo_met = calloc(1u << (MEMO_BITS_MOST - 6), 8);
  c->pool = malloc((size_t)c->pool_room * 4);
  c->near_partials = malloc((x->head->partials + 1ull) * sizeof *c->near_partials);
  for (int i = 0; i < DAY_KINDS; i++)
    for (int n = 0; n < 256; n++) c->day_weight[i][n] = NO_WEIGHT;
  if (!c->near_partials || !c->marks || !c->stamp || !c->memo || !c->memo_met || !c->pool) {
    context_free(c);
    return NULL;
  }
  return c;
}

void context_free(Context *c) {
  if (!c) return;
  void *all[] = {c->marks, c->touched, c->reaching, c->scans, c->stamp, c->near_partials, c->seen, c->memo, c->memo_met, c->pool, c->hits};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
  for (int slot = 0; slot < SLOTS; slot++) free(c->fresh[slot].at);
  free(c);
}

void context_forget(Context *c) {
  memset(c->memo, 0, ((size_t)1 << c->memo_bits) * sizeof(Memo));
  memset(c->memo_met, 0, 8u << (MEMO_BITS_MOST - 6));
  c->memo_used = c->pool_used = 0;
}

static inline u32 memo_slot(const Context *c, u64 key) { /* the key's, or the free one where it would stand */
  u32 mask = (1u << c->memo_bits) - 1, h = (u32)(key >> (64 - c->memo_bits));
  while (c->memo[h].key && c->memo[h].key != key) h = (h + 1) & mask;
  return h;
}

static inline u32 pool_need(u32 count) { return count ? WORD_ROOM + count : 0; }

/* The memo in a table of so many bits; with `met`, only the words that came again since the last time, and their lists
 * moved together. Without memory for it everything is forgotten, which costs time and nothing else. */
static void memo_rebuild(Context *c, u32 bits, int met) {
  Memo *old = c->memo, *table = calloc((size_t)1 << bits, sizeof *table);
  u32 *old_pool = c->pool, *pool = met ? malloc((size_t)c->pool_room * 4) : NULL, size = 1u << c->memo_bits, room = c->pool_room;
  if (!table || (met && !pool)) {
    free(table);
    free(pool);
    context_forget(c);
    return;
  }
  c->memo = table;
  c->memo_bits = bits;
  if (met) {
    c->pool = pool;
    c->pool_used = c->memo_used = 0;
  }
  for (u32 i = 0; i < size; i++) {
    Memo m = old[i];
    if (!m.key || (met && (!bit(c->memo_met, i) || c->memo_used >= (1u << bits) / 2 || c->pool_used + pool_need(m.count) > room / 2))) continue;
    if (met) {
      if (m.count) memcpy(pool + c->pool_used, old_pool + m.off, pool_need(m.count) * sizeof *pool);
      m.off = c->pool_used;
      c->pool_used += pool_need(m.count);
      c->memo_used++;
    }
    table[memo_slot(c, m.key)] = m;
  }
  memset(c->memo_met, 0, 8u << (MEMO_BITS_MOST - 6));
  free(old);
  if (met) free(old_pool);
}

/* Room for one more word that takes so much of the pool; what is not met again gives way to what is. */
static void memo_room(Context *c, u32 need) {
  while (c->pool_used + need > c->pool_room && c->pool_room < POOL_MOST) {
    u32 *more = realloc(c->pool, (size_t)c->pool_room * 2 * 4);
    if (!more) break;
    c->pool = more;
    c->pool_room *= 2;
  }
  int full = c->memo_used >= (1u << c->memo_bits) / 4 * 3;
  if (full && c->memo_bits < MEMO_BITS_MOST) memo_rebuild(c, c->memo_bits + 1, 0);
  else if (full || c->pool_used + need > c->pool_room) memo_rebuild(c, c->memo_bits, 1);
}

/* score.token_weights, of those levels that any token has: a logarithm takes its time */
static void token_weights(const double *table, const u64 *counts, double rows, double unseen, int own, u32 levels, u8 *out) {
  double chance = unseen;
  memset(out, 0, LEVELS);
  for (int l = 1; l < RARE_EDIT1_ALIKE; l++)
    if (table[l] > 0) chance += table[l] * (double)counts[l] / rows;
  for (int l = 1; l < RARE_EDIT1_ALIKE; l++)
    if (table[l] > 0 && levels >> l & 1) out[l] = (u8)max2(1, min2(W.TOKEN_MAX, eighths(table[l], chance)));
  for (int l = EDIT1_ALIKE; l <= EDIT2; l++) {
    out[l + RARE_SHIFT] = out[l];
    if (own && out[l] && levels >> (l + RARE_SHIFT) & 1) out[l + RARE_SHIFT] = (u8)max2(out[l], min2(W.TOKEN_MAX, eighths(W.registered_wrong[l], W.RARE_COUNT / rows + unseen)));
  }
}

/* Weigh the tokens just found, and keep those that can say anything of a row. */
static void weigh(const Image *x, NeighbourList *found, int given, Word *m) {
  if (!found->count) return; /* nobody is called anything like it, so no weight of it will be asked for */
  u64 as_family[LEVELS] = {0}, as_given[LEVELS] = {0};
  u32 levels = 0;
  for (u32 i = 0; i < found->count; i++) {
    u32 t = found->at[i] & TOKEN_BITS, level = found->at[i] >> 28;
    as_family[level] += x->count_s[t];
    as_given[level] += x->count_g[t];
    levels |= 1u << level; /* a rare one's too, whose weight begins with it */
    if (level >= EDIT1_ALIKE && level <= EDIT2 && (given ? x->count_g : x->count_s)[t] <= (u32)W.RARE_COUNT)
      found->at[i] += (u32)RARE_SHIFT << 28;
    levels |= 1u << (found->at[i] >> 28);
  }
  double rows = (double)x->rows + W.BACKGROUND_ROWS;
  token_weights(given ? W.family_swapped : W.family, as_family, rows, x->head->unseen_family, !given, levels, m->family);
  token_weights(given ? W.given : W.given_swapped, as_given, rows, x->head->unseen_given, given, levels, m->given);
  u32 kept = 0;
  for (u32 i = 0; i < found->count; i++) {
    u32 t = found->at[i] & TOKEN_BITS, level = found->at[i] >> 28;
    /* Whom only the background knows was counted above, and stands in no row. */
    u32 family = m->family[level] && bit(x->borne_s, t) ? SAYS_FAMILY : 0, forename = m->given[level] && bit(x->borne_g, t) ? SAYS_GIVEN : 0;
    if (!(family | forename)) continue;
    found->at[kept++] = t | family | forename | level << 28;
    if (family && m->family[level] > m->best_family) m->best_family = m->family[level];
    if (forename && m->given[level] > m->best_given) m->best_given = m->given[level];
  }
  found->count = kept;
}

/* From how many letters on a word of this slot may be one that was cut off. */
static int cut_from(const Query *q, int slot) {
  if (slot >= SLOT_G1 ? q->given_cut : q->family_cut) return W.CUT_FLAGGED_MIN;
  return slot >= SLOT_G1 ? W.CUT_GIVEN_MIN : W.CUT_FAMILY_MIN;
}

void query_ready(const Context *c, Query *q) {
  for (int slot = 0; slot < SLOTS; slot++) {
    if (!q->name.length[slot]) continue;
    u64 kind = (slot >= SLOT_G1) + 2 * (slot == SLOT_G2);
    u64 key = mix(hash_word(q->name.text[slot], q->name.length[slot]) + kind * 0x9e3779b97f4a7c15ULL + (u64)cut_from(q, slot)) | 1;
    q->keys[slot] = key;
    PREFETCH(&c->memo[key >> (64 - c->memo_bits)]);
  }
}

/* What a word may stand for, from the dictionary. */
static int look_word_up(const Image *x, Context *c, const Query *q, int slot, int mode) {
  const char *word = q->name.text[slot];
  int length = q->name.length[slot], given = slot >= SLOT_G1, light = slot == SLOT_G2;
  int (*search)(const Image *, Context *, const char *, int, int, int, int, NeighbourList *) = mode == MODE_EXHAUSTIVE ? neighbours_all : neighbours;
  c->fresh[slot].count = 0;
  if (search(x, c, word, length, given, cut_from(q, slot), light, &c->fresh[slot])) return -1;
  weigh(x, &c->fresh[slot], given, &c->word[slot]);
  c->list[slot] = c->fresh[slot].at;
  c->listed[slot] = c->fresh[slot].count;
  return 0;
}

int find_words(const Image *x, Context *c, const Query *q, int mode) {
  for (int slot = 0; slot < SLOTS; slot++) { /* first those met before are asked for, */
    c->listed[slot] = c->is_new[slot] = 0;
    if (!q->name.length[slot]) continue;
    u32 h = memo_slot(c, q->keys[slot]);
    Memo m = c->memo[h];
    c->is_new[slot] = mode != MODE_INDEXED || !m.key;
    if (c->is_new[slot]) continue;
    c->memo_met[h >> 6] |= 1ULL << (h & 63);
    c->list[slot] = c->pool + m.off;
    c->listed[slot] = m.count;
    if (m.count) PREFETCH(c->list[slot]);
    if (m.count) PREFETCH(c->list[slot] + 16);
  }
  for (int slot = 0; slot < SLOTS; slot++) { /* then each is looked at */
    Word *w = &c->word[slot];
    *w = (Word){0};
    if (c->is_new[slot]) {
      if (look_word_up(x, c, q, slot, mode)) return -1;
    } else if (c->listed[slot]) {
      memcpy(w, c->list[slot], sizeof *w);
      c->list[slot] += WORD_ROOM;
    }
    c->best_family[slot] = slot == SLOT_G2 ? 0 : w->best_family;
    c->best_given[slot] = slot == SLOT_S2 ? 0 : w->best_given;
  }
  return 0;
}

/* Lay what was found out for the passes over the rows. */
int spread_words(Context *c, const Bounds *b) {
  u32 total = 0;
  for (int slot = 0; slot < SLOTS; slot++) total += c->listed[slot];
  c->touched_count = 0;
  if (make_room(c, total)) return -1;
  for (int slot = 0; slot < SLOTS; slot++) {
    const Word *m = &c->word[slot];
    const u32 *list = c->list[slot];
    u32 as_family = slot != SLOT_G2, as_given = slot != SLOT_S2, given = slot >= SLOT_G1;
    int lower = slot == SLOT_G2 ? W.GIVEN_IS_MIDDLE : given ? 0 : W.NAMES_SWAPPED, shift = given ? b->cross_shift : 0;
    for (u32 i = 0; i < c->listed[slot]; i++) { /* nearly without branches: what kind of neighbour comes next can not be guessed */
      u32 t = list[i] & TOKEN_BITS, level = list[i] >> 28, key = fold16(t);
      *mark(c, t) |= level << 4 * slot;
      u32 family = list[i] / SAYS_FAMILY & as_family, forename = list[i] / SAYS_GIVEN & as_given;
      u8 *sieve = &c->family_sieve[key >> (16 - SIEVE_BITS)];
      *sieve = (u8)max2(*sieve, (int)family * min2(SIEVE_MOST, max2(1, m->family[level] + shift)));
      c->given_sieve[key >> 6] |= (u64)forename << (key & 63);
      if (given | forename) {
        int value = forename ? m->given[level] + 1 + lower : 0;
        c->given_value[key] = (u8)max2(c->given_value[key], value);
      }
    }
  }
  return 0;
}

void remember_words(Context *c, const Query *q) {
  for (int slot = 0; slot < SLOTS; slot++) {
    u32 count = c->listed[slot];
    if (!c->is_new[slot] || pool_need(count) > POOL_FIRST / 2) continue;
    memo_room(c, pool_need(count));
    Memo *m = &c->memo[memo_slot(c, q->keys[slot])];
    if (m->key) continue; /* the same word in another place of this name */
    *m = (Memo){q->keys[slot], c->pool_used, count};
    c->memo_used++;
    if (!count) continue;
    memcpy(c->pool + c->pool_used, &c->word[slot], sizeof(Word));
    memcpy(c->pool + c->pool_used + WORD_ROOM, c->fresh[slot].at, count * sizeof(u32));
    c->pool_used += pool_need(count);
  }
}

/* A given name that always is worth a look: none, or the letter shown. */
void mark_given(Context *c, u32 t, int value) {
  u32 key = fold16(t);
  if (value + 1 > c->given_value[key]) c->given_value[key] = (u8)(value + 1);
  c->given_sieve[key >> 6] |= 1ULL << (key & 63);
}

void unmark_given(Context *c, u32 t) {
  c->given_value[fold16(t)] = 0;
  c->given_sieve[fold16(t) >> 6] &= ~(1ULL << (fold16(t) & 63));
}

void wipe(Context *c) {
  for (u32 i = 0; i < c->touched_count; i++) {
    Mark *m = &c->marks[c->touched[i]];
    u32 key = fold16(m->token);
    if (bit(c->given_sieve, key)) c->given_value[key] = 0;
    if (c->touched_count > FEW) continue;
    c->family_sieve[key >> (16 - SIEVE_BITS)] = 0;
    c->given_sieve[key >> 6] &= ~(1ULL << (key & 63));
    *m = (Mark){0, 0};
  }
  if (c->touched_count > FEW) {
    memset(c->marks, 0, sizeof(Mark) << c->mark_bits);
    memset(c->family_sieve, 0, sizeof c->family_sieve);
    memset(c->given_sieve, 0, sizeof c->given_sieve);
  }
  c->mark_bits = MARK_BITS; /* a larger table may stay where it is */
}
