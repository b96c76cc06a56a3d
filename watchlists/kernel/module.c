/* The kernel's Python face: build an image from entries, attach to one, screen subjects against it. */
#include "objects.h"

/* --- the Image type --- */

enum { KEPT = 32, NOT_KEPT = -1 }; /* contexts kept for later calls; more threads than that make their own */
typedef struct {
  PyObject_HEAD
  Py_buffer buffer;
  Image image;
  Context *idle[KEPT]; /* NULL where there is none, or where it is out */
  u8 out[KEPT];
  u64 rows_seen, rows_scored;
} ImageObject;

static PyTypeObject ImageType;

static PyObject *attach(PyObject *bytes, int verify, const char **wrong) {
  ImageObject *self = PyObject_New(ImageObject, &ImageType);
  if (!self) return NULL;
  memset(self->idle, 0, sizeof self->idle);
  memset(self->out, 0, sizeof self->out);
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
  for (int i = 0; i < KEPT; i++) context_free(self->idle[i]);
  if (self->buffer.obj) PyBuffer_Release(&self->buffer);
  PyObject_Free(self);
}

/* A context, and its place among those kept. A part of a batch asks for the same place again, where its words are known; -1:
 * any. The GIL guards them. */
static Context *take(ImageObject *self, int wanted, int *place) {
  *place = wanted >= 0 && wanted < KEPT && !self->out[wanted] ? wanted : NOT_KEPT;
  for (int i = 0; i < KEPT && *place == NOT_KEPT; i++)
    if (self->idle[i]) *place = i;
  for (int i = 0; i < KEPT && *place == NOT_KEPT; i++)
    if (!self->out[i]) *place = i;
  Context *c = *place == NOT_KEPT ? NULL : self->idle[*place];
  if (!c && !(c = context_new(&self->image))) {
    PyErr_NoMemory();
    return NULL;
  }
  if (*place != NOT_KEPT) {
    self->idle[*place] = NULL;
    self->out[*place] = 1;
  }
  return c;
}
static void give_back(ImageObject *self, Context *c, int place) {
  self->rows_seen += c->rows_seen;
  self->rows_scored += c->rows_scored;
  c->rows_seen = c->rows_scored = 0;
  if (place == NOT_KEPT) {
    context_free(c);
  } else {
    self->idle[place] = c;
    self->out[place] = 0;
  }
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
  int failed, place;
  Context *c = take(self, -1, &place);
  if (!c) return NULL;
  Py_BEGIN_ALLOW_THREADS
  query_ready(c, &q);
  failed = query_run(&self->image, c, &q, (int)threshold, (int)mode);
  Py_END_ALLOW_THREADS
  PyObject *out = failed ? PyErr_NoMemory() : hits_list(c->hits, c->hit_count);
  give_back(self, c, place);
  return out;
}

/* --- batches --- */

static const char BATCH[] = "watchlists._kernel.batch";

static void batch_free(PyObject *capsule) {
  Batch *b = PyCapsule_GetPointer(capsule, BATCH);
  batch_end(b);
  free(b);
}

enum { AT_A_TIME = 2048 }; /* subjects read before another thread may have the GIL: half a millisecond */

static PyObject *gather(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *list, *subjects, *capsule = NULL;
  int parts;
  if (!PyArg_ParseTuple(args, "O!i", &PyList_Type, &list, &parts)) return NULL;
  if (PyList_GET_SIZE(list) > INT32_MAX || parts < 1 || parts > PARTS_MOST) {
    PyErr_SetString(PyExc_OverflowError, "too many subjects or parts at once");
    return NULL;
  }
  Batch *b = calloc(1, sizeof *b);
  if (!b) return PyErr_NoMemory();
  if (!(subjects = PyList_AsTuple(list))) { /* which nobody can change meanwhile */
    free(b);
    return NULL;
  }
  Py_ssize_t n = PyTuple_GET_SIZE(subjects);
  int failed = batch_begin(b, (size_t)n, parts);
  for (Py_ssize_t i = 0; i < n && !failed; i++) {
    Query q;
    failed = query_of(PyTuple_GET_ITEM(subjects, i), &q) || batch_add(b, &q);
    if (i % AT_A_TIME == AT_A_TIME - 1) {
      Py_BEGIN_ALLOW_THREADS
      Py_END_ALLOW_THREADS
    }
  }
  if (!failed) {
    Py_BEGIN_ALLOW_THREADS
    failed = batch_sort(b);
    Py_END_ALLOW_THREADS
  }
  Py_DECREF(subjects);
  if (!failed) capsule = PyCapsule_New(b, BATCH, batch_free);
  if (!capsule) {
    batch_end(b);
    free(b);
    return PyErr_Occurred() ? NULL : PyErr_NoMemory();
  }
  PyObject *sizes = PyTuple_New(parts);
  for (int part = 0; sizes && part < parts; part++) {
    PyObject *size = PyLong_FromSize_t(batch_part(b, part + 1) - batch_part(b, part));
    if (!size) Py_CLEAR(sizes);
    else PyTuple_SET_ITEM(sizes, part, size);
  }
  if (!sizes) {
    Py_DECREF(capsule);
    return NULL;
  }
  return Py_BuildValue("NN", capsule, sizes);
}

/* The batch of a capsule, and where in its order the visitors [start, stop) of a part stand; NULL with an error set. */
static const Batch *part_of(PyObject *capsule, int part, Py_ssize_t start, Py_ssize_t stop, size_t *first, size_t *end) {
  const Batch *b = PyCapsule_GetPointer(capsule, BATCH);
  if (!b) return NULL;
  *first = *end = b->count;
  if (part < 0 || part >= b->parts || start < 0 || stop < start) {
    PyErr_SetString(PyExc_IndexError, "no such part of the batch");
    return NULL;
  }
  size_t from = batch_part(b, part), to = batch_part(b, part + 1), size = to - from;
  *first = from + ((size_t)start < size ? (size_t)start : size);
  *end = from + ((size_t)stop < size ? (size_t)stop : size);
  return b;
}

static PyObject *members(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *capsule;
  int part;
  Py_ssize_t start, stop;
  size_t first, end;
  if (!PyArg_ParseTuple(args, "Oinn", &capsule, &part, &start, &stop)) return NULL;
  const Batch *b = part_of(capsule, part, start, stop, &first, &end);
  PyObject *out = b ? PyList_New((Py_ssize_t)(end - first)) : NULL;
  for (size_t k = first; out && k < end; k++) {
    PyObject *number = PyLong_FromUnsignedLong((u32)b->order[k]);
    if (!number) Py_CLEAR(out);
    else PyList_SET_ITEM(out, (Py_ssize_t)(k - first), number);
  }
  return out;
}

static PyObject *image_screen_batch(ImageObject *self, PyObject *args) {
  PyObject *capsule, *out = NULL;
  int part, threshold, place;
  Py_ssize_t start, stop;
  size_t first, end;
  if (!PyArg_ParseTuple(args, "Oinni", &capsule, &part, &start, &stop, &threshold)) return NULL;
  const Batch *b = part_of(capsule, part, start, stop, &first, &end);
  Context *c = b ? take(self, part, &place) : NULL;
  if (!c) return NULL;
  Found found = {0};
  int failed;
  Py_BEGIN_ALLOW_THREADS
  failed = batch_run(&self->image, c, b, first, end, threshold, &found);
  Py_END_ALLOW_THREADS
  give_back(self, c, place);
  if (failed) PyErr_NoMemory();
  else out = PyList_New((Py_ssize_t)found.count);
  for (size_t i = 0; out && i < found.count; i++) {
    PyObject *list = hits_list(found.at[i].hits, found.at[i].count), *one = list ? Py_BuildValue("IN", found.at[i].visitor, list) : NULL;
    if (!one) Py_CLEAR(out);
    else PyList_SET_ITEM(out, (Py_ssize_t)i, one);
  }
  found_end(&found);
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
  u32 f = x->row_f[r], s1 = f, s2 = 0, g1 = x->row_rest[r].given, g2 = MIDDLE_OF(x->row_rest[r].middle_less);
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
  for (int i = 0; i < KEPT; i++)
    if (self->idle[i]) context_forget(self->idle[i]);
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
    {"screen_batch", (PyCFunction)image_screen_batch, METH_VARARGS, "screen_batch(batch, part, start, stop, threshold) -> [(number of the subject, its list)], of those [start, stop) of the part who have any"},
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

static PyMethodDef functions[] = {
    {"connect", (PyCFunction)(void (*)(void))connect_to, METH_VARARGS | METH_KEYWORDS, "what the kernel leaves to Python"},
    {"configure", configure, METH_O, "read the weights of the score module"},
    {"build", build, METH_VARARGS, "build(entries, family background, given background) -> Image"},
    {"gather", gather, METH_VARARGS, "gather(list of subjects, parts) -> (a batch to be screened against any image, its parts side by side; how many are in each)"},
    {"members", members, METH_VARARGS, "members(batch, part, start, stop) -> [number of the subject], in the order in which they are screened"},
    {"attach", attach_to, METH_O, "attach(bytes) -> Image; ValueError says what is wrong with them"},
    {"tokens", tokens_of, METH_O, "a Name's tokens"},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "watchlists._kernel", "The compiled matcher; see kernel.h.", -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__kernel(void) {
  if (objects_ready()) return NULL;
  if (PyType_Ready(&ImageType) < 0) return NULL;
  PyObject *module = PyModule_Create(&definition);
  if (!module || PyModule_AddIntConstant(module, "SMALLEST", (long)sizeof(Header)) || PyModule_AddIntConstant(module, "VERSION", INDEX_VERSION)) {
    Py_XDECREF(module);
    return NULL;
  }
  return module;
}
