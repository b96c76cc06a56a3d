/* Many visitors at once: what is written of each waits, packed one behind the other, until they are answered in order of birth
 * date. Neighbors in that order share days and rows; as queries of half a kilobyte each they would not fit the cache. A batch
 * may be answered in parts side by side: who shares a surname is in one part, so that no word is looked up by two threads. */
#include "query.h"

typedef struct {
  u8 length[SLOTS], suffix, sex, family_cut, given_cut, id_count, described;
} Written; /* then the words; Fields if they are described; the ids */
enum { WRITTEN_MOST = sizeof(Written) + SLOTS * MAX_TOKEN + sizeof(Fields) + 8 * sizeof(u64) };

int batch_begin(Batch *b, size_t count, int parts) {
  size_t room = count ? count : 1;
  memset(b, 0, sizeof *b);
  b->parts = parts;
  b->start = malloc(room * sizeof *b->start);
  b->order = malloc(room * sizeof *b->order);
  b->part = malloc(room);
  return b->start && b->order && b->part ? 0 : -1;
}

void batch_end(Batch *b) {
  free(b->part);
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
  b->part[b->count] = (u8)(b->parts > 1 ? hash_word(q->name.text[SLOT_S1], q->name.length[SLOT_S1]) % (u64)b->parts : 0);
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

/* One counting pass over `n` of at most 2,048 keys, which keeps the order of equal ones. */
#define COUNTING_PASS(to, from, n, key)                                        \
  do {                                                                         \
    size_t begin[2049] = {0};                                                  \
    for (size_t i = 0; i < (n); i++) begin[(key((from)[i])) + 1]++;            \
    for (int k = 0; k < 2048; k++) begin[k + 1] += begin[k];                   \
    for (size_t i = 0; i < (n); i++) (to)[begin[key((from)[i])]++] = (from)[i]; \
  } while (0)
#define DATE_LOW(o) ((o) >> 32 & 2047)
#define DATE_HIGH(o) ((o) >> 43 & 2047) /* years past 8191 come out of order, which only costs time */
#define PART_OF(o) (b->part[(u32)(o)])

int batch_sort(Batch *b) {
  u64 *spare = malloc((b->count ? b->count : 1) * sizeof *spare);
  if (!spare) return -1;
  COUNTING_PASS(spare, b->order, b->count, DATE_LOW);
  COUNTING_PASS(b->order, spare, b->count, DATE_HIGH);
  if (b->parts > 1) {
    COUNTING_PASS(spare, b->order, b->count, PART_OF);
    u64 *done = spare;
    spare = b->order;
    b->order = done;
  }
  free(spare);
  return 0;
}

size_t batch_part(const Batch *b, int part) {
  size_t lo = 0, hi = b->count;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (b->part[(u32)b->order[mid]] < part) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

static int keep(Found *found, u32 visitor, const Context *c) {
  if (found->count == found->room) {
    size_t room = found->room * 2 + 64;
    FoundOne *more = realloc(found->at, room * sizeof *more);
    if (!more) return -1;
    found->at = more;
    found->room = room;
  }
  Hit *hits = malloc(c->hit_count * sizeof *hits);
  if (!hits) return -1;
  memcpy(hits, c->hits, c->hit_count * sizeof *hits);
  found->at[found->count++] = (FoundOne){visitor, c->hit_count, hits};
  return 0;
}

void found_end(Found *found) {
  for (size_t i = 0; i < found->count; i++) free(found->at[i].hits);
  free(found->at);
}

int batch_run(const Image *x, Context *c, const Batch *b, size_t first, size_t end, int threshold, Found *found) {
  Query asked[2];
  for (size_t k = first; k < end; k++) {
    if (k + 8 < end) PREFETCH(&b->start[(u32)b->order[k + 8]]);
    if (k + 4 < end) {
      const u8 *soon = b->text + b->start[(u32)b->order[k + 4]];
      PREFETCH(soon);
      PREFETCH(soon + 64);
    }
    for (size_t next = k > first ? k + 1 : k; next <= k + 1 && next < end; next++) { /* one ahead: query_ready asks the memory for it */
      read_query(b, b->order[next], &asked[next & 1]);
      query_ready(c, &asked[next & 1]);
    }
    if (query_run(x, c, &asked[k & 1], threshold, MODE_INDEXED)) return -1;
    if (c->hit_count && keep(found, (u32)b->order[k], c)) return -1;
  }
  return 0;
}
