/* Attaching to an image: what is checked before a byte of it is believed. */
#include "kernel.h"

/* Four lanes of multiply-and-mix over everything but the checksum's own eight bytes; about memory speed. */
u64 image_checksum(const void *bytes, u64 size) {
  const char *p = bytes;
  const u64 skip = offsetof(Header, checksum);
  u64 lane[4] = {1, 2, 3, 4};
  for (u64 i = 0; i + 32 <= size; i += 32)
    for (int k = 0; k < 4; k++) {
      u64 v;
      memcpy(&v, p + i + 8 * (u64)k, 8);
      if (i + 8 * (u64)k == skip) v = 0;
      lane[k] = (lane[k] ^ v) * 0x9e3779b97f4a7c15ULL;
      lane[k] ^= lane[k] >> 29;
    }
  return mix(lane[0] + mix(lane[1] + mix(lane[2] + mix(lane[3] + size))));
}

const char *image_attach(Image *x, const void *bytes, u64 size, int verify) {
  const Header *h = bytes;
  const char *p = bytes;
  memset(x, 0, sizeof *x);
  if (size < sizeof *h || memcmp(h->magic, INDEX_MAGIC, sizeof h->magic)) return "is not an index";
  if (h->order != 0x01020304) return "was made on a machine of the other byte order; build it again here";
  if (h->version != INDEX_VERSION) return "is of another version than this program reads; build it again";
  if (h->size != size || size % 64) return "is cut short";
  for (int s = 0; s < SECTIONS; s++)
    if (h->offset[s] % 64 || h->offset[s] > size || h->length[s] > size - h->offset[s]) return "is damaged: a section lies outside the file";
  if (verify && image_checksum(bytes, size) != h->checksum) return "is damaged: its checksum does not fit";
#define POINT(field, section) x->field = (const void *)(p + h->offset[section])
  x->head = h;
  POINT(tok_off, TOK_OFF), POINT(tok_text, TOK_TEXT), POINT(tok_sig, TOK_SIG), POINT(count_s, COUNT_S), POINT(count_g, COUNT_G);
  POINT(borne_s, BORNE_S), POINT(borne_g, BORNE_G);
  POINT(tok_hash, TOK_HASH), POINT(del_off, DEL_OFF), POINT(del_ids, DEL_IDS), POINT(del_sieve, DEL_SIEVE), POINT(phon_off, PHON_OFF), POINT(phon_ids, PHON_IDS);
  POINT(phon_key, PHON_KEY), POINT(multi, MULTI), POINT(multi_off, MULTI_OFF), POINT(multi_of, MULTI_OF), POINT(day, DAY), POINT(row_key, ROW_KEY), POINT(multi_key, MULTI_KEY);
  POINT(row_f, ROW_F), POINT(row_rest, ROW_REST), POINT(fam, FAM), POINT(fam_row, FAM_ROW), POINT(fam_given, FAM_GIVEN);
  POINT(undated_given, UNDATED_GIVEN), POINT(undated_of, UNDATED_OF), POINT(undated_off, UNDATED_OFF);
  POINT(by_given_off, BY_GIVEN_OFF), POINT(by_given, BY_GIVEN);
  POINT(undated_token, UNDATED_TOKEN), POINT(partial_of, PARTIAL_OF), POINT(partial, PARTIAL);
  POINT(partial_off, PARTIAL_OFF), POINT(partial_row, PARTIAL_ROW), POINT(id_off, ID_OFF), POINT(id_text, ID_TEXT), POINT(digest, DIGEST);
  POINT(sex, SEX), POINT(id_hash, ID_HASH), POINT(postal, POSTAL), POINT(postal3, POSTAL3), POINT(regions, REGIONS), POINT(eyes, EYES);
  if (h->length[FIELDS]) POINT(fields, FIELDS);
  x->tokens = h->tokens;
  x->rows = h->rows;
  x->undated = x->day[DAYS].row;
  for (u32 d = 0; d < DAYS; d++) x->born[d >> 6] |= (u64)(x->day[d].row != x->day[d + 1].row) << (d & 63);
  for (int c = 0; c <= 26; c++) { /* the first token from letter c on */
    u32 lo = 1, hi = x->tokens;
    while (lo < hi) {
      u32 mid = lo + (hi - lo) / 2;
      if (x->tok_text[x->tok_off[mid]] < 'A' + c) lo = mid + 1;
      else hi = mid;
    }
    x->letter[c] = lo;
  }
  for (int c = 0; c < 26; c++)
    x->single[c] = x->letter[c] < x->letter[c + 1] && token_length(x, x->letter[c]) == 1 ? x->letter[c] : 0;
  return NULL;
}
