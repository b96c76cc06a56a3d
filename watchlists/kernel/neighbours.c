/* Which tokens of a registry a shown token may stand for, and at what level: exactly the tokens a look at every one of
 * them would find (neighbours_all does look at every one; the tests hold the two together). */
#include "query.h"

Thesaurus SPELLINGS, NICKNAMES;

u32 token_id(const Image *x, const char *word, int length) {
  u32 bits = x->head->hash_bits, mask = (1u << bits) - 1, h = (u32)(hash_word(word, length) >> (64 - bits));
  for (; x->tok_hash[h]; h = (h + 1) & mask) {
    u32 t = x->tok_hash[h];
    if (token_length(x, t) == length && !memcmp(x->tok_text + x->tok_off[t], word, (size_t)length)) return t;
  }
  return 0;
}

static int push(NeighbourList *list, u32 token, int level) {
  if (list->count == list->room) {
    u32 room = list->room ? list->room * 2 : 1024;
    u32 *more = realloc(list->at, room * sizeof *more);
    if (!more) return -1;
    list->at = more;
    list->room = room;
  }
  list->at[list->count++] = token | (u32)level << 28;
  return 0;
}

/* Words of a thesaurus that may stand for this one, as [*from, *to) of its ids. */
static void look_up(const Thesaurus *th, const char *word, int length, u32 *from, u32 *to) {
  *from = *to = 0;
  if (!th->words) return;
  u32 mask = (1u << th->bits) - 1;
  for (u32 h = (u32)(hash_word(word, length) >> (64 - th->bits)); th->slots[h]; h = (h + 1) & mask) {
    u32 w = th->slots[h] - 1;
    if ((int)(th->text_off[w + 1] - th->text_off[w]) == length && !memcmp(th->text + th->text_off[w], word, (size_t)length)) {
      *from = th->off[w];
      *to = th->off[w + 1];
      return;
    }
  }
}

static int push_listed(const Image *x, Context *c, const Thesaurus *th, const char *word, int length, int level, NeighbourList *out) {
  u32 from, to;
  look_up(th, word, length, &from, &to);
  for (u32 i = from; i < to; i++) {
    u32 w = th->ids[i];
    u32 t = token_id(x, th->text + th->text_off[w], (int)(th->text_off[w + 1] - th->text_off[w]));
    if (t && c->stamp[t] != c->stamp_now) {
      c->stamp[t] = c->stamp_now;
      if (push(out, t, level)) return -1;
    }
  }
  return 0;
}

/* The level by edits and sound alone; reference.level says the same in Python. */
static int edit_level(const Image *x, const Pattern *p, u32 sound, u32 t, int length) {
  int n = p->length, small = n < length ? n : length, large = n < length ? length : n;
  if (small < 2 || large < 3 || large - small > 3) return NONE;
  int e = edits(p, x->tok_text + x->tok_off[t], length);
  if (e > 3) return NONE;
  int alike = sound && sound == x->phon_key[t];
  if (e == 1) return alike ? EDIT1_ALIKE : large >= 4 ? EDIT1 : EDIT2;
  if (alike && small >= 4) return ALIKE;
  return e == 2 && small >= 5 && large >= 6 && (p->letters[x->tok_text[x->tok_off[t]] & 31] & 1) != 0 ? EDIT2 : NONE;
}

/* The first token not before `word` in the alphabet. */
static u32 lower_bound(const Image *x, const char *word, int length) {
  u32 lo = 1, hi = x->tokens;
  while (lo < hi) {
    u32 mid = lo + (hi - lo) / 2;
    int l = token_length(x, mid), order = memcmp(x->tok_text + x->tok_off[mid], word, (size_t)(l < length ? l : length));
    if (order < 0 || (order == 0 && l < length)) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

static int by_cutting(const Image *x, Context *c, const char *word, int length, int given, int cut_min, NeighbourList *out) {
  const u32 *count = given ? x->count_g : x->count_s; /* a stump agrees only in its own field */
  if (length < cut_min) return 0;
  for (u32 t = lower_bound(x, word, length); t < x->tokens; t++) {
    if (token_length(x, t) < length || memcmp(x->tok_text + x->tok_off[t], word, (size_t)length)) break;
    if (count[t] && c->stamp[t] != c->stamp_now) {
      c->stamp[t] = c->stamp_now;
      if (push(out, t, CUT)) return -1;
    }
  }
  for (int n = cut_min; n < length; n++) {
    u32 t = token_id(x, word, n);
    if (t && count[t] && c->stamp[t] != c->stamp_now) {
      c->stamp[t] = c->stamp_now;
      if (push(out, t, CUT)) return -1;
    }
  }
  return 0;
}

static int by_deletion(const Image *x, Context *c, const Pattern *p, u32 sound, const char *word, int length, int light,
                       NeighbourList *out) {
  u64 hashes[MAX_DELETIONS], mine = signature(word, length);
  /* EDIT2 takes six letters on one side: a word of five is then a letter shorter, and one deletion of its own is enough. */
  int all = deletions(word, length, light || length <= 5 ? 1 : 2, hashes), n = 0;
  u32 shift = 64 - x->head->delete_bits, bits = x->head->sieve_bits, seen = 0, least = (u32)min2(length, 15) - 2;
  for (int i = 0; i < all; i++) PREFETCH(&x->del_sieve[del_sieve_bit(hashes[i], bits) >> 6]);
  for (int i = 0; i < all; i++) {
    u64 at = del_sieve_bit(hashes[i], bits);
    hashes[n] = hashes[i];
    n += (int)(x->del_sieve[at >> 6] >> (at & 63) & 1);
  }
  for (int i = 0; i < n; i++) PREFETCH(&x->del_off[hashes[i] >> shift]);
  for (int i = 0; i < n; i++) PREFETCH(&x->del_ids[x->del_off[hashes[i] >> shift]]);
  for (int i = 0; i < n; i++) { /* first all that share a deletion, so that their signatures are on the way at once */
    u32 bucket = (u32)(hashes[i] >> shift), from = x->del_off[bucket], count = x->del_off[bucket + 1] - from;
    if (seen + count > c->seen_room) {
      u32 room = (seen + count) * 2;
      u32 *more = realloc(c->seen, room * sizeof *more);
      if (!more) return -1;
      c->seen = more;
      c->seen_room = room;
    }
    u32 tag = del_tag(hashes[i], 0);
    for (u32 j = 0; j < count; j++) {
      u32 id = x->del_ids[from + j], longer = (id >> 26 & 15) - least;
      if (longer > 4 || (id ^ tag) >> 30) continue; /* more than two letters apart, or another hash */
      c->seen[seen++] = id & TOKEN_BITS;
      PREFETCH(&x->tok_sig[id & TOKEN_BITS]);
    }
  }
  u32 kept = 0;
  for (u32 i = 0; i < seen; i++) { /* then those of them whose letters may do */
    u32 t = c->seen[i];
    if (!may_be_near(x->tok_sig[t], mine) || c->stamp[t] == c->stamp_now) continue;
    c->seen[kept++] = t;
    c->stamp[t] = c->stamp_now; /* taken back below where it is no neighbour after all */
    PREFETCH(&x->tok_off[t]);
    PREFETCH(&x->phon_key[t]);
  }
  for (u32 i = 0; i < kept; i++) PREFETCH(&x->tok_text[x->tok_off[c->seen[i]]]);
  for (u32 i = 0; i < kept; i++) {
    u32 t = c->seen[i];
    int level = edit_level(x, p, sound, t, token_length(x, t));
    if (!level || (light && level >= EDIT2)) c->stamp[t] = 0; /* it may still be a cut-off form */
    else if (push(out, t, level)) return -1;
  }
  return 0;
}

static int by_sound(const Image *x, Context *c, const Pattern *p, u32 sound, const char *word, int length, NeighbourList *out) {
  if (!sound || length < 4) return 0;
  u32 bucket = sound >> (32 - x->head->phon_bits);
  u64 mine = signature(word, length);
  for (u32 j = x->phon_off[bucket]; j < x->phon_off[bucket + 1]; j++) PREFETCH(&x->tok_sig[x->phon_ids[j]]);
  for (u32 j = x->phon_off[bucket]; j < x->phon_off[bucket + 1]; j++) {
    u32 t = x->phon_ids[j];
    if (!may_be_three_apart(x->tok_sig[t], mine) || x->phon_key[t] != sound || c->stamp[t] == c->stamp_now) continue;
    int level = edit_level(x, p, sound, t, token_length(x, t));
    if (!level) continue;
    c->stamp[t] = c->stamp_now;
    if (push(out, t, level)) return -1;
  }
  return 0;
}

static int begin(const Image *x, Context *c, const char *word, int length, int given, NeighbourList *out) {
  out->count = 0;
  if (++c->stamp_now == 0) {
    memset(c->stamp, 0, x->tokens * sizeof *c->stamp);
    c->stamp_now = 1;
  }
  u32 self = token_id(x, word, length);
  if (self) {
    c->stamp[self] = c->stamp_now;
    if (push(out, self, EXACT)) return -1;
  }
  if (push_listed(x, c, &SPELLINGS, word, length, VARIANT, out)) return -1;
  return given ? push_listed(x, c, &NICKNAMES, word, length, NICKNAME, out) : 0;
}

/* Short forms of a word shown as surname, in case it is the given name: after all that it may be as a surname. */
static int by_nickname(const Image *x, Context *c, const char *word, int length, int cut_min, NeighbourList *out) {
  u32 from, to;
  look_up(&NICKNAMES, word, length, &from, &to);
  for (u32 i = from; i < to; i++) {
    const char *other = NICKNAMES.text + NICKNAMES.text_off[NICKNAMES.ids[i]];
    int n = (int)(NICKNAMES.text_off[NICKNAMES.ids[i] + 1] - NICKNAMES.text_off[NICKNAMES.ids[i]]), small = n < length ? n : length;
    if (small >= cut_min && !memcmp(word, other, (size_t)small)) continue; /* rather cut off, even where no row bears it so */
    u32 t = token_id(x, other, n);
    if (!t || c->stamp[t] == c->stamp_now) continue;
    c->stamp[t] = c->stamp_now;
    if (push(out, t, NICKNAME)) return -1;
  }
  return 0;
}

int neighbours(const Image *x, Context *c, const char *word, int length, int given, int cut_min, int light, NeighbourList *out) {
  if (begin(x, c, word, length, given, out)) return -1;
  if (length < 2) return 0;
  Pattern p;
  make_pattern(&p, word, length);
  u32 sound = sound_key(word, length);
  if (by_deletion(x, c, &p, sound, word, length, light, out)) return -1;
  if (light) return 0; /* no guesses: one edit at most */
  if (by_sound(x, c, &p, sound, word, length, out) || by_cutting(x, c, word, length, given, cut_min, out)) return -1;
  return given ? 0 : by_nickname(x, c, word, length, cut_min, out);
}

int neighbours_all(const Image *x, Context *c, const char *word, int length, int given, int cut_min, int light, NeighbourList *out) {
  if (begin(x, c, word, length, given, out)) return -1;
  if (length < 2) return 0;
  Pattern p;
  make_pattern(&p, word, length);
  u32 sound = sound_key(word, length);
  const u32 *count = given ? x->count_g : x->count_s;
  for (u32 t = 1; t < x->tokens; t++) {
    if (c->stamp[t] == c->stamp_now) continue;
    int n = token_length(x, t), level = edit_level(x, &p, sound, t, n), small = n < length ? n : length;
    if (!level && small >= cut_min && count[t] && !memcmp(word, x->tok_text + x->tok_off[t], (size_t)small)) level = CUT;
    if (light && level >= EDIT2) level = NONE;
    if (!level) continue;
    c->stamp[t] = c->stamp_now;
    if (push(out, t, level)) return -1;
  }
  return given ? 0 : by_nickname(x, c, word, length, cut_min, out);
}
