/* Collecting what an image will hold, as the entries come. */
#include "build.h"

#include <stdlib.h>

static void *grow(Bytes *b, u64 more) {
  if (b->used + more > b->room) {
    u64 room = b->room ? b->room * 2 : 4096;
    while (room < b->used + more) room *= 2;
    void *at = realloc(b->at, room);
    if (!at) return NULL;
    b->at = at;
    b->room = room;
  }
  void *here = (char *)b->at + b->used;
  b->used += more;
  return here;
}
static int append(Bytes *b, const void *data, u64 size) {
  void *here = grow(b, size);
  if (!here) return -1;
  if (size) memcpy(here, data, size);
  return 0;
}

int builder_begin(Builder *b) {
  memset(b, 0, sizeof *b);
  u32 zero[2] = {0, 0};
  PartialDate none = {0, 0, 0, 0};
  b->token_bits = 12;
  b->token_hash = calloc((size_t)1 << b->token_bits, sizeof(u32));
  b->tokens = 1;
  return !b->token_hash || append(&b->token_off, zero, 8) || append(&b->token_s, zero, 4) || append(&b->token_g, zero, 4) ||
                 append(&b->id_off, zero, 4) || append(&b->partials, &none, sizeof none)
             ? -1
             : 0;
}

void builder_end(Builder *b) {
  Bytes *all[] = {&b->token_text, &b->token_off, &b->token_s, &b->token_g, &b->rows, &b->partials, &b->id_text, &b->id_off,
                  &b->digest, &b->sex, &b->fields, &b->id_hash};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]->at);
  free(b->token_hash);
  memset(b, 0, sizeof *b);
}

/* token_off[t] .. token_off[t + 1] are the letters of token t in order of first sight. */
const char *token_at(const Builder *b, u32 t, u32 *length) {
  const u32 *off = AT(b->token_off, u32);
  *length = off[t + 1] - off[t];
  return (const char *)b->token_text.at + off[t];
}

static u32 intern(Builder *b, const char *word, int length) { /* ~0 out of memory */
  if (!length) return 0;
  if (b->tokens == TOKEN_BITS) return ~0u; /* more names than the neighbour lists can number: 67 million */
  if (b->tokens * 2 > 1u << b->token_bits) {
    u32 bits = b->token_bits + 1, *more = calloc((size_t)1 << bits, sizeof(u32));
    if (!more) return ~0u;
    for (u32 t = 1; t < b->tokens; t++) {
      u32 n, h;
      const char *s = token_at(b, t, &n);
      for (h = (u32)(hash_word(s, (int)n) >> (64 - bits)); more[h]; h = (h + 1) & ((1u << bits) - 1)) {}
      more[h] = t;
    }
    free(b->token_hash);
    b->token_hash = more;
    b->token_bits = bits;
  }
  u32 mask = (1u << b->token_bits) - 1, h = (u32)(hash_word(word, length) >> (64 - b->token_bits));
  for (; b->token_hash[h]; h = (h + 1) & mask) {
    u32 n;
    const char *s = token_at(b, b->token_hash[h], &n);
    if ((int)n == length && !memcmp(s, word, n)) return b->token_hash[h];
  }
  u32 zero = 0, end = (u32)b->token_text.used + (u32)length;
  if (append(&b->token_text, word, (u64)length) || append(&b->token_off, &end, 4) || append(&b->token_s, &zero, 4) ||
      append(&b->token_g, &zero, 4))
    return ~0u;
  return b->token_hash[h] = b->tokens++;
}

int builder_background(Builder *b, const char *word, int length, u32 family, u32 given) {
  u32 t = intern(b, word, length);
  if (t == ~0u) return -1;
  AT(b->token_s, u32)[t] += family;
  AT(b->token_g, u32)[t] += given;
  return 0;
}

int builder_entry(Builder *b, const char *id, size_t id_length, const u8 digest[24], int sex, const Fields *fields) {
  u8 s = (u8)sex;
  if (b->id_text.used + id_length > 0xfffffff0u) return -1;
  u32 end = (u32)(b->id_text.used + id_length);
  u64 lanes[2];
  memcpy(lanes, digest + 8, 16);
  b->revision[0] += lanes[0];
  b->revision[1] += lanes[1];
  static const Fields none;
  if (memcmp(fields, &none, sizeof none)) b->has_fields = 1;
  b->entries++;
  return append(&b->id_text, id, id_length) || append(&b->id_off, &end, 4) || append(&b->digest, digest, 8) ||
                 append(&b->sex, &s, 1) || append(&b->fields, fields, sizeof *fields)
             ? -1
             : 0;
}

int builder_row(Builder *b, const NameTokens *n, int fused, const Words *middle, int weak, u32 bucket, u32 partial) {
  u32 s1 = intern(b, n->text[SLOT_S1], n->length[SLOT_S1]), s2 = intern(b, n->text[SLOT_S2], n->length[SLOT_S2]);
  u32 sj = intern(b, n->text[SLOT_SJ], n->length[SLOT_SJ]), g1, g2;
  if (fused) {
    g1 = intern(b, n->text[SLOT_GJ], n->length[SLOT_GJ]);
    g2 = middle->count ? intern(b, middle->text[0], middle->length[0]) : 0;
  } else {
    g1 = intern(b, n->text[SLOT_G1], n->length[SLOT_G1]);
    g2 = intern(b, n->text[SLOT_G2], n->length[SLOT_G2]);
  }
  if (s1 == ~0u || s2 == ~0u || sj == ~0u || g1 == ~0u || g2 == ~0u) return -1;
  u32 *in_family = AT(b->token_s, u32), *in_given = AT(b->token_g, u32);
  if (s1) in_family[s1]++;
  if (s2 && s2 != s1) in_family[s2]++;
  if (sj && sj != s1 && sj != s2) in_family[sj]++;
  if (g1) in_given[g1]++;
  if (g2 && g2 != g1) in_given[g2]++;
  RawRow row = {s1, s2, sj, g1, g2, (b->entries - 1) | (u32)n->suffix << ENTRY_BITS | (u32)weak << 31, bucket, partial};
  return append(&b->rows, &row, sizeof row);
}

u32 builder_partial(Builder *b, PartialDate date) {
  u32 n = COUNT(b->partials, PartialDate);
  for (u32 i = 1; i < n; i++)
    if (!memcmp(&AT(b->partials, PartialDate)[i], &date, sizeof date)) return i;
  return append(&b->partials, &date, sizeof date) ? 0 : n;
}

int builder_id_hash(Builder *b, u64 hash, u32 first_row, u32 end_row) {
  for (u32 r = first_row; r < end_row; r++) {
    IdHash one = {hash, r, 0};
    if (append(&b->id_hash, &one, sizeof one)) return -1;
  }
  return 0;
}
