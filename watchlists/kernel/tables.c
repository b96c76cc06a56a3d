/* The weights of score.py and the lists of names, read once from Python. */
#include "objects.h"

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
PyObject *configure(PyObject *module, PyObject *score) {
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
PyObject *connect_to(PyObject *module, PyObject *args, PyObject *keywords) {
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
