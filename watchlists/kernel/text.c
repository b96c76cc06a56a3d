/* Folding and tokens, as watchlists/normalize.py does them, for ASCII text; other text is folded there first. */
#include "kernel.h"

SmallWord PARTICLES[64], SUFFIXES[16];
int PARTICLE_COUNT, SUFFIX_COUNT;

/* What each byte becomes: a letter, 0 = nothing (apostrophes join), ' ' = a separator. */
static char folded(u8 c) {
  static const char digits[] = "OIZEASGTBG"; /* what a reader takes for a letter, as that letter */
  if (c >= 'A' && c <= 'Z') return (char)c;
  if (c >= 'a' && c <= 'z') return (char)(c - 32);
  if (c >= '0' && c <= '9') return digits[c - '0'];
  return c == '\'' || c == '`' ? 0 : ' ';
}

void fold_words(const char *text, size_t length, Words *out) {
  int n = 0;
  out->count = 0;
  if (length > MAX_TEXT) length = MAX_TEXT;
  for (size_t i = 0; i <= length && out->count < MAX_TOKENS; i++) {
    char c = i < length ? folded((u8)text[i]) : ' ';
    if (c == ' ') {
      if (n) {
        out->length[out->count++] = n;
        n = 0;
      }
    } else if (c && n < MAX_TOKEN) {
      out->text[out->count][n++] = c;
    }
  }
}

static int find_small(const SmallWord *words, int count, const char *word, int length) {
  for (int i = 0; i < count; i++)
    if (words[i].length == length && !memcmp(words[i].text, word, (size_t)length)) return words[i].code;
  return 0;
}

static void put(NameTokens *out, int slot, const Words *from, int i) {
  memcpy(out->text[slot], from->text[i], (size_t)from->length[i]);
  out->length[slot] = from->length[i];
}

static void put_joined(NameTokens *out, int slot, const Words *from, int count) {
  int n = 0;
  for (int i = 0; i < count; i++)
    for (int k = 0; k < from->length[i] && n < MAX_TOKEN; k++) out->text[slot][n++] = from->text[i][k];
  out->length[slot] = n;
}

void name_tokens(const Words *family, const Words *given, const Words *middle, const Words *suffix, NameTokens *out) {
  memset(out->length, 0, sizeof out->length);
  out->suffix = suffix->count ? find_small(SUFFIXES, SUFFIX_COUNT, suffix->text[0], suffix->length[0]) : 0;
  int words = family->count;
  if (words > 1) {
    int code = find_small(SUFFIXES, SUFFIX_COUNT, family->text[words - 1], family->length[words - 1]);
    if (code) {
      words--;
      if (!out->suffix) out->suffix = code;
    }
  }
  put_joined(out, SLOT_SJ, family, words);
  int slot = SLOT_S1;
  for (int i = 0; i < words && slot <= SLOT_S2; i++)
    if (i + 1 == words || !find_small(PARTICLES, PARTICLE_COUNT, family->text[i], family->length[i])) put(out, slot++, family, i);
  if (out->length[SLOT_SJ] == out->length[SLOT_S1] &&
      !memcmp(out->text[SLOT_SJ], out->text[SLOT_S1], (size_t)out->length[SLOT_S1]))
    out->length[SLOT_SJ] = 0;
  int givens = given->count;
  if (givens >= 2 && given->length[0] >= 3 && !memcmp(given->text[0], "ABD", 3)) {
    put_joined(out, SLOT_G1, given, givens); /* Abd al Rahman is one name */
    givens = 1;
  } else if (givens) {
    put(out, SLOT_G1, given, 0);
  }
  if (givens > 1) {
    put(out, SLOT_G2, given, 1);
    put_joined(out, SLOT_GJ, given, givens);
  } else if (middle->count) {
    put(out, SLOT_G2, middle, 0);
  }
}

static int vowel(char c) { return c == 'A' || c == 'E' || c == 'I' || c == 'O' || c == 'U' || c == 'Y'; }

/* normalize.sound, hashed to 32 bits; 0 for a word of fewer than two sounds. */
u32 sound_key(const char *s, int n) {
  static const char plain[26] = {0,   'B', 'K', 'T', 0,   'F', 'G', 0,   0, 'J', 'K', 'L', 'M', /* A to M */
                                 'N', 0,   'P', 'K', 'R', 'S', 'T', 0,   'F', 'F', 'S', 0,  'S'};
  char out[12];
  int k = 0;
  char last = 0;
  for (int i = 0; i < n && k < 12; i++) {
    char c = s[i], d = i + 1 < n ? s[i + 1] : 0, m;
    if (vowel(c)) m = i == 0 ? 'A' : 0;
    else if (c == 'P' && d == 'H') m = 'F', i++;
    else if (c == 'C' && d == 'H') m = 'X', i++;
    else if (c == 'C' && d == 'K') m = 'K', i++;
    else if (c == 'C' && (d == 'E' || d == 'I' || d == 'Y')) m = 'S';
    else if (c == 'G' && d == 'H') m = 0, i++;
    else if (c == 'G' && (d == 'E' || d == 'I' || d == 'Y')) m = 'J';
    else if (c == 'S' && d == 'C' && i + 2 < n && s[i + 2] == 'H') m = 'X', i += 2;
    else if (c == 'S' && d == 'H') m = 'X', i++;
    else if (c == 'T' && (d == 'S' || d == 'Z')) m = 'S', i++;
    else m = plain[c - 'A'];
    if (m) {
      if (m != last) out[k++] = m;
      last = m;
    } else if (c != 'H') {
      last = 0;
    }
  }
  return k < 2 ? 0 : (u32)(hash_word(out, k) >> 32) | 1;
}

/* Hashes of the first seven letters with none, one, and two of them left out (`most` deletions; two only from five letters
 * on, and never the first of two). Two words within one edit share one of them, and two words within two edits that begin
 * alike: delete from each what the edits touched, and both leave the same common prefix. */
int deletions(const char *s, int n, int most, u64 *out) {
  int p = n < DELETE_PREFIX ? n : DELETE_PREFIX, k = 0;
  char b[DELETE_PREFIX];
  out[k++] = hash_word(s, p);
  for (int i = 0; i < p; i++) {
    memcpy(b, s, (size_t)i);
    memcpy(b + i, s + i + 1, (size_t)(p - i - 1));
    out[k++] = hash_word(b, p - 1);
  }
  if (n >= 5 && most >= 2)
    for (int i = 1; i < p; i++)
      for (int j = i + 1; j < p; j++) {
        memcpy(b, s, (size_t)i);
        memcpy(b + i, s + i + 1, (size_t)(j - i - 1));
        memcpy(b + j - 1, s + j + 1, (size_t)(p - j - 1));
        out[k++] = hash_word(b, p - 2);
      }
  return k;
}
