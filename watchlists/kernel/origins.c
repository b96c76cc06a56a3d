/* Which given names go with which surnames, learned from the registry's own rows: watchlists/origins.py says how and why. Every
 * sum is made in the same order as there, so that both come to the same bits. */
#include "build.h"

#include <math.h>
#include <stdlib.h>

typedef struct { double of[ORIGINS]; } Shares; /* one number a class */
typedef struct { u32 surname, given, middle; } Names; /* numbered from 1, those of the sample first; middle 0: says nothing */
typedef struct {
  Names *rows; /* those with both names */
  u32 count, step, surnames, givens, sampled_surnames, sampled_givens;
  Shares classes, *shares, *lifts;     /* P(class), P(class | surname), P(given | class) / P(given); of given 0: all 1 */
  Shares sums, *by_surname, *by_given; /* rows shared out among the classes */
  u32 *surname_count, *given_count;
} Learning;

static double total(const double *n) { /* by halves */
  double t[ORIGINS];
  memcpy(t, n, sizeof t);
  for (int half = ORIGINS / 2; half; half /= 2)
    for (int k = 0; k < half; k++) t[k] += t[k + half];
  return t[0];
}

/* P(class | the row's names) */
static Shares responsibility(const Learning *l, const Names *n) {
  Shares own;
  const double *a = l->shares[n->surname].of, *b = l->lifts[n->given].of, *c = l->lifts[n->middle].of;
  for (int k = 0; k < ORIGINS; k++) own.of[k] = a[k] * b[k] * c[k];
  double sum = total(own.of);
  for (int k = 0; k < ORIGINS; k++) own.of[k] /= sum;
  return own;
}

static void add(Shares *to, const Shares *more) {
  for (int k = 0; k < ORIGINS; k++) to->of[k] += more->of[k];
}

static void share_out(Learning *l, u32 step, u32 surnames, u32 givens) {
  memset(&l->sums, 0, sizeof l->sums);
  memset(l->by_surname, 0, (surnames + 1) * sizeof(Shares));
  memset(l->by_given, 0, (givens + 1) * sizeof(Shares));
  memset(l->surname_count, 0, (surnames + 1) * sizeof(u32));
  memset(l->given_count, 0, (givens + 1) * sizeof(u32));
  for (u32 i = 0; i < l->count; i += step) {
    const Names *n = &l->rows[i];
    Shares own = responsibility(l, n);
    add(&l->sums, &own);
    add(&l->by_surname[n->surname], &own);
    l->surname_count[n->surname]++;
    add(&l->by_given[n->given], &own);
    l->given_count[n->given]++;
    if (!n->middle) continue;
    add(&l->by_given[n->middle], &own);
    l->given_count[n->middle]++;
  }
}

static void lift(const Learning *l, u32 givens, Shares *lifts) {
  for (u32 g = 1; g <= givens; g++)
    for (int k = 0; k < ORIGINS; k++)
      lifts[g].of[k] = (l->by_given[g].of[k] + W.ORIGIN_PRIOR * l->classes.of[k]) / (l->given_count[g] + W.ORIGIN_PRIOR) / l->classes.of[k];
}

static void learn(Learning *l) {
  u32 sampled = (l->count + l->step - 1) / l->step;
  for (int round = 0; round < W.ORIGIN_ROUNDS; round++) {
    share_out(l, l->step, l->sampled_surnames, l->sampled_givens);
    for (int k = 0; k < ORIGINS; k++) l->classes.of[k] = (l->sums.of[k] + 1.0) / (sampled + (double)ORIGINS);
    for (u32 s = 1; s <= l->sampled_surnames; s++)
      for (int k = 0; k < ORIGINS; k++)
        l->shares[s].of[k] = (l->by_surname[s].of[k] + W.ORIGIN_PRIOR * l->classes.of[k]) / (l->surname_count[s] + W.ORIGIN_PRIOR);
    lift(l, l->sampled_givens, l->lifts);
  }
  for (u32 s = l->sampled_surnames + 1; s <= l->surnames; s++) l->shares[s] = l->classes;
  share_out(l, 1, l->surnames, l->givens);
}

static int worth_less(const Learning *l, const Names *n, const Shares *lifts) {
  Shares own = responsibility(l, n), others;
  for (int k = 0; k < ORIGINS; k++)
    others.of[k] = (l->by_surname[n->surname].of[k] - own.of[k] + W.ORIGIN_PRIOR * l->classes.of[k]) * lifts[n->given].of[k];
  int less = eighths(total(others.of) / (l->surname_count[n->surname] - 1 + W.ORIGIN_PRIOR), 1.0);
  return less < 0 ? 0 : less > W.TOGETHER_MAX ? W.TOGETHER_MAX : less;
}

/* Where EM starts from: no class says much of any name, and no two the same. */
static Shares beginning(const Builder *b, u32 token) {
  Shares begin;
  u32 length;
  const char *word = token_at(b, token, &length);
  u64 hash = hash_word(word, (int)length);
  for (int k = 0; k < ORIGINS; k++) begin.of[k] = 0.5 + (double)(mix(hash + (u64)k) >> 11) / 0x1p53;
  return begin;
}

static u32 number(u32 *number_of, u32 token, u32 *last) {
  if (token && !number_of[token]) number_of[token] = ++*last;
  return token ? number_of[token] : 0;
}

/* The rows with both names, and their names numbered: those of the sample first. */
static void gather(const Builder *b, Learning *l, u32 *surname_of, u32 *given_of) {
  const RawRow *rows = AT(b->rows, RawRow);
  for (int others = 0; others < 2; others++) {
    for (u32 r = 0, i = 0; r < COUNT(b->rows, RawRow); r++) {
      if (!rows[r].s1 || !rows[r].g1) continue;
      u32 at = i++, length;
      if ((at % l->step != 0) != others) continue;
      token_at(b, rows[r].g2, &length);
      l->rows[at].surname = number(surname_of, rows[r].s1, &l->surnames);
      l->rows[at].given = number(given_of, rows[r].g1, &l->givens);
      l->rows[at].middle = number(given_of, length > 1 ? rows[r].g2 : 0, &l->givens);
    }
    if (!others) l->sampled_surnames = l->surnames, l->sampled_givens = l->givens;
  }
}

static void free_all(Learning *l) {
  void *all[] = {l->rows, l->shares, l->lifts, l->by_surname, l->by_given, l->surname_count, l->given_count};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

u8 *origins(const Builder *b) {
  Learning l = {0};
  u32 R = COUNT(b->rows, RawRow), V = b->tokens, *surname_of = calloc(V, 4), *given_of = calloc(V, 4);
  u8 *out = calloc(R + 1ull, 1);
  const RawRow *rows = AT(b->rows, RawRow);
  for (u32 r = 0; r < R; r++) l.count += rows[r].s1 && rows[r].g1;
  l.step = l.count / (u32)W.ORIGIN_ROWS > 1 ? l.count / (u32)W.ORIGIN_ROWS : 1;
  l.rows = malloc((l.count + 1ull) * sizeof *l.rows);
  int failed = !surname_of || !given_of || !out || !l.rows, few = l.count < (u32)W.ORIGIN_LEAST;
  if (!failed && !few) {
    gather(b, &l, surname_of, given_of);
    l.shares = malloc((l.surnames + 1ull) * sizeof *l.shares);
    l.lifts = malloc((l.givens + 1ull) * sizeof *l.lifts);
    l.by_surname = malloc((l.surnames + 1ull) * sizeof *l.by_surname);
    l.by_given = malloc((l.givens + 1ull) * sizeof *l.by_given);
    l.surname_count = malloc((l.surnames + 1ull) * sizeof *l.surname_count);
    l.given_count = malloc((l.givens + 1ull) * sizeof *l.given_count);
    failed = !l.shares || !l.lifts || !l.by_surname || !l.by_given || !l.surname_count || !l.given_count;
  }
  if (!failed && !few) {
    for (int k = 0; k < ORIGINS; k++) l.classes.of[k] = 1.0 / ORIGINS, l.lifts[0].of[k] = 1.0;
    for (u32 s = 1; s <= l.sampled_surnames; s++) l.shares[s] = l.classes;
    for (u32 g = 1; g <= l.givens; g++) l.lifts[g] = l.lifts[0];
    for (u32 t = 1; t < V; t++)
      if (given_of[t] && given_of[t] <= l.sampled_givens) l.lifts[given_of[t]] = beginning(b, t);
    learn(&l);
    lift(&l, l.givens, l.by_given); /* what the sums were is no longer asked for */
    for (u32 r = 0, i = 0; r < R; r++)
      if (rows[r].s1 && rows[r].g1) out[r] = (u8)worth_less(&l, &l.rows[i++], l.by_given);
  }
  free(surname_of);
  free(given_of);
  free_all(&l);
  if (!failed) return out;
  free(out);
  return NULL;
}
