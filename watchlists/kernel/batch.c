/* Many visitors at once: what is written of each waits, packed one behind the other, until they are answered in order of birth
 * date. Neighbors in that order share days and rows; as queries of half a kilobyte each they would not fit the cache. */
#include "query.h"

typedef struct {
  u8 length[SLOTS], suffix, sex, family_cut, given_cut, id_count, described;
} Written; /* then the words; Fields if they are described; the ids */
enum { WRITTEN_MOST = sizeof(Written) + SLOTS * MAX_TOKEN + sizeof(Fields) + 8 * sizeof(u64) };

int batch_begin(Batch *b, size_t count) {
  size_t room = count ? count : 1;
  memset(b, 0, sizeof *b);
  b->start = malloc(room * sizeof *b->start);
  b->order = malloc(room * 2 * sizeof *b->order);
  b->found = calloc(room, sizeof *b->found);
  return b->start && b->order && b->found ? 0 : -1;
}

void batch_end(Batch *b) {
  for (size_t i = 0; b->found && i < b->count; i++) free(b->found[i].at);
  free(b->found);
  free(b->order);
  free(b->start);
  free(b->text);
}

int batch_add(Batch *b, const Query *q) {
  static const Fields none;
  if (b->room - b->used < WRITTEN_MOST) {
    size_t room = b->room * 2 + 64 * WRITTEN_MOST;
    u8 *more = realloc(b->text, room);
    if (!more) return -1;
    b->text = more;
    b->room = room;
  }
  Written head = {.suffix = (u8)q->name.suffix, .sex = (u8)q->sex, .family_cut = (u8)q->family_cut, .given_cut = (u8)q->given_cut,
                  .id_count = (u8)q->id_count, .described = memcmp(&q->fields, &none, sizeof none) != 0};
  u8 *begin = b->text + b->used, *to = begin + sizeof head;
  for (int slot = 0; slot < SLOTS; slot++) {
    head.length[slot] = (u8)q->name.length[slot];
    memcpy(to, q->name.text[slot], head.length[slot]);
    to += head.length[slot];
  }
  memcpy(begin, &head, sizeof head);
  if (head.described) {
    memcpy(to, &q->fields, sizeof q->fields);
    to += sizeof q->fields;
  }
  memcpy(to, q->ids, head.id_count * sizeof *q->ids);
  to += head.id_count * sizeof *q->ids;
  b->order[b->count] = (u64)((q->year * 16 + q->month) * 32 + q->day) << 32 | (u64)b->count;
  b->start[b->count++] = b->used;
  b->used = (size_t)(to - b->text);
  return 0;
}

static void read_query(const Batch *b, u64 ordered, Query *q) {
  const u8 *from = b->text + b->start[(u32)ordered];
  u32 date = (u32)(ordered >> 32);
  Written head;
  memcpy(&head, from, sizeof head);
  from += sizeof head;
  q->name.suffix = head.suffix;
  for (int slot = 0; slot < SLOTS; slot++) {
    q->name.length[slot] = head.length[slot];
    memcpy(q->name.text[slot], from, head.length[slot]);
    from += head.length[slot];
  }
  q->year = (int)(date >> 9);
  q->month = (int)(date >> 5 & 15);
  q->day = (int)(date & 31);
  q->sex = head.sex;
  q->family_cut = head.family_cut;
  q->given_cut = head.given_cut;
  memset(&q->fields, 0, sizeof q->fields);
  if (head.described) {
    memcpy(&q->fields, from, sizeof q->fields);
    from += sizeof q->fields;
  }
  q->id_count = head.id_count;
  memcpy(q->ids, from, head.id_count * sizeof *q->ids);
}

/* date << 32 | place, by date: two counting passes over 11 bits each, through `spare` (years past 8191 come out of order, which only costs time). */
static void sort_by_birth_date(u64 *order, u64 *spare, size_t n) {
  for (int shift = 32; shift < 54; shift += 11) {
    u32 start[2049] = {0};
    for (size_t i = 0; i < n; i++) start[(order[i] >> shift & 2047) + 1]++;
    for (int k = 0; k < 2048; k++) start[k + 1] += start[k];
    for (size_t i = 0; i < n; i++) spare[start[order[i] >> shift & 2047]++] = order[i];
    u64 *done = spare;
    spare = order;
    order = done;
  }
}

int batch_run(const Image *x, Context *c, Batch *b, int threshold) {
  Query asked[2];
  sort_by_birth_date(b->order, b->order + b->count, b->count);
  for (size_t k = 0; k < b->count; k++) {
    if (k + 8 < b->count) PREFETCH(&b->start[(u32)b->order[k + 8]]);
    if (k + 4 < b->count) {
      const u8 *soon = b->text + b->start[(u32)b->order[k + 4]];
      PREFETCH(soon);
      PREFETCH(soon + 64);
    }
    for (size_t next = k ? k + 1 : 0; next <= k + 1 && next < b->count; next++) { /* one ahead: query_ready asks the memory for it */
      read_query(b, b->order[next], &asked[next & 1]);
      query_ready(c, &asked[next & 1]);
    }
    if (query_run(x, c, &asked[k & 1], threshold, MODE_INDEXED)) return -1;
    if (!c->hit_count) continue;
    Found *found = &b->found[(u32)b->order[k]];
    if (!(found->at = malloc(c->hit_count * sizeof(Hit)))) return -1;
    memcpy(found->at, c->hits, (found->count = c->hit_count) * sizeof(Hit));
  }
  return 0;
}
