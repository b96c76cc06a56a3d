/* Making an image: rows are collected as they come, then everything is numbered, sorted and laid out at once. */
#ifndef WATCHLISTS_BUILD_H
#define WATCHLISTS_BUILD_H

#include "kernel.h"

typedef struct {
  void *at;
  u64 used, room; /* bytes */
} Bytes;
typedef struct {
  u32 s1, s2, sj, g1, g2, rest, bucket, partial;
} RawRow;
typedef struct {
  Bytes token_text, token_off, token_s, token_g; /* tokens in order of first sight; 0 is the empty one */
  u32 *token_hash, token_bits, tokens;
  Bytes rows, partials;
  Bytes id_text, id_off, digest, sex, fields, id_hash;
  u32 entries, has_fields;
  u64 revision[2];
} Builder;

#define COUNT(bytes, type) ((u32)((bytes).used / sizeof(type)))
#define AT(bytes, type) ((type *)(bytes).at)
const char *token_at(const Builder *b, u32 t, u32 *length);

int builder_begin(Builder *b);
void builder_end(Builder *b);
int builder_background(Builder *b, const char *word, int length, u32 family, u32 given);
int builder_entry(Builder *b, const char *id, size_t id_length, const u8 digest[24], int sex, const Fields *fields);
int builder_row(Builder *b, const NameTokens *name, int fused, const Words *middle, int weak, u32 bucket, u32 partial);
u32 builder_partial(Builder *b, PartialDate date); /* its number, or 0 out of memory */
int builder_id_hash(Builder *b, u64 hash, u32 first_row, u32 end_row);
u8 *origins(const Builder *b); /* for each row what its given name is worth less beside its surname; to be freed, NULL out of memory */
/* The image's bytes through `allocate` (one call, the exact size); NULL if it or malloc fails. */
void *builder_finish(Builder *b, void *(*allocate)(void *, u64), void *token);

#endif
