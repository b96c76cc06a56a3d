/* The kernel's Python face: build an image from entries, attach to one, screen subjects against it. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <datetime.h>
#include <stdlib.h>
#include <time.h>

#include "build.h"

static PyObject *fold_text, *parse_birth_date, *entry_fields, *subject_fields, *entry_digest, *refuse_entry, *refuse_duplicate;
static PyObject *n_id, *n_names, *n_birth_dates, *n_sex, *n_addresses, *n_address, *n_height_cm, *n_eye_color, *n_id_hashes, *n_family,
    *n_given, *n_middle, *n_suffix, *n_kind, *n_name, *n_birth_date, *n_truncated;

/* --- from Python objects --- */

static int words_of(PyObject *owner, PyObject *attribute, Words *out) {
  PyObject *text = PyObject_GetAttr(owner, attribute);
  if (!text) return -1;
  if (!PyUnicode_Check(text)) {
    PyErr_Format(PyExc_TypeError, "a name's %U must be a str", attribute);
    Py_DECREF(text);
    return -1;
  }
  if (!PyUnicode_IS_ASCII(text)) {
    PyObject *plain = PyObject_CallOneArg(fold_text, text);
    Py_DECREF(text);
    if (!plain) return -1;
    text = plain;
    if (!PyUnicode_Check(text) || !PyUnicode_IS_ASCII(text)) {
      Py_DECREF(text);
      PyErr_SetString(PyExc_TypeError, "folding must give ASCII text");
      return -1;
    }
  }
  fold_words((const char *)PyUnicode_1BYTE_DATA(text), (size_t)PyUnicode_GET_LENGTH(text), out);
  Py_DECREF(text);
  return 0;
}

/* The name's tokens, and its middle words apart (a row with the given name run together needs them). */
static int name_of(PyObject *name, NameTokens *out, Words *middle) {
  Words family, given, suffix;
  if (words_of(name, n_family, &family) || words_of(name, n_given, &given) || words_of(name, n_middle, middle) ||
      words_of(name, n_suffix, &suffix))
    return -1;
  name_tokens(&family, &given, middle, &suffix, out);
  return 0;
}

static int sex_of(PyObject *owner, int *out) {
  PyObject *text = PyObject_GetAttr(owner, n_sex);
  if (!text) return -1;
  *out = 0; /* X and unknown: neither for nor against */
  if (PyUnicode_Check(text) && PyUnicode_GET_LENGTH(text) == 1) {
    Py_UCS4 c = PyUnicode_READ_CHAR(text, 0);
    *out = c == 'M' ? 1 : c == 'F' ? 2 : 0;
  }
  Py_DECREF(text);
  return 0;
}

/* 1 if any of the attributes is neither None nor empty. */
static int any_of(PyObject *owner, PyObject *const *attributes, int count) {
  for (int i = 0; i < count; i++) {
    PyObject *value = PyObject_GetAttr(owner, attributes[i]);
    if (!value) return -1;
    int has = value != Py_None && !(PyTuple_Check(value) && PyTuple_GET_SIZE(value) == 0);
    Py_DECREF(value);
    if (has) return 1;
  }
  return 0;
}

/* prepare.Fields → the packed form; id hashes through `ids`. */
static int fields_of(PyObject *maker, PyObject *owner, Fields *out, u64 *ids, int room, int *id_count) {
  int height, eye;
  unsigned int postal[2], region[2];
  PyObject *list, *made = PyObject_CallOneArg(maker, owner);
  if (!made) return -1;
  if (!PyArg_ParseTuple(made, "iiIIIIO!", &height, &eye, &postal[0], &postal[1], &region[0], &region[1], &PyTuple_Type, &list)) {
    Py_DECREF(made);
    return -1;
  }
  *out = (Fields){{postal[0], postal[1]}, {(u16)region[0], (u16)region[1]}, (u8)height, (u8)eye, 0};
  *id_count = 0;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(list) && *id_count < room; i++) {
    ids[*id_count] = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(list, i));
    if (PyErr_Occurred()) {
      Py_DECREF(made);
      return -1;
    }
    ++*id_count;
  }
  Py_DECREF(made);
  return 0;
}

static int two_digits(const u8 *p) { return p[0] >= '0' && p[0] <= '9' && p[1] >= '0' && p[1] <= '9' ? (p[0] - '0') * 10 + p[1] - '0' : -1; }

static int this_year; /* when the module was loaded */

/* YYYY-MM-DD in the range of buckets, in the calendar and not after this year; -1 for anything else, which Python then looks at. */
static int exact_day(PyObject *text) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (!PyUnicode_Check(text) || !PyUnicode_IS_ASCII(text) || PyUnicode_GET_LENGTH(text) != 10) return -1;
  const u8 *p = PyUnicode_1BYTE_DATA(text);
  int c = two_digits(p), y = two_digits(p + 2), m = two_digits(p + 5), d = two_digits(p + 8);
  if (c < 0 || y < 0 || p[4] != '-' || p[7] != '-' || m < 1 || m > 12 || d < 1) return -1;
  y += c * 100;
  int leap = m == 2 && (y % 4 == 0 && (y % 100 != 0 || y % 400 == 0));
  return d > days[m - 1] + leap || y > this_year ? -1 : day_bucket(y, m, d);
}

typedef struct { u32 bucket, partial; } BirthDate;

/* The entry's distinct birth dates; 1 where one is not a date (the caller lets Python say which), -1 on other errors. */
static int dates_of(PyObject *entry, Builder *b, BirthDate *out, int room, int *count) {
  PyObject *texts = PyObject_GetAttr(entry, n_birth_dates), *list = texts ? PySequence_Fast(texts, "birth_dates must be a tuple") : NULL;
  Py_XDECREF(texts);
  if (!list) return -1;
  *count = 0;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list) && *count < room; i++) {
    PyObject *text = PySequence_Fast_GET_ITEM(list, i);
    BirthDate one = {DAYS, 0};
    int bucket = exact_day(text);
    if (bucket >= 0) {
      one.bucket = (u32)bucket;
    } else {
      PyObject *parsed = PyObject_CallOneArg(parse_birth_date, text);
      int first = 0, last = 0, month = 0;
      if (!parsed && PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Clear();
        Py_DECREF(list);
        return 1;
      }
      if (!parsed || !PyArg_ParseTuple(parsed, "iiii", &bucket, &first, &last, &month)) {
        Py_XDECREF(parsed);
        Py_DECREF(list);
        return -1;
      }
      Py_DECREF(parsed);
      one.bucket = (u32)bucket;
      if (last) one.partial = builder_partial(b, (PartialDate){(u16)first, (u16)last, (u16)month, 0});
    }
    int again = 0;
    for (int k = 0; k < *count && !again; k++) again = out[k].bucket == one.bucket && out[k].partial == one.partial;
    if (!again) out[(*count)++] = one;
  }
  Py_DECREF(list);
  if (!*count) out[(*count)++] = (BirthDate){DAYS, 0};
  return 0;
}

static int add_entry(Builder *b, PyObject *entry, PyObject *seen) {
  PyObject *attributes[] = {n_addresses, n_height_cm, n_eye_color, n_id_hashes}, *digest = NULL, *names = NULL;
  BirthDate dates[64];
  Fields fields = {0};
  u64 ids[64];
  int sex, date_count, id_count = 0, status = -1;
  PyObject *id = PyObject_GetAttr(entry, n_id);
  if (!id) return -1;
  if (!PyUnicode_Check(id) || PyUnicode_GET_LENGTH(id) == 0) goto refuse;
  int again = PySet_Contains(seen, id);
  if (again < 0) goto out;
  if (again) {
    Py_XDECREF(PyObject_CallOneArg(refuse_duplicate, id));
    goto out;
  }
  if (PySet_Add(seen, id) || sex_of(entry, &sex)) goto out;
  int bad = dates_of(entry, b, dates, 64, &date_count);
  if (bad < 0) goto out;
  if (bad) goto refuse;
  int more = any_of(entry, attributes, 4);
  if (more < 0 || (more && fields_of(entry_fields, entry, &fields, ids, 64, &id_count))) goto out;
  digest = PyObject_CallOneArg(entry_digest, entry);
  if (!digest || !PyBytes_Check(digest) || PyBytes_GET_SIZE(digest) != 24) goto out;
  Py_ssize_t length;
  const char *text = PyUnicode_AsUTF8AndSize(id, &length);
  if (!text) goto out;
  if (builder_entry(b, text, (size_t)length, (const u8 *)PyBytes_AS_STRING(digest), sex, &fields)) goto no_memory;
  u32 first_row = (u32)(b->rows.used / sizeof(RawRow));
  PyObject *tuple = PyObject_GetAttr(entry, n_names);
  names = tuple ? PySequence_Fast(tuple, "names must be a tuple") : NULL;
  Py_XDECREF(tuple);
  if (!names) goto out;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(names); i++) {
    PyObject *name = PySequence_Fast_GET_ITEM(names, i), *kind;
    NameTokens tokens;
    Words middle;
    if (name_of(name, &tokens, &middle)) goto out;
    if (!(kind = PyObject_GetAttr(name, n_kind))) goto out;
    int weak = PyUnicode_Check(kind) && PyUnicode_CompareWithASCIIString(kind, "weak") == 0;
    Py_DECREF(kind);
    int letters = 0;
    for (int s = 0; s < SLOT_GJ; s++) letters += tokens.length[s];
    for (int fused = 0; letters && fused <= (tokens.length[SLOT_GJ] > 0); fused++)
      for (int d = 0; d < date_count; d++)
        if (builder_row(b, &tokens, fused, &middle, weak, dates[d].bucket, dates[d].partial)) goto no_memory;
  }
  u32 end_row = (u32)(b->rows.used / sizeof(RawRow));
  if (end_row == first_row) goto refuse;
  for (int i = 0; i < id_count; i++)
    if (builder_id_hash(b, ids[i], first_row, end_row)) goto no_memory;
  status = 0;
  goto out;
refuse: /* prepare_entry raises an EntryError that says what is wrong */
  Py_XDECREF(PyObject_CallOneArg(refuse_entry, entry));
  if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "an entry could not be read");
  goto out;
no_memory:
  PyErr_NoMemory();
out:
  Py_XDECREF(names);
  Py_XDECREF(digest);
  Py_DECREF(id);
  return status;
}

/* --- the Image type --- */

enum { IDLE = 32 }; /* contexts kept for later calls; more threads than that make their own */
typedef struct {
  PyObject_HEAD
  Py_buffer buffer;
  Image image;
  Context *idle[IDLE];
  int idle_count;
  u64 rows_seen, rows_scored;
} ImageObject;

static PyTypeObject ImageType;

static PyObject *attach(PyObject *bytes, int verify, const char **wrong) {
  ImageObject *self = PyObject_New(ImageObject, &ImageType);
  if (!self) return NULL;
  self->idle_count = 0;
  self->rows_seen = self->rows_scored = 0;
  if (PyObject_GetBuffer(bytes, &self->buffer, PyBUF_SIMPLE)) {
    self->buffer.obj = NULL;
    Py_DECREF(self);
    return NULL;
  }
  *wrong = image_attach(&self->image, self->buffer.buf, (u64)self->buffer.len, verify);
  if (*wrong) {
    Py_DECREF(self);
    return NULL;
  }
  return (PyObject *)self;
}

static void image_dealloc(ImageObject *self) {
  while (self->idle_count) context_free(self->idle[--self->idle_count]);
  if (self->buffer.obj) PyBuffer_Release(&self->buffer);
  PyObject_Free(self);
}

/* The GIL guards the list of idle contexts. */
static Context *take(ImageObject *self) {
  Context *c = self->idle_count ? self->idle[--self->idle_count] : context_new(&self->image);
  if (!c) PyErr_NoMemory();
  return c;
}
static void give_back(ImageObject *self, Context *c) {
  self->rows_seen += c->rows_seen;
  self->rows_scored += c->rows_scored;
  c->rows_seen = c->rows_scored = 0;
  if (self->idle_count < IDLE) self->idle[self->idle_count++] = c;
  else context_free(c);
}

static int query_of(PyObject *subject, Query *q) {
  PyObject *attributes[] = {n_address, n_height_cm, n_eye_color, n_id_hashes};
  Words middle;
  PyObject *name = PyObject_GetAttr(subject, n_name);
  if (!name) return -1;
  int failed = name_of(name, &q->name, &middle);
  Py_DECREF(name);
  if (failed) return -1;
  PyObject *date = PyObject_GetAttr(subject, n_birth_date);
  if (!date) return -1;
  q->year = q->month = q->day = 0;
  if (PyDate_Check(date)) {
    q->year = PyDateTime_GET_YEAR(date);
    q->month = PyDateTime_GET_MONTH(date);
    q->day = PyDateTime_GET_DAY(date);
  } else if (date != Py_None) {
    Py_DECREF(date);
    PyErr_SetString(PyExc_TypeError, "a subject's birth_date must be a date or None");
    return -1;
  }
  Py_DECREF(date);
  if (sex_of(subject, &q->sex)) return -1;
  memset(&q->fields, 0, sizeof q->fields);
  q->id_count = 0;
  int more = any_of(subject, attributes, 4);
  if (more < 0 || (more && fields_of(subject_fields, subject, &q->fields, q->ids, 8, &q->id_count))) return -1;
  PyObject *cut = PyObject_GetAttr(subject, n_truncated);
  if (!cut) return -1;
  q->family_cut = q->given_cut = 0;
  if (PyAnySet_Check(cut) && PySet_GET_SIZE(cut)) {
    q->family_cut = PySet_Contains(cut, n_family) == 1;
    q->given_cut = PySet_Contains(cut, n_given) == 1;
  }
  Py_DECREF(cut);
  return 0;
}

static PyObject *hits_list(const Hit *hits, u32 count) {
  PyObject *list = PyList_New(count);
  for (u32 i = 0; list && i < count; i++) {
    const Hit *h = &hits[i];
    PyObject *parts = PyTuple_New(PARTS), *one;
    for (int p = 0; parts && p < PARTS; p++) {
      PyObject *n = PyLong_FromLong(h->part[p]);
      if (!n) Py_CLEAR(parts);
      else PyTuple_SET_ITEM(parts, p, n);
    }
    one = parts ? Py_BuildValue("IIiN", h->entry, h->row, h->total, parts) : NULL;
    if (!one) Py_CLEAR(list);
    else PyList_SET_ITEM(list, i, one);
  }
  return list;
}

static PyObject *image_screen(ImageObject *self, PyObject *const *args, Py_ssize_t count) {
  if (count < 2 || count > 3) {
    PyErr_SetString(PyExc_TypeError, "screen(subject, threshold[, mode])");
    return NULL;
  }
  long threshold = PyLong_AsLong(args[1]);
  long mode = count == 3 ? PyLong_AsLong(args[2]) : MODE_INDEXED;
  Query q;
  if (PyErr_Occurred() || query_of(args[0], &q)) return NULL;
  Context *c = take(self);
  if (!c) return NULL;
  int failed;
  Py_BEGIN_ALLOW_THREADS
  failed = query_run(&self->image, c, &q, (int)threshold, (int)mode);
  Py_END_ALLOW_THREADS
  PyObject *out = failed ? PyErr_NoMemory() : hits_list(c->hits, c->hit_count);
  give_back(self, c);
  return out;
}

static int by_birth_date(const void *a, const void *b) {
  const Query *p = *(Query *const *)a, *q = *(Query *const *)b;
  int x = (p->year * 100 + p->month) * 100 + p->day, y = (q->year * 100 + q->month) * 100 + q->day;
  return x != y ? (x < y ? -1 : 1) : p < q ? -1 : p > q;
}

/* Many subjects at once: read them all, let the GIL go, answer in order of birth date (neighbours share their rows). */
static PyObject *image_screen_many(ImageObject *self, PyObject *const *args, Py_ssize_t count) {
  if (count != 2 || !PyList_Check(args[0])) {
    PyErr_SetString(PyExc_TypeError, "screen_many(list of subjects, threshold)");
    return NULL;
  }
  Py_ssize_t n = PyList_GET_SIZE(args[0]);
  long threshold = PyLong_AsLong(args[1]);
  if (PyErr_Occurred()) return NULL;
  Query *queries = malloc((size_t)(n ? n : 1) * sizeof *queries), **order = malloc((size_t)(n ? n : 1) * sizeof *order);
  struct { Hit *at; u32 count; } *found = calloc((size_t)(n ? n : 1), sizeof *found);
  PyObject *out = NULL;
  Context *c = NULL;
  int failed = 0;
  if (!queries || !order || !found) {
    PyErr_NoMemory();
    goto out;
  }
  for (Py_ssize_t i = 0; i < n; i++) {
    if (query_of(PyList_GET_ITEM(args[0], i), &queries[i])) goto out;
    order[i] = &queries[i];
  }
  if (!(c = take(self))) goto out;
  Py_BEGIN_ALLOW_THREADS
  qsort(order, (size_t)n, sizeof *order, by_birth_date);
  for (Py_ssize_t k = 0; k < n && !failed; k++) {
    Py_ssize_t i = order[k] - queries;
    failed = query_run(&self->image, c, order[k], (int)threshold, MODE_INDEXED);
    if (!failed && c->hit_count) {
      found[i].at = malloc(c->hit_count * sizeof(Hit));
      if (!found[i].at) failed = 1;
      else memcpy(found[i].at, c->hits, (found[i].count = c->hit_count) * sizeof(Hit));
    }
  }
  Py_END_ALLOW_THREADS
  give_back(self, c);
  if (failed) {
    PyErr_NoMemory();
    goto out;
  }
  out = PyList_New(0);
  for (Py_ssize_t i = 0; out && i < n; i++) {
    if (!found[i].count) continue;
    PyObject *list = hits_list(found[i].at, found[i].count), *one = list ? Py_BuildValue("nN", i, list) : NULL;
    if (!one || PyList_Append(out, one)) Py_CLEAR(out);
    Py_XDECREF(one);
  }
out:
  for (Py_ssize_t i = 0; found && i < n; i++) free(found[i].at);
  free(found);
  free(order);
  free(queries);
  return out;
}

static PyObject *out_of_range(void) {
  PyErr_SetString(PyExc_IndexError, "no such row or entry");
  return NULL;
}

static PyObject *image_entry_id(ImageObject *self, PyObject *arg) {
  unsigned long e = PyLong_AsUnsignedLong(arg);
  if (PyErr_Occurred()) return NULL;
  const Image *x = &self->image;
  if (e >= x->head->entries) return out_of_range();
  return PyUnicode_DecodeUTF8(x->id_text + x->id_off[e], (Py_ssize_t)(x->id_off[e + 1] - x->id_off[e]), "strict");
}

static PyObject *image_entry_digest(ImageObject *self, PyObject *arg) {
  unsigned long e = PyLong_AsUnsignedLong(arg);
  if (PyErr_Occurred()) return NULL;
  if (e >= self->image.head->entries) return out_of_range();
  return PyBytes_FromStringAndSize((const char *)self->image.digest + 8 * e, 8);
}

/* Row → (entry, first surname, second, given, middle, bucket, first year, last year, month); years 0 where there is an exact day. */
static PyObject *image_row(ImageObject *self, PyObject *arg) {
  unsigned long r = PyLong_AsUnsignedLong(arg);
  if (PyErr_Occurred()) return NULL;
  const Image *x = &self->image;
  if (r >= x->rows) return out_of_range();
  u32 f = x->row_f[r], s1 = f, s2 = 0, g1 = x->row_rest[r].given, g2 = x->row_rest[r].middle;
  if (f >= x->tokens) s1 = x->multi[f - x->tokens].first, s2 = x->multi[f - x->tokens].second;
  u32 bucket = DAYS;
  PartialDate p = {0, 0, 0, 0};
  if (r < x->undated) {
    u32 lo = 0, hi = DAYS;
    while (hi - lo > 1) {
      u32 mid = lo + (hi - lo) / 2;
      if (x->day[mid].row <= r) lo = mid;
      else hi = mid;
    }
    bucket = lo;
  } else {
    p = x->partial[x->partial_of[r - x->undated]];
  }
#define TEXT(t) x->tok_text + x->tok_off[t], (Py_ssize_t)token_length(x, t)
  return Py_BuildValue("Is#s#s#s#Iiii", ENTRY_OF(x->row_rest[r].entry), TEXT(s1), TEXT(s2), TEXT(g1), TEXT(g2), bucket, (int)p.first, (int)p.last, (int)p.month);
}

static PyObject *image_forget(ImageObject *self, PyObject *ignored) {
  (void)ignored;
  for (int i = 0; i < self->idle_count; i++) context_forget(self->idle[i]);
  Py_RETURN_NONE;
}

static PyObject *image_info(ImageObject *self, PyObject *ignored) {
  (void)ignored;
  const Header *h = self->image.head;
  PyObject *sections = PyTuple_New(SECTIONS);
  for (int s = 0; sections && s < SECTIONS; s++) PyTuple_SET_ITEM(sections, s, PyLong_FromUnsignedLongLong(h->length[s]));
  return Py_BuildValue("{sI,sI,sI,sI,sK,sy#,sK,sK,sN}", "entries", h->entries, "rows", h->rows, "tokens", h->tokens, "families", h->families, "size",
                       (unsigned long long)h->size, "revision", (const char *)h->revision, (Py_ssize_t)16, "rows_seen",
                       (unsigned long long)self->rows_seen, "rows_scored", (unsigned long long)self->rows_scored, "sections", sections);
}

static PyObject *image_bytes(ImageObject *self, PyObject *ignored) {
  (void)ignored;
  return PyMemoryView_FromObject(self->buffer.obj);
}

static PyMethodDef image_methods[] = {
    {"screen", (PyCFunction)(void (*)(void))image_screen, METH_FASTCALL, "screen(subject, threshold[, mode]) -> [(entry, row, total, parts)]"},
    {"screen_many", (PyCFunction)(void (*)(void))image_screen_many, METH_FASTCALL, "screen_many(subjects, threshold) -> [(number of the subject, its list)], of those who have any"},
    {"entry_id", (PyCFunction)image_entry_id, METH_O, "the id of an entry"},
    {"entry_digest", (PyCFunction)image_entry_digest, METH_O, "eight bytes over everything an entry says"},
    {"row", (PyCFunction)image_row, METH_O, "a row's tokens and birth date"},
    {"forget", (PyCFunction)image_forget, METH_NOARGS, "empty the memos of idle contexts: the next questions are cold"},
    {"info", (PyCFunction)image_info, METH_NOARGS, "counts, size, revision"},
    {"bytes", (PyCFunction)image_bytes, METH_NOARGS, "the whole image, as it is saved"},
    {NULL, NULL, 0, NULL}};

static PyTypeObject ImageType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "watchlists._kernel.Image",
    .tp_basicsize = sizeof(ImageObject),
    .tp_dealloc = (destructor)image_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "A registry's image, ready to be screened against from any number of threads.",
    .tp_methods = image_methods,
};

/* --- module functions --- */

static void *allocate_bytes(void *token, u64 size) {
  PyObject **out = token;
  *out = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
  return *out ? PyBytes_AS_STRING(*out) : NULL;
}

static int add_background(Builder *b, PyObject *counts, int given) {
  PyObject *word, *count;
  Py_ssize_t at = 0;
  while (PyDict_Next(counts, &at, &word, &count)) {
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(word, &length);
    u32 n = (u32)PyLong_AsUnsignedLong(count);
    if (!text || PyErr_Occurred()) return -1;
    if (length < 1 || length > MAX_TOKEN) continue;
    if (builder_background(b, text, (int)length, given ? 0 : n, given ? n : 0)) {
      PyErr_NoMemory();
      return -1;
    }
  }
  return 0;
}

static PyObject *build(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *entries, *families, *givens, *image = NULL, *bytes = NULL, *entry;
  if (!PyArg_ParseTuple(args, "OO!O!", &entries, &PyDict_Type, &families, &PyDict_Type, &givens)) return NULL;
  PyObject *iterator = PyObject_GetIter(entries), *seen = PySet_New(NULL);
  Builder b;
  if (builder_begin(&b)) PyErr_NoMemory();
  else if (iterator && seen && !add_background(&b, families, 0) && !add_background(&b, givens, 1)) {
    int failed = 0;
    while (!failed && (entry = PyIter_Next(iterator))) {
      failed = b.entries == ENTRY_OF(~0u) ? -1 : add_entry(&b, entry, seen);
      Py_DECREF(entry);
    }
    if (!PyErr_Occurred() && !failed) {
      Py_CLEAR(seen);
      const char *wrong = NULL;
      if (builder_finish(&b, allocate_bytes, &bytes)) image = attach(bytes, 0, &wrong);
      else if (!PyErr_Occurred()) PyErr_NoMemory();
    } else if (!PyErr_Occurred()) {
      PyErr_SetString(PyExc_OverflowError, "more entries than an index can number");
    }
  }
  builder_end(&b);
  Py_XDECREF(bytes);
  Py_XDECREF(iterator);
  Py_XDECREF(seen);
  return image;
}

static PyObject *attach_to(PyObject *module, PyObject *bytes) {
  (void)module;
  const char *wrong = NULL;
  PyObject *image = attach(bytes, 1, &wrong);
  if (!image && wrong) PyErr_SetString(PyExc_ValueError, wrong);
  return image;
}

/* (family, given, middle, suffix) → what name_tokens makes of them: for the tests that hold it against normalize.py. */
static PyObject *tokens_of(PyObject *module, PyObject *name) {
  (void)module;
  NameTokens t;
  Words middle;
  if (name_of(name, &t, &middle)) return NULL;
#define SLOT(s) t.text[s], (Py_ssize_t)t.length[s]
  return Py_BuildValue("s#s#s#s#s#s#i", SLOT(0), SLOT(1), SLOT(2), SLOT(3), SLOT(4), SLOT(5), t.suffix);
}

static int read_table(PyObject *score, const char *name, double *out) {
  PyObject *table = PyObject_GetAttrString(score, name), *key, *value;
  Py_ssize_t at = 0;
  memset(out, 0, LEVELS * sizeof *out);
  if (!table) return -1;
  while (PyDict_Next(table, &at, &key, &value)) {
    long level = PyLong_AsLong(key);
    double m, ways;
    if (PyErr_Occurred() || level < 1 || level >= LEVELS || !PyArg_ParseTuple(value, "dd", &m, &ways)) {
      Py_DECREF(table);
      if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "score.py names a level the kernel does not know");
      return -1;
    }
    out[level] = m / ways;
  }
  Py_DECREF(table);
  return 0;
}

static int read_number(PyObject *score, const char *name, double *out) {
  PyObject *value = PyObject_GetAttrString(score, name);
  if (!value) return -1;
  *out = PyFloat_AsDouble(value);
  Py_DECREF(value);
  return PyErr_Occurred() ? -1 : 0;
}

/* The weights of score.py: read when the module loads, and again whenever evaluate has fitted others. */
static PyObject *configure(PyObject *module, PyObject *score) {
  (void)module;
  Score s;
  memset(&s, 0, sizeof s);
  double number;
#define X(name)                                             \
  if (read_number(score, #name, &number)) return NULL; \
  s.name = (int)number;
  SCORE_INTS(X)
#undef X
#define X(name) \
  if (read_number(score, #name, &s.name)) return NULL;
  SCORE_DOUBLES(X)
#undef X
  if (read_table(score, "FAMILY", s.family) || read_table(score, "GIVEN", s.given) || read_table(score, "FAMILY_SWAPPED", s.family_swapped) ||
      read_table(score, "GIVEN_SWAPPED", s.given_swapped) ||
      read_table(score, "REGISTERED_WRONG", s.registered_wrong))
    return NULL;
  PyObject *steps = PyObject_GetAttrString(score, "HEIGHT_STEPS"), *eyes = PyObject_GetAttrString(score, "BACKGROUND_EYES"),
           *near = PyObject_GetAttrString(score, "EYE_NEAR_LIST");
  int bad = !steps || !eyes || !near || !PyTuple_Check(steps) || !PyTuple_Check(eyes) || !PyTuple_Check(near) || PyTuple_GET_SIZE(steps) > 8 ||
            PyTuple_GET_SIZE(eyes) > 16;
  for (Py_ssize_t i = 0; !bad && i < PyTuple_GET_SIZE(steps); i++, s.height_steps++)
    bad = !PyArg_ParseTuple(PyTuple_GET_ITEM(steps, i), "ii", &s.height_most[i], &s.height_bits[i]);
  for (Py_ssize_t i = 0; !bad && i < PyTuple_GET_SIZE(eyes); i++) s.background_eyes[i] = (int)PyLong_AsLong(PyTuple_GET_ITEM(eyes, i));
  for (Py_ssize_t i = 0; !bad && i < PyTuple_GET_SIZE(near); i++) {
    int a = 0, b = 0;
    bad = !PyArg_ParseTuple(PyTuple_GET_ITEM(near, i), "ii", &a, &b) || a < 0 || a > 15 || b < 0 || b > 15;
    if (!bad) s.eye_near[a][b] = s.eye_near[b][a] = 1;
  }
  Py_XDECREF(steps);
  Py_XDECREF(eyes);
  Py_XDECREF(near);
  if (bad || PyErr_Occurred()) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "score.py's tables are not of the shape the kernel knows");
    return NULL;
  }
  W = s;
  Py_RETURN_NONE;
}

static int fill_thesaurus(Thesaurus *th, PyObject *dict) {
  Py_ssize_t n = PyDict_Size(dict), at = 0, total = 0, letters = 0;
  PyObject *word, *others, *item;
  /* Words first, numbered; then each one's list. Words that are only ever on the right are keys too (both ways). */
  th->words = (u32)n;
  th->bits = 4;
  while ((1u << th->bits) < 2u * (u32)n) th->bits++;
  while (PyDict_Next(dict, &at, &word, &others)) {
    letters += PyUnicode_GET_LENGTH(word);
    total += PySequence_Size(others);
  }
  th->slots = calloc((size_t)1 << th->bits, 4);
  th->off = calloc((size_t)n + 1, 4);
  th->ids = calloc((size_t)total + 1, 4);
  th->text_off = calloc((size_t)n + 1, 4);
  th->text = calloc((size_t)letters + 1, 1);
  PyObject *numbers = PyDict_New();
  if (!th->slots || !th->off || !th->ids || !th->text_off || !th->text || !numbers) goto failed;
  u32 number = 0, end = 0;
  for (at = 0; PyDict_Next(dict, &at, &word, &others); number++) {
    u32 length = (u32)PyUnicode_GET_LENGTH(word), h;
    PyObject *as_number = PyLong_FromUnsignedLong(number);
    if (!PyUnicode_IS_ASCII(word) || !as_number || PyDict_SetItem(numbers, word, as_number)) goto failed;
    Py_DECREF(as_number);
    memcpy(th->text + end, PyUnicode_1BYTE_DATA(word), length);
    th->text_off[number] = end;
    end += length;
    for (h = (u32)(hash_word((const char *)PyUnicode_1BYTE_DATA(word), (int)length) >> (64 - th->bits)); th->slots[h]; h = (h + 1) & ((1u << th->bits) - 1)) {}
    th->slots[h] = number + 1;
  }
  th->text_off[number] = end;
  u32 ids = 0;
  number = 0;
  for (at = 0; PyDict_Next(dict, &at, &word, &others); number++) {
    th->off[number] = ids;
    PyObject *iterator = PyObject_GetIter(others);
    if (!iterator) goto failed;
    while ((item = PyIter_Next(iterator))) {
      PyObject *found = PyDict_GetItemWithError(numbers, item);
      Py_DECREF(item);
      if (!found) {
        Py_DECREF(iterator);
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "a thesaurus must name every word both ways");
        goto failed;
      }
      th->ids[ids++] = (u32)PyLong_AsUnsignedLong(found);
    }
    Py_DECREF(iterator);
  }
  th->off[number] = ids;
  Py_DECREF(numbers);
  return 0;
failed:
  Py_XDECREF(numbers);
  th->words = 0;
  if (!PyErr_Occurred()) PyErr_NoMemory();
  return -1;
}

static int small_words(SmallWord *out, int room, int *count, PyObject *dict) {
  PyObject *word, *code;
  Py_ssize_t at = 0;
  *count = 0;
  while (PyDict_Next(dict, &at, &word, &code)) {
    Py_ssize_t length = PyUnicode_GET_LENGTH(word);
    if (*count == room || length > (Py_ssize_t)sizeof out->text || !PyUnicode_IS_ASCII(word)) {
      PyErr_SetString(PyExc_ValueError, "too many or too long particles or suffixes");
      return -1;
    }
    SmallWord *w = &out[(*count)++];
    memcpy(w->text, PyUnicode_1BYTE_DATA(word), (size_t)length);
    w->length = (int)length;
    w->code = (int)PyLong_AsLong(code);
  }
  return PyErr_Occurred() ? -1 : 0;
}

/* Called once by index.py with what the kernel leaves to Python. */
static PyObject *connect(PyObject *module, PyObject *args, PyObject *keywords) {
  (void)module;
  static char *names[] = {"fold", "parse_birth_date", "entry_fields", "subject_fields", "entry_digest", "refuse_entry", "refuse_duplicate",
                          "spellings", "nicknames", "particles", "suffixes", NULL};
  PyObject *call[7], *spellings, *nicknames, *particles, *suffixes;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOOOOOOO!O!O!O!", names, &call[0], &call[1], &call[2], &call[3], &call[4], &call[5], &call[6],
                                   &PyDict_Type, &spellings, &PyDict_Type, &nicknames, &PyDict_Type, &particles, &PyDict_Type, &suffixes))
    return NULL;
  PyObject **keep[] = {&fold_text, &parse_birth_date, &entry_fields, &subject_fields, &entry_digest, &refuse_entry, &refuse_duplicate};
  for (int i = 0; i < 7; i++) Py_XSETREF(*keep[i], Py_NewRef(call[i]));
  if (!SPELLINGS.words && fill_thesaurus(&SPELLINGS, spellings)) return NULL;
  if (!NICKNAMES.words && fill_thesaurus(&NICKNAMES, nicknames)) return NULL;
  if (small_words(PARTICLES, 64, &PARTICLE_COUNT, particles) || small_words(SUFFIXES, 16, &SUFFIX_COUNT, suffixes)) return NULL;
  Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"connect", (PyCFunction)(void (*)(void))connect, METH_VARARGS | METH_KEYWORDS, "what the kernel leaves to Python"},
    {"configure", configure, METH_O, "read the weights of the score module"},
    {"build", build, METH_VARARGS, "build(entries, family background, given background) -> Image"},
    {"attach", attach_to, METH_O, "attach(bytes) -> Image; ValueError says what is wrong with them"},
    {"tokens", tokens_of, METH_O, "a Name's tokens"},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "watchlists._kernel", "The compiled matcher; see kernel.h.", -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__kernel(void) {
  PyDateTime_IMPORT;
  if (!PyDateTimeAPI) return NULL;
  const struct { PyObject **at; const char *text; } interned[] = {
      {&n_id, "id"}, {&n_names, "names"}, {&n_birth_dates, "birth_dates"}, {&n_sex, "sex"}, {&n_addresses, "addresses"}, {&n_address, "address"},
      {&n_height_cm, "height_cm"}, {&n_eye_color, "eye_color"}, {&n_id_hashes, "id_hashes"}, {&n_family, "family"}, {&n_given, "given"},
      {&n_middle, "middle"}, {&n_suffix, "suffix"}, {&n_kind, "kind"}, {&n_name, "name"}, {&n_birth_date, "birth_date"}, {&n_truncated, "truncated"}};
  for (size_t i = 0; i < sizeof interned / sizeof *interned; i++)
    if (!(*interned[i].at = PyUnicode_InternFromString(interned[i].text))) return NULL;
  time_t now = time(NULL);
  struct tm *utc = gmtime(&now);
  this_year = utc ? utc->tm_year + 1900 : 0; /* 0: Python looks at every date */
  if (PyType_Ready(&ImageType) < 0) return NULL;
  PyObject *module = PyModule_Create(&definition);
  if (!module || PyModule_AddIntConstant(module, "SMALLEST", (long)sizeof(Header)) || PyModule_AddIntConstant(module, "VERSION", INDEX_VERSION)) {
    Py_XDECREF(module);
    return NULL;
  }
  return module;
}
