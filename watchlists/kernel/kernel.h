/* The compiled matcher: exact, exhaustive in effect, and a thousand times faster than scoring every row.
 *
 * One registry is one IMAGE: a header and flat arrays, the same bytes in memory and on disk, opened by mmap and shared
 * between processes. Tokens are numbered alphabetically from 1; 0 is the empty token. All numbers little-endian.
 *
 *   HEADER    magic, version, byte order, size, checksum, revision, counts, (offset, length) of each section
 *
 *   token t   TOK_OFF[t] ─► TOK_TEXT      its letters, A-Z
 *             TOK_SIG[t]                  which letters it has, twice or once, and its length: a filter before any edit distance
 *             COUNT_S[t] COUNT_G[t]       rows that bear it as family / given name (with the background population)
 *             BORNE_S, BORNE_G            bitmaps: whether any row of the registry itself does
 *             TOK_HASH                    open addressing: letters ─► t
 *             DEL_OFF  ─► DEL_IDS         deletion index: hash of the first 7 letters less up to 2 ─► tokens, each with its
 *                                         length in four bits and two more of that hash: most are too long or too short
 *             DEL_SIEVE                   bitmap of the hashes that are there at all: most of those asked for are not
 *             PHON_OFF ─► PHON_IDS        sound key ─► tokens;  PHON_KEY[t]
 *
 *   family f  f < tokens: the single surname of token f; above: MULTI[f - tokens] = {first, second, run together}
 *             MULTI_OFF[t] ─► MULTI_OF    the multiple families that hold token t, each with its other surname
 *
 *   row r     one name with one birth date. Rows stand in order of birth date, those of a day by family, the multiple ones last:
 *
 *             DAY[d].row   ┐  ┌────────────────┬────────────────┬─ ─ ─┬──────────────────────┐
 *                          └─►│ 1900-01-01     │ 1900-01-02     │     │ no exact day         │
 *                             │ single ┆ multi │ single ┆ multi │     │ PARTIAL_OF ─► PARTIAL│
 *                             └────────┴───────┴────────┴───────┴─ ─ ─┴──────────────────────┘
 *             ROW_KEY[r] 16 bits of the (first) surname   pass A reads only this for the days a birth date may be near,
 *             DAY[d].multi ─► MULTI_KEY   and of the multiple rows 16 bits each of the second surname and of both run together
 *             ROW_F[r] family
 *             ROW_REST[r] {given, middle | what the given name is worth less beside its surname << 26, entry | suffix << 28 | weak << 31}
 *
 *             FAM[f].from ─► FAM_ROW, FAM_GIVEN  the same rows by family: row, and 16 bits each of given and middle;
 *             FAM[f].given = FAM_GIVEN[FAM[f].from]      pass B reads these for the families a name may be, whatever the
 *                                         birth date; most rare ones have one row, which is then at hand
 *             UNDATED_OF {bitmap of 64 families that have rows without an exact day, how many families before them have}
 *                 ─► UNDATED_OFF ─► UNDATED_GIVEN        of those rows, 16 bits each of given and middle
 *             UNDATED_TOKEN: bitmap of the tokens of such families
 *             PARTIAL_OFF ─► PARTIAL_ROW  of those rows, the ones whose date is known in part, by what is known of it
 *             BY_GIVEN_OFF ─► BY_GIVEN    the same rows by 12 bits of their given names, each once by given and once by middle
 *
 *   entry e   ID_OFF[e] ─► ID_TEXT, DIGEST[e], SEX[e], FIELDS[e] (none if no entry has any)
 *             ID_HASH {hash, row}         sorted by hash: rows of entries with that identity document
 *
 * Why nothing is lost: a row's score is bounded from above by its family's exact score plus the best any given name,
 * middle name, date and description could add. A row is left out only where that bound is under the threshold; where no
 * bound holds, all rows are scored. The weights themselves come from watchlists/score.py, read when the module loads.
 */
#ifndef WATCHLISTS_KERNEL_H
#define WATCHLISTS_KERNEL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#if defined(__GNUC__) || defined(__clang__)
#define PREFETCH(p) __builtin_prefetch(p)
#else
#define PREFETCH(p) ((void)0)
#endif

enum { MAX_TOKEN = 32, MAX_TOKENS = 8, MAX_TEXT = 512 };
enum { NONE, EXACT, VARIANT, NICKNAME, EDIT1_ALIKE, EDIT1, EDIT2, CUT, ALIKE, RARE_EDIT1_ALIKE, RARE_EDIT1, RARE_EDIT2, LEVELS };
enum { RARE_SHIFT = RARE_EDIT1 - EDIT1 }; /* the same edit, from a token hardly anyone in the registry bears */
enum { SLOT_S1, SLOT_S2, SLOT_SJ, SLOT_G1, SLOT_G2, SLOT_GJ, SLOTS };
enum { FIRST_YEAR = 1900, YEARS = 136, DAYS = YEARS * 372 };
enum { DAY_SAME, DAY_SWAPPED, DAY_YEAR, DAY_TRANSPOSED, DAY_DIGIT, DAY_KINDS, NO_WEIGHT = -32768 };
enum { ORIGINS = 16 }; /* score.ORIGINS: latent classes of names, see origins.c */
enum { MAX_DAYS = 80 }; /* days a birth date may be near: 7 + 6 digits of 10 at most */

/* The numbers of score.py, by name. */
#define SCORE_INTS(X)                                                                                                  \
  X(TOKEN_MAX) X(FAMILY_MAX) X(FAMILY_MISS) X(GIVEN_MISS) X(SECOND_SURNAME_MISSING) X(SECOND_SURNAME_DIFFERS)          \
  X(SURNAMES_REVERSED) X(GIVEN_IS_MIDDLE) X(NAMES_SWAPPED) X(MIDDLE_MAX) X(MIDDLE_DIFFERS) X(MIDDLE_SAME_LETTER)       \
  X(MIDDLE_INITIAL_DIFFERS) X(INITIAL_MAX) X(DOB_MISS) X(YEAR_MISS) X(SEX_AGREES) X(SEX_DIFFERS) X(WEAK_ALIAS)         \
  X(DESCRIPTION_MAX) X(SUFFIX_AGREES) X(SUFFIX_DIFFERS) X(ID_AGREES) X(POSTAL_MAX) X(REGION_DIFFERS) X(POSTAL_DIFFERS) \
  X(HEIGHT_DIFFERS) X(EYE_MAX) X(EYE_NEAR) X(EYE_DIFFERS) X(CUT_FAMILY_MIN) X(CUT_GIVEN_MIN) X(CUT_FLAGGED_MIN)        \
  X(BACKGROUND_ROWS) X(BACKGROUND_PLACES) X(BACKGROUND_A_REGION) X(UNIT) X(RARE_COUNT) X(TOGETHER_MAX)           \
  X(ORIGIN_LEAST) X(ORIGIN_ROWS) X(ORIGIN_ROUNDS)
#define SCORE_DOUBLES(X)                                                                                               \
  X(INITIAL_M) X(YEAR_SPAN) X(YEAR_M) X(POSTAL_M) X(POSTAL3_M) X(REGION_M) X(EYE_M) X(BACKGROUND_A_DAY) X(DOB_SAME)     \
  X(DOB_SWAPPED) X(DOB_YEAR) X(DOB_TRANSPOSED) X(DOB_DIGIT) X(ORIGIN_PRIOR)

typedef struct {
#define X(name) int name;
  SCORE_INTS(X)
#undef X
#define X(name) double name;
  SCORE_DOUBLES(X)
#undef X
  double family[LEVELS], given[LEVELS];                 /* chance of each level per outcome, 0 where there is no such level */
  double family_swapped[LEVELS], given_swapped[LEVELS], registered_wrong[LEVELS];
  int height_most[8], height_bits[8], height_steps;
  int background_eyes[16];
  u8 eye_near[16][16];
} Score;
extern Score W;

/* --- text.c --- */
typedef struct {
  char text[SLOTS][MAX_TOKEN];
  int length[SLOTS];
  int suffix;
} NameTokens;
typedef struct {
  char text[MAX_TOKENS][MAX_TOKEN];
  int length[MAX_TOKENS];
  int count;
} Words;
typedef struct {
  char text[16];
  int length, code;
} SmallWord;
extern SmallWord PARTICLES[64], SUFFIXES[16];
extern int PARTICLE_COUNT, SUFFIX_COUNT;

void fold_words(const char *text, size_t length, Words *out);
void name_tokens(const Words *family, const Words *given, const Words *middle, const Words *suffix, NameTokens *out);
u32 sound_key(const char *word, int length);
int deletions(const char *word, int length, int most, u64 *out);
enum { DELETE_PREFIX = 7, MAX_DELETIONS = 1 + 7 + 15 };

static inline u64 mix(u64 h) {
  h ^= h >> 32;
  h *= 0xd6e8feb86659fd93ULL;
  h ^= h >> 32;
  h *= 0xd6e8feb86659fd93ULL;
  return h ^ h >> 32;
}
static inline u64 hash_word(const char *word, int length) {
  u64 h = 1469598103934665603ULL + (u64)length;
  for (int i = 0; i < length; i++) h = (h ^ (u8)word[i]) * 1099511628211ULL;
  return mix(h);
}
/* Letters present (26 bits), present twice or more (26 bits), the first letter (6), length (6). One edit changes at most two
 * of the letter bits. */
static inline u64 signature(const char *word, int length) {
  u64 once = 0, twice = 0;
  for (int i = 0; i < length; i++) {
    u64 bit = 1ULL << (word[i] - 'A');
    twice |= once & bit;
    once |= bit;
  }
  return once | twice << 26 | (u64)(length ? word[0] - 'A' : 0) << 52 | (u64)length << 58;
}
static inline u64 drop_bit(u64 v) { return v & (v - 1); }
/* Whether the words of two signatures may be within two edits if they begin alike, within one if they do not. */
static inline int may_be_near(u64 a, u64 b) {
  u64 apart = a ^ b, letters = drop_bit(drop_bit(apart & ((1ULL << 52) - 1)));
  int longer = (int)(a >> 58) - (int)(b >> 58);
  if (apart >> 52 & 63) return !letters && longer >= -1 && longer <= 1;
  return !drop_bit(drop_bit(letters)) && longer >= -2 && longer <= 2;
}

/* Whether they may be within three edits, wherever these are. */
static inline int may_be_three_apart(u64 a, u64 b) {
  u64 letters = (a ^ b) & ((1ULL << 52) - 1);
  for (int i = 0; i < 6; i++) letters = drop_bit(letters);
  int longer = (int)(a >> 58) - (int)(b >> 58);
  return !letters && longer >= -3 && longer <= 3;
}

/* Optimal string alignment distance, bit-parallel (Hyyrö 2003), for words of at most 64 letters. */
typedef struct {
  u64 letters[32];
  int length;
} Pattern;
static inline void make_pattern(Pattern *p, const char *word, int length) {
  memset(p, 0, sizeof *p);
  p->length = length;
  for (int i = 0; i < length; i++) p->letters[word[i] & 31] |= 1ULL << i;
}
static inline int edits(const Pattern *p, const char *word, int length) {
  u64 vp = ~0ULL, vn = 0, d0 = 0, before = 0, last = 1ULL << (p->length - 1);
  int distance = p->length;
  for (int j = 0; j < length; j++) {
    u64 at = p->letters[word[j] & 31];
    u64 swap = (((~d0) & at) << 1) & before;
    d0 = ((((at & vp) + vp) ^ vp) | at | vn) | swap;
    u64 hp = vn | ~(d0 | vp), hn = d0 & vp;
    distance += (hp & last) != 0;
    distance -= (hn & last) != 0;
    hp = hp << 1 | 1;
    hn <<= 1;
    vp = hn | ~(d0 | hp);
    vn = hp & d0;
    before = at;
  }
  return distance;
}

/* --- the image --- */
#define INDEX_MAGIC "WLINDEX"
enum { INDEX_VERSION = 8 };
enum {
  TOK_OFF, TOK_TEXT, TOK_SIG, COUNT_S, COUNT_G, BORNE_S, BORNE_G, TOK_HASH, DEL_OFF, DEL_IDS, DEL_SIEVE, PHON_OFF, PHON_IDS, PHON_KEY,
  MULTI, MULTI_OFF, MULTI_OF, DAY, ROW_KEY, MULTI_KEY, ROW_F, ROW_REST, FAM, FAM_ROW, FAM_GIVEN, UNDATED_GIVEN, UNDATED_OF, UNDATED_OFF,
  UNDATED_TOKEN, BY_GIVEN_OFF, BY_GIVEN, PARTIAL_OF, PARTIAL, PARTIAL_OFF, PARTIAL_ROW,
  ID_OFF, ID_TEXT, DIGEST, SEX, FIELDS, ID_HASH, POSTAL, POSTAL3, REGIONS, EYES, SECTIONS
};
typedef struct {
  char magic[8];
  u32 version, order;
  u64 size, checksum;
  u8 revision[16];
  u32 entries, rows, tokens, families; /* tokens and families count the empty one */
  u32 hash_bits, delete_bits, phon_bits, with_postal, with_region, with_eyes;
  u32 postal_codes, partials, id_hashes, sieve_bits;
  double unseen_family, unseen_given;
  int given_initial[26], middle_initial[26]; /* eighths of a bit for one letter's agreement */
  u64 offset[SECTIONS], length[SECTIONS];
} Header;
typedef struct { u32 given, middle_less, entry; } RowRest;
typedef struct { u32 first, second, joined; } Multi;
typedef struct { u32 multi, other; } MultiOf; /* other: 0 where there is no other surname to ask for */
typedef struct { u32 row, multi; } DayStart; /* the first row of a day, and how many multiple rows stand before it */
typedef struct { u16 second, joined; } MultiKey; /* the first surname's where there is none */
typedef struct { u32 from, given; } Family;
typedef struct { u64 has; u32 before, unused; } UndatedOf;
typedef struct { u16 first, last, month, unused; } PartialDate;
typedef struct { u32 row, given; u16 first, second, joined, unused; } PartialRow; /* keys as in UNDATED_GIVEN, ROW_KEY and MULTI_KEY */
typedef struct { u32 postal[2]; u16 region[2]; u8 height, eye; u16 unused; } Fields;
typedef struct { u64 hash; u32 row, unused; } IdHash;
typedef struct { u32 code, count; } CodeCount;
#define MIDDLE_OF(v) ((v) & TOKEN_BITS)
#define LESS_OF(v) ((int)((v) >> 26)) /* eighths of a bit */
#define ENTRY_BITS 28
#define ENTRY_OF(v) ((v) & ((1u << ENTRY_BITS) - 1))
#define SUFFIX_OF(v) ((int)((v) >> ENTRY_BITS & 7))
#define WEAK_OF(v) ((v) >> 31)

typedef struct {
  const Header *head;
  const u32 *tok_off, *count_s, *count_g, *tok_hash, *del_off, *del_ids, *phon_off, *phon_ids, *phon_key;
  const char *tok_text;
  const u64 *tok_sig, *del_sieve, *borne_s, *borne_g, *undated_token;
  const Multi *multi;
  const MultiOf *multi_of;
  const DayStart *day;
  const u16 *row_key;
  const MultiKey *multi_key;
  const UndatedOf *undated_of;
  const Family *fam;
  const u32 *multi_off, *row_f, *fam_row, *fam_given, *undated_given, *undated_off, *by_given_off, *by_given, *partial_of, *partial_off;
  const RowRest *row_rest;
  const PartialDate *partial;
  const PartialRow *partial_row;
  const u32 *id_off;
  const char *id_text;
  const u8 *digest, *sex;
  const Fields *fields;
  const IdHash *id_hash;
  const CodeCount *postal;
  const u32 *postal3, *regions, *eyes;
  u32 tokens, rows, undated; /* undated: the first row without an exact day */
  u32 letter[27];            /* tokens beginning with letter c: letter[c] .. letter[c + 1] */
  u32 single[26];            /* the token of that one letter, or 0 */
  u64 born[DAYS / 64 + 1];   /* bitmap of the days with any row */
} Image;
const char *image_attach(Image *image, const void *bytes, u64 size, int verify); /* NULL, or what is wrong */
u64 image_checksum(const void *bytes, u64 size);
u32 token_id(const Image *x, const char *word, int length);
static inline u64 del_sieve_bit(u64 hash, u32 bits) { return hash & ((1ULL << bits) - 1); } /* the buckets are by the other end */
static inline u32 del_tag(u64 hash, int length) { return (u32)(hash >> 30 & 3) << 30 | (u32)(length < 15 ? length : 15) << 26; } /* above TOKEN_BITS */
enum { SIEVE_BITS = 14 }; /* bits of those 16: few enough for the first-level cache */
static inline u32 fold16(u32 t) { return (t ^ t >> 16) & 0xffff; }
enum { BY_GIVEN_BUCKETS = 4096 };
static inline u32 given_bucket(u32 key) { return key * 0x9e3779b1u >> 20; } /* of 16 bits of a given name */
static inline int token_length(const Image *x, u32 t) { return (int)(x->tok_off[t + 1] - x->tok_off[t]); }

/* --- neighbours.c: which tokens a shown token may stand for --- */
typedef struct { /* spellings and nicknames, the same for every registry: word ─► other words */
  u32 *slots, bits;
  u32 *off, *ids, words;
  u32 *text_off;
  char *text;
} Thesaurus;
extern Thesaurus SPELLINGS, NICKNAMES;
/* A neighbour in one number: token, what agreeing with it can say anything about, level in the top four bits. */
enum { TOKEN_BITS = (1 << 26) - 1, SAYS_FAMILY = 1 << 26, SAYS_GIVEN = 1 << 27 };
typedef struct {
  u32 *at; /* token | level << 28 */
  u32 count, room;
} NeighbourList;
typedef struct Context Context;
int neighbours(const Image *x, Context *c, const char *word, int length, int given, int cut_min, int light, NeighbourList *out);
int neighbours_all(const Image *x, Context *c, const char *word, int length, int given, int cut_min, int light, NeighbourList *out);

/* --- query.c --- */
typedef struct {
  NameTokens name;
  int year, month, day; /* year 0: no birth date */
  int sex, family_cut, given_cut;
  Fields fields;
  u64 ids[8];
  int id_count;
  u64 keys[SLOTS]; /* of the words in the memo: query_ready */
} Query;
enum { PART_FAMILY, PART_GIVEN, PART_MIDDLE, PART_SWAPPED, PART_DATE, PART_SEX, PART_SUFFIX, PART_ADDRESS, PART_HEIGHT, PART_EYE, PART_ID, PARTS };
typedef struct {
  u32 entry, row;
  int total;
  short part[PARTS];
} Hit;
Context *context_new(const Image *x);
void context_free(Context *c);
void context_forget(Context *c); /* empty the memo: the next queries are cold */
enum { MODE_INDEXED, MODE_EXHAUSTIVE, MODE_COLD /* indexed, and as if no token had been met before */ };
void query_ready(const Context *c, Query *q); /* before query_run; what it will want from memory is then on the way */
int query_run(const Image *x, Context *c, const Query *q, int threshold, int mode); /* 0, or -1 out of memory; hits sorted */

/* --- batch.c --- */
enum { PARTS_MOST = 255 };
typedef struct { /* visitors waiting; batch_end in any case once batch_begin was called */
  u8 *text;
  size_t used, room, *start, count;
  u64 *order; /* birth date << 32 | visitor */
  u8 *part;   /* of each visitor */
  int parts;
} Batch;
typedef struct { u32 visitor, count; Hit *hits; } FoundOne;
typedef struct { FoundOne *at; size_t count, room; } Found; /* all zero at first */
int batch_begin(Batch *b, size_t count, int parts); /* room for so many; -1 out of memory, as the others */
int batch_add(Batch *b, const Query *q);
int batch_sort(Batch *b); /* once all are there; from then on it is only read */
size_t batch_part(const Batch *b, int part); /* where the part's visitors begin in `order` */
int batch_run(const Image *x, Context *c, const Batch *b, size_t first, size_t end, int threshold, Found *found); /* those of `order` */
void batch_end(Batch *b);
void found_end(Found *found);

static inline int day_bucket(int year, int month, int day) {
  if (year < FIRST_YEAR || year >= FIRST_YEAR + YEARS || month < 1 || month > 12 || day < 1 || day > 31) return -1;
  return (year - FIRST_YEAR) * 372 + (month - 1) * 31 + day - 1;
}
int eighths(double m, double u);

#endif
