/* Laying an image out: tokens numbered alphabetically, rows sorted by day and family, everything written at once. */
#include "build.h"

#include <math.h>
#include <stdlib.h>

static const Builder *sorting; /* qsort has no argument for it; builds hold the GIL */
static int by_letters(const void *p, const void *q) {
  u32 n, m;
  const char *s = token_at(sorting, *(const u32 *)p, &n), *t = token_at(sorting, *(const u32 *)q, &m);
  int order = memcmp(s, t, n < m ? n : m);
  return order ? order : (int)n - (int)m;
}
static int by_hash(const void *p, const void *q) {
  const IdHash *a = p, *b = q;
  if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
  return a->row < b->row ? -1 : a->row > b->row;
}
static int by_code(const void *p, const void *q) {
  u32 a = *(const u32 *)p, b = *(const u32 *)q;
  return a < b ? -1 : a > b;
}

typedef struct { /* what the sections are written from; all of it freed at the end, whatever happens */
  u32 *new_of, *old_of;            /* token numbers: first sight ◄─► alphabetical */
  u32 *order, *place, *row_family; /* rows by date, then family; where each went; its family */
  Multi *multis;
  u32 families, multi_count, delete_count, phon_count, postal_count;
  u32 *multi_hash, multi_bits;
  u32 *del_off, *phon_off, *phon_key, *day_off, *fam_off, *codes;
  u32 multi_rows, undated_families, partial_rows;
  u8 *less; /* of each row as it came, what its given name is worth less beside its surname */
} Work;

static u32 family_number(Work *w, u32 tokens, u32 s1, u32 s2, u32 sj) {
  if (!s2 && !sj) return s1;
  u32 mask = (1u << w->multi_bits) - 1;
  u32 h = (u32)(mix(s1 * 0x9e3779b97f4a7c15ULL + s2 * 0xc2b2ae3d27d4eb4fULL + sj) >> (64 - w->multi_bits));
  for (; w->multi_hash[h]; h = (h + 1) & mask) {
    Multi *m = &w->multis[w->multi_hash[h] - 1];
    if (m->first == s1 && m->second == s2 && m->joined == sj) return tokens + w->multi_hash[h] - 1;
  }
  w->multis[w->multi_count] = (Multi){s1, s2, sj};
  w->multi_hash[h] = ++w->multi_count;
  return tokens + w->multi_count - 1;
}

static int distinct_deletions(const char *word, int length, u64 *out) {
  int n = deletions(word, length, 2, out), k = 0;
  for (int i = 0; i < n; i++) {
    int again = 0;
    for (int j = 0; j < k && !again; j++) again = out[j] == out[i];
    if (!again) out[k++] = out[i];
  }
  return k;
}

static double unseen_chance(const u32 *counts, u32 tokens, double rows) { /* score.unseen_chance */
  u32 once = 0, twice = 0;
  for (u32 t = 1; t < tokens; t++) once += counts[t] == 1, twice += counts[t] == 2;
  double estimate = once ? 2.0 * twice / ((double)once * rows) : 0.5 / rows;
  return fmax(0.1 / rows, fmin(1.0 / rows, estimate));
}

static void initial_weights(const u64 *counts, int *out) {
  u64 total = 0;
  for (int i = 0; i < 26; i++) total += counts[i];
  for (int i = 0; i < 26; i++) {
    int w = counts[i] ? eighths(W.INITIAL_M, (double)counts[i] / (double)total) : 1;
    out[i] = w < 1 ? 1 : w > W.INITIAL_MAX ? W.INITIAL_MAX : w;
  }
}

enum { MANY_DELETIONS = 1 << 20 }; /* from here on four to a bucket at most: more buckets are faster, and a larger index */

static u32 bits_for(u64 count) {
  u32 bits = 4;
  while (bits < 31 && 1ull << bits < count) bits++;
  return bits;
}

static void sum_up(u32 *off, u64 n) { /* counts at [i + 1] become starts at [i] */
  for (u64 i = 0; i < n; i++) off[i + 1] += off[i];
}

static const Multi *sorting_multis;
static int by_surnames(const void *p, const void *q) {
  const Multi *a = &sorting_multis[*(const u32 *)p], *b = &sorting_multis[*(const u32 *)q];
  if (a->first != b->first) return a->first < b->first ? -1 : 1;
  if (a->second != b->second) return a->second < b->second ? -1 : 1;
  return a->joined < b->joined ? -1 : a->joined > b->joined;
}

/* Each row's family: the multiple ones by their surnames, so that those of one first surname stand together. */
static int number_families(const Builder *b, Work *w) {
  u32 V = b->tokens, R = COUNT(b->rows, RawRow);
  const RawRow *rows = AT(b->rows, RawRow);
  for (u32 r = 0; r < R; r++) w->row_family[r] = family_number(w, V, w->new_of[rows[r].s1], w->new_of[rows[r].s2], w->new_of[rows[r].sj]);
  u32 M = w->multi_count, *from = malloc((M + 1) * 4ull), *to = malloc((M + 1) * 4ull);
  Multi *sorted = malloc((M + 1) * sizeof(Multi));
  if (from && to && sorted) {
    for (u32 m = 0; m < M; m++) from[m] = m;
    sorting_multis = w->multis;
    qsort(from, M, 4, by_surnames);
    for (u32 m = 0; m < M; m++) {
      to[from[m]] = m;
      sorted[m] = w->multis[from[m]];
    }
    memcpy(w->multis, sorted, M * sizeof(Multi));
    for (u32 r = 0; r < R; r++)
      if (w->row_family[r] >= V) w->row_family[r] = V + to[w->row_family[r] - V];
  }
  int failed = !from || !to || !sorted;
  free(from);
  free(to);
  free(sorted);
  w->families = V + M;
  return failed;
}

/* Rows by day, those of a day by family, those of a family as they came: two counting sorts. */
static int sort_rows(const Builder *b, Work *w) {
  u32 R = COUNT(b->rows, RawRow), *by_family = malloc((R + 1) * 4ull), *next = malloc((DAYS + 2) * 4ull);
  const RawRow *rows = AT(b->rows, RawRow);
  w->fam_off = calloc(w->families + 2ull, 4);
  u32 *at = w->fam_off ? malloc((w->families + 1ull) * 4) : NULL;
  int failed = !by_family || !next || !at;
  if (!failed) {
    for (u32 r = 0; r < R; r++) w->fam_off[w->row_family[r] + 1]++, w->day_off[rows[r].bucket + 1]++;
    sum_up(w->fam_off, w->families);
    sum_up(w->day_off, DAYS + 1);
    memcpy(at, w->fam_off, w->families * 4ull);
    memcpy(next, w->day_off, (DAYS + 1) * 4ull);
    for (u32 r = 0; r < R; r++) by_family[at[w->row_family[r]]++] = r;
    for (u32 i = 0; i < R; i++) {
      u32 r = by_family[i];
      w->place[r] = next[rows[r].bucket]++;
      w->order[w->place[r]] = r;
      w->multi_rows += w->row_family[r] >= b->tokens;
      w->partial_rows += rows[r].partial != 0;
    }
    for (u32 i = w->day_off[DAYS]; i < R; i++)
      w->undated_families += i == w->day_off[DAYS] || w->row_family[w->order[i]] != w->row_family[w->order[i - 1]];
  }
  free(by_family);
  free(next);
  free(at);
  return failed;
}

static int prepare(Builder *b, Work *w, Header *head) {
  u32 V = b->tokens, R = COUNT(b->rows, RawRow);
  w->new_of = malloc((V + 1) * 4ull);
  w->old_of = malloc((V + 1) * 4ull);
  w->order = malloc((R + 1) * 4ull);
  w->place = malloc((R + 1) * 4ull);
  w->row_family = malloc((R + 1) * 4ull);
  w->multis = malloc((R + 1) * sizeof(Multi));
  w->multi_bits = bits_for(2ull * R + 2);
  w->multi_hash = calloc((size_t)1 << w->multi_bits, 4);
  w->day_off = calloc(DAYS + 3, 4);
  w->phon_key = calloc(V + 1, 4);
  if (!w->new_of || !w->old_of || !w->order || !w->place || !w->row_family || !w->multis || !w->multi_hash || !w->day_off || !w->phon_key)
    return -1;
  for (u32 t = 0; t < V; t++) w->old_of[t] = t;
  sorting = b;
  qsort(w->old_of + 1, V - 1, 4, by_letters);
  for (u32 t = 0; t < V; t++) w->new_of[w->old_of[t]] = t;

  if (number_families(b, w) || sort_rows(b, w) || !(w->less = origins(b))) return -1;
  head->phon_bits = bits_for(V / 4 + 1);
  w->phon_off = calloc((1ull << head->phon_bits) + 2, 4);
  if (!w->phon_off) return -1;

  u64 total = 0, hashes[MAX_DELETIONS];
  for (u32 t = 1; t < V; t++) {
    u32 n;
    const char *s = token_at(b, w->old_of[t], &n);
    total += n < 2 ? 0 : (u64)distinct_deletions(s, (int)n, hashes);
    w->phon_key[t] = sound_key(s, (int)n);
    if (w->phon_key[t] && n >= 4) w->phon_off[(w->phon_key[t] >> (32 - head->phon_bits)) + 1]++, w->phon_count++;
  }
  sum_up(w->phon_off, 1ull << head->phon_bits);
  head->delete_bits = bits_for(total > MANY_DELETIONS ? total / 4 : total);
  head->sieve_bits = bits_for(total * 4 + 64); /* a fifth of the hashes that are not there pass */
  w->del_off = calloc((1ull << head->delete_bits) + 2, 4);
  if (!w->del_off || total > 0xfffffff0u) return -1;
  for (u32 t = 1; t < V; t++) {
    u32 n;
    const char *s = token_at(b, w->old_of[t], &n);
    int k = n < 2 ? 0 : distinct_deletions(s, (int)n, hashes);
    for (int i = 0; i < k; i++) w->del_off[(hashes[i] >> (64 - head->delete_bits)) + 1]++;
  }
  sum_up(w->del_off, 1ull << head->delete_bits);
  w->delete_count = (u32)total;

  w->codes = malloc((b->entries * 2ull + 1) * 4);
  if (!w->codes) return -1;
  u32 n = 0;
  for (u32 e = 0; e < b->entries; e++)
    for (int i = 0; i < 2; i++)
      if (AT(b->fields, Fields)[e].postal[i]) w->codes[n++] = AT(b->fields, Fields)[e].postal[i];
  qsort(w->codes, n, 4, by_code);
  for (u32 i = 0; i < n; i++) w->postal_count += i == 0 || w->codes[i] != w->codes[i - 1];
  w->codes[n] = 0;
  return 0;
}

static void lay_out(const Builder *b, const Work *w, Header *h) {
  u64 V = b->tokens, R = COUNT(b->rows, RawRow), M = w->multi_count, at = (sizeof *h + 63) / 64 * 64;
  u64 undated = R - w->day_off[DAYS];
  u64 size[SECTIONS] = {
      [TOK_OFF] = (V + 1) * 4, [TOK_TEXT] = b->token_text.used, [TOK_SIG] = V * 8, [COUNT_S] = V * 4, [COUNT_G] = V * 4,
      [BORNE_S] = (V / 64 + 1) * 8, [BORNE_G] = (V / 64 + 1) * 8,
      [TOK_HASH] = 4ull << h->hash_bits, [DEL_OFF] = ((1ull << h->delete_bits) + 1) * 4, [DEL_IDS] = (w->delete_count + 16ull) * 4,
      [DEL_SIEVE] = (1ull << h->sieve_bits) / 8 + 8,
      [PHON_OFF] = ((1ull << h->phon_bits) + 1) * 4, [PHON_IDS] = w->phon_count * 4ull, [PHON_KEY] = V * 4,
      [MULTI] = M * sizeof(Multi), [MULTI_OFF] = (V + 1) * 4, [MULTI_OF] = M * 3 * sizeof(MultiOf), [DAY] = (DAYS + 2) * sizeof(DayStart),
      [ROW_KEY] = R * 2 + 64, [MULTI_KEY] = w->multi_rows * sizeof(MultiKey),
      [ROW_F] = R * 4, [ROW_REST] = R * sizeof(RowRest), [FAM] = (w->families + 1ull) * sizeof(Family), [FAM_ROW] = R * 4, [FAM_GIVEN] = R * 4,
      [UNDATED_GIVEN] = undated * 4, [UNDATED_OF] = (w->families / 64 + 1) * sizeof(UndatedOf),
      [UNDATED_OFF] = (w->undated_families + 1ull) * 4, [UNDATED_TOKEN] = (V / 64 + 1) * 8, [BY_GIVEN_OFF] = (BY_GIVEN_BUCKETS + 1) * 4, [BY_GIVEN] = undated * 2 * 4,
      [PARTIAL_OF] = undated * 4, [PARTIAL] = b->partials.used,
      [PARTIAL_OFF] = (h->partials + 1ull) * 4, [PARTIAL_ROW] = w->partial_rows * sizeof(PartialRow), [ID_OFF] = b->id_off.used, [ID_TEXT] = b->id_text.used,
      [DIGEST] = b->digest.used, [SEX] = b->sex.used, [FIELDS] = b->has_fields ? b->fields.used : 0, [ID_HASH] = b->id_hash.used,
      [POSTAL] = w->postal_count * sizeof(CodeCount), [POSTAL3] = 1000 * 4, [REGIONS] = 704 * 4, [EYES] = 16 * 4};
  for (int s = 0; s < SECTIONS; s++) {
    h->offset[s] = at;
    h->length[s] = size[s];
    at = (at + size[s] + 63) / 64 * 64;
  }
  h->size = at;
}

static void write_tokens(const Builder *b, const Work *w, const Header *h, char *image) {
#define SECTION(s, type) ((type *)(image + h->offset[s]))
  u32 V = b->tokens, *off = SECTION(TOK_OFF, u32), *hash = SECTION(TOK_HASH, u32), mask = (1u << h->hash_bits) - 1, at = 0;
  u64 hashes[MAX_DELETIONS];
  for (u32 t = 0; t < V; t++) {
    u32 n, old = w->old_of[t];
    const char *s = token_at(b, old, &n);
    if (t == 0) n = 0;
    off[t] = at;
    if (n) memcpy(SECTION(TOK_TEXT, char) + at, s, n);
    at += n;
    SECTION(TOK_SIG, u64)[t] = signature(s, (int)n);
    SECTION(COUNT_S, u32)[t] = AT(b->token_s, u32)[old];
    SECTION(COUNT_G, u32)[t] = AT(b->token_g, u32)[old];
    SECTION(PHON_KEY, u32)[t] = w->phon_key[t];
    if (!n) continue;
    u32 i = (u32)(hash_word(s, (int)n) >> (64 - h->hash_bits));
    while (hash[i]) i = (i + 1) & mask;
    hash[i] = t;
    /* The two lists below are filled from their ends: off[i] counts down to its start. */
    if (w->phon_key[t] && n >= 4) SECTION(PHON_IDS, u32)[w->phon_off[w->phon_key[t] >> (32 - h->phon_bits)]++] = t;
    int k = n < 2 ? 0 : distinct_deletions(s, (int)n, hashes);
    for (int j = 0; j < k; j++) {
      u64 bit = del_sieve_bit(hashes[j], h->sieve_bits);
      SECTION(DEL_IDS, u32)[w->del_off[hashes[j] >> (64 - h->delete_bits)]++] = t | del_tag(hashes[j], (int)n);
      SECTION(DEL_SIEVE, u64)[bit >> 6] |= 1ULL << (bit & 63);
    }
  }
  off[V] = at;
  /* Filling moved every start to its end, which is the next one's start. */
  u32 *phon = SECTION(PHON_OFF, u32), *del = SECTION(DEL_OFF, u32);
  phon[0] = del[0] = 0;
  memcpy(phon + 1, w->phon_off, 4ull << h->phon_bits);
  memcpy(del + 1, w->del_off, 4ull << h->delete_bits);
}

static int write_families(const Builder *b, const Work *w, const Header *h, char *image) {
  u32 V = b->tokens, M = w->multi_count, *off = SECTION(MULTI_OFF, u32);
  MultiOf *of = SECTION(MULTI_OF, MultiOf);
  if (M) memcpy(SECTION(MULTI, Multi), w->multis, M * sizeof(Multi));
  u32 *next = calloc(V + 2ull, 4);
  if (!next) return -1;
  for (int pass = 0; pass < 2; pass++) {
    for (u32 m = 0; m < M; m++) {
      u32 part[3] = {w->multis[m].first, w->multis[m].second, w->multis[m].joined};
      for (int i = 0; i < 3; i++)
        if (part[i] && (i == 0 || part[i] != part[0]) && (i < 2 || part[2] != part[1])) {
          if (pass) of[next[part[i]]++] = (MultiOf){m, i == 0 ? part[1] : i == 1 ? part[0] : 0};
          else next[part[i] + 1]++;
        }
    }
    if (!pass) {
      sum_up(next, V);
      memcpy(off, next, (V + 1) * 4ull);
    }
  }
  free(next);
  return 0;
}

/* The rows without an exact day by given name; a middle name in the same bucket lists its row once. */
static void write_by_given(u32 undated, const Header *h, char *image) {
  const u32 *given = SECTION(UNDATED_GIVEN, u32);
  u32 *off = SECTION(BY_GIVEN_OFF, u32), *rows = SECTION(BY_GIVEN, u32);
  for (int pass = 0; pass < 2; pass++) {
    for (u32 i = undated; i-- > 0;) { /* from the last row: off[bucket + 1] counts down from the bucket's end to its start */
      u32 first = given_bucket(given[i] & 0xffff), second = given_bucket(given[i] >> 16);
      if (pass) rows[--off[first + 1]] = i;
      else off[first + 1]++;
      if (second == first) continue;
      if (pass) rows[--off[second + 1]] = i;
      else off[second + 1]++;
    }
    if (!pass) sum_up(off, BY_GIVEN_BUCKETS);
  }
  u32 total = 0;
  for (u32 i = 0; i < undated; i++) total += 1 + (given_bucket(given[i] & 0xffff) != given_bucket(given[i] >> 16));
  memmove(off, off + 1, BY_GIVEN_BUCKETS * 4);
  off[BY_GIVEN_BUCKETS] = total;
}

/* The rows whose date is known in part, by the number of what is known. */
static void write_partial(const Header *h, char *image) {
  u32 undated = SECTION(DAY, DayStart)[DAYS].row, *off = SECTION(PARTIAL_OFF, u32), multis = SECTION(DAY, DayStart)[DAYS].multi;
  const u32 *partial = SECTION(PARTIAL_OF, u32);
  for (u32 r = undated; r < h->rows; r++)
    if (partial[r - undated]) off[partial[r - undated] + 1]++;
  sum_up(off, h->partials);
  for (u32 r = undated; r < h->rows; r++) {
    int multi = SECTION(ROW_F, u32)[r] >= h->tokens;
    u16 first = SECTION(ROW_KEY, u16)[r];
    MultiKey other = multi ? SECTION(MULTI_KEY, MultiKey)[multis++] : (MultiKey){first, first};
    if (partial[r - undated])
      SECTION(PARTIAL_ROW, PartialRow)[off[partial[r - undated]]++] =
          (PartialRow){r, SECTION(UNDATED_GIVEN, u32)[r - undated], first, other.second, other.joined, 0};
  }
  memmove(off + 1, off, h->partials * 4ull); /* filling moved every start to its end */
  off[0] = 0;
}

static void write_rows(const Builder *b, const Work *w, const Header *h, char *image) {
  u32 R = COUNT(b->rows, RawRow), undated = w->day_off[DAYS], multis = 0, families = 0;
  for (u32 i = 0, day = 0; i < R; i++) {
    u32 r = w->order[i];
    const RawRow *row = &AT(b->rows, RawRow)[r];
    for (; day <= row->bucket; day++) SECTION(DAY, DayStart)[day] = (DayStart){i, multis};
    u32 f = w->row_family[r], g1 = w->new_of[row->g1], g2 = w->new_of[row->g2], k = w->fam_off[f]++;
    u32 surnames[3] = {w->new_of[row->s1], w->new_of[row->s2], w->new_of[row->sj]};
    SECTION(ROW_KEY, u16)[i] = (u16)fold16(surnames[0]);
    if (f >= b->tokens)
      SECTION(MULTI_KEY, MultiKey)[multis++] = (MultiKey){(u16)fold16(surnames[surnames[1] ? 1 : 0]), (u16)fold16(surnames[surnames[2] ? 2 : 0])};
    SECTION(ROW_F, u32)[i] = f;
    SECTION(ROW_REST, RowRest)[i] = (RowRest){g1, g2 | (u32)w->less[r] << 26, row->rest};
    SECTION(FAM_ROW, u32)[k] = i;
    SECTION(FAM_GIVEN, u32)[k] = fold16(g1) | fold16(g2) << 16;
    for (int n = 0; n < 3; n++) SECTION(BORNE_S, u64)[surnames[n] >> 6] |= 1ULL << (surnames[n] & 63);
    SECTION(BORNE_G, u64)[g1 >> 6] |= 1ULL << (g1 & 63);
    SECTION(BORNE_G, u64)[g2 >> 6] |= 1ULL << (g2 & 63);
    if (i >= undated) {
      UndatedOf *of = &SECTION(UNDATED_OF, UndatedOf)[f >> 6];
      for (int n = 0; n < 3; n++) SECTION(UNDATED_TOKEN, u64)[surnames[n] >> 6] |= 1ULL << (surnames[n] & 63);
      if (!(of->has >> (f & 63) & 1)) {
        if (!of->has) of->before = families;
        of->has |= 1ULL << (f & 63);
        SECTION(UNDATED_OFF, u32)[families++] = i - undated;
      }
      SECTION(PARTIAL_OF, u32)[i - undated] = row->partial;
      SECTION(UNDATED_GIVEN, u32)[i - undated] = fold16(g1) | fold16(g2) << 16;
    }
  }
  for (u32 day = R ? AT(b->rows, RawRow)[w->order[R - 1]].bucket + 1 : 0; day < DAYS + 2; day++) SECTION(DAY, DayStart)[day] = (DayStart){R, multis};
  SECTION(UNDATED_OFF, u32)[families] = R - undated;
  write_by_given(R - undated, h, image);
  write_partial(h, image);
  for (u32 f = 0; f <= w->families; f++) { /* filling moved every start to its end */
    u32 from = f ? w->fam_off[f - 1] : 0;
    SECTION(FAM, Family)[f] = (Family){from, from < R ? SECTION(FAM_GIVEN, u32)[from] : 0};
  }
}

static void write_entries(const Builder *b, const Work *w, Header *h, char *image) {
  u32 R = COUNT(b->rows, RawRow), n = COUNT(b->id_hash, IdHash);
  const struct { int section; const Bytes *from; } plain[] = {{PARTIAL, &b->partials}, {ID_OFF, &b->id_off}, {ID_TEXT, &b->id_text},
                                                             {DIGEST, &b->digest}, {SEX, &b->sex}, {ID_HASH, &b->id_hash}};
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
    if (plain[i].from->used) memcpy(image + h->offset[plain[i].section], plain[i].from->at, plain[i].from->used);
  IdHash *ids = SECTION(ID_HASH, IdHash);
  for (u32 i = 0; i < n; i++) ids[i].row = w->place[ids[i].row];
  qsort(ids, n, sizeof *ids, by_hash);
  u32 *eyes = SECTION(EYES, u32), *regions = SECTION(REGIONS, u32), *postal3 = SECTION(POSTAL3, u32);
  h->with_postal = h->with_region = (u32)W.BACKGROUND_PLACES;
  for (int i = 0; i < 16; i++) h->with_eyes += eyes[i] = (u32)W.background_eyes[i];
  if (b->has_fields) memcpy(SECTION(FIELDS, Fields), b->fields.at, b->fields.used);
  for (u32 e = 0; b->has_fields && e < b->entries; e++) {
    const Fields *f = &AT(b->fields, Fields)[e];
    if (f->eye) eyes[f->eye]++, h->with_eyes++;
    h->with_postal += f->postal[0] != 0;
    h->with_region += f->region[0] != 0;
    u32 near[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
      if (f->region[i]) regions[f->region[i]]++;
      if (f->postal[i] && f->postal[i] < 100000) near[i] = f->postal[i] / 100 + 1;
    }
    if (near[0]) postal3[near[0] - 1]++;
    if (near[1] && near[1] != near[0]) postal3[near[1] - 1]++;
  }
  CodeCount *codes = SECTION(POSTAL, CodeCount) - 1;
  for (u32 i = 0; w->codes[i]; i++) {
    if (i == 0 || w->codes[i] != w->codes[i - 1]) *++codes = (CodeCount){w->codes[i], 0};
    codes->count++;
  }
  u64 given[26] = {0}, middle[26] = {0};
  for (u32 t = 1; t < b->tokens; t++) { /* the background's letters: its given names are in the counts and nowhere else */
    u32 len;
    const char *s = token_at(b, t, &len);
    given[s[0] - 'A'] += AT(b->token_g, u32)[t];
  }
  memcpy(middle, given, sizeof given);
  for (u32 r = 0; r < R; r++) { /* counts hold g1 and g2 once each if they differ: take the others' share out again */
    const RawRow *row = &AT(b->rows, RawRow)[r];
    u32 len;
    u32 first = row->g1 ? (u32)(*token_at(b, row->g1, &len) - 'A') : 26, second = row->g2 ? (u32)(*token_at(b, row->g2, &len) - 'A') : 26;
    if (second < 26 && row->g2 != row->g1) given[second]--;
    if (first < 26) middle[first]--;
    if (second < 26 && row->g2 == row->g1) middle[second]++;
  }
  initial_weights(given, h->given_initial);
  initial_weights(middle, h->middle_initial);
}

void *builder_finish(Builder *b, void *(*allocate)(void *, u64), void *token) {
  Work w = {0};
  Header head = {.version = INDEX_VERSION, .order = 0x01020304};
  char *image = NULL;
  memcpy(head.magic, INDEX_MAGIC, sizeof head.magic);
  head.hash_bits = bits_for(b->tokens * 3ull / 2);
  if (prepare(b, &w, &head) == 0) {
    u32 R = COUNT(b->rows, RawRow);
    double rows = (double)R + W.BACKGROUND_ROWS;
    head.entries = b->entries;
    head.rows = R;
    head.tokens = b->tokens;
    head.families = w.families;
    head.postal_codes = w.postal_count;
    head.partials = COUNT(b->partials, PartialDate);
    head.id_hashes = COUNT(b->id_hash, IdHash);
    head.unseen_family = unseen_chance(AT(b->token_s, u32), b->tokens, rows);
    head.unseen_given = unseen_chance(AT(b->token_g, u32), b->tokens, rows);
    memcpy(head.revision, b->revision, 16);
    lay_out(b, &w, &head);
    image = allocate(token, head.size);
    if (image) {
      memset(image, 0, head.size);
      write_tokens(b, &w, &head, image);
      if (write_families(b, &w, &head, image)) image = NULL;
    }
    if (image) {
      write_rows(b, &w, &head, image);
      write_entries(b, &w, &head, image);
      memcpy(image, &head, sizeof head);
      head.checksum = image_checksum(image, head.size);
      memcpy(image, &head, sizeof head);
    }
  }
  void *all[] = {w.new_of, w.old_of, w.order, w.place, w.row_family, w.multis, w.multi_hash, w.del_off,
                 w.phon_off, w.phon_key, w.day_off, w.fam_off, w.codes, w.less};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
  return image;
}
