/* Entries and subjects, as Python has them, to what the kernel works on. */
#include "objects.h"

#include <datetime.h>
#include <structmember.h>
#include <time.h>

PyObject *fold_text, *parse_birth_date, *entry_fields, *subject_fields, *entry_digest, *refuse_entry, *refuse_duplicate;

/* An attribute, and where in an object of two types it lies: a batch reads a dozen of each of a million visitors. */
typedef struct {
  PyObject *name;
  PyTypeObject *type[2];
  Py_ssize_t at[2];
} Attribute;
static Attribute n_id, n_names, n_birth_dates, n_sex, n_addresses, n_address, n_height_cm, n_eye_color, n_id_hashes, n_family, n_given, n_middle,
    n_suffix, n_kind, n_name, n_birth_date, n_truncated;

/* Remember where objects of that type keep the field, if it is a plain slot of theirs, as a Struct's are. */
static void learn(Attribute *field, PyTypeObject *type) {
  int i = field->type[0] ? 1 : 0;
  if (field->type[i]) return;
  PyObject *found = PyObject_GetAttr((PyObject *)type, field->name);
  if (!found) PyErr_Clear();
  else if (Py_IS_TYPE(found, &PyMemberDescr_Type) && ((PyDescrObject *)found)->d_type == type) {
    const PyMemberDef *member = ((PyMemberDescrObject *)found)->d_member;
    if (member->type == T_OBJECT_EX) {
      field->at[i] = member->offset;
      field->type[i] = (PyTypeObject *)Py_NewRef((PyObject *)type);
    }
  }
  Py_XDECREF(found);
}

static PyObject *get(PyObject *owner, Attribute *field) {
  PyTypeObject *type = Py_TYPE(owner);
  for (int i = 0; i < 2; i++)
    if (field->type[i] == type) {
      PyObject *value = *(PyObject **)((char *)owner + field->at[i]);
      if (value) return Py_NewRef(value);
    }
  learn(field, type);
  return PyObject_GetAttr(owner, field->name);
}

static int words_of(PyObject *owner, Attribute *attribute, Words *out) {
  PyObject *text = get(owner, attribute);
  if (!text) return -1;
  if (!PyUnicode_Check(text)) {
    PyErr_Format(PyExc_TypeError, "a name's %U must be a str", attribute->name);
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
int name_of(PyObject *name, NameTokens *out, Words *middle) {
  Words family, given, suffix;
  if (words_of(name, &n_family, &family) || words_of(name, &n_given, &given) || words_of(name, &n_middle, middle) ||
      words_of(name, &n_suffix, &suffix))
    return -1;
  name_tokens(&family, &given, middle, &suffix, out);
  return 0;
}

static int sex_of(PyObject *owner, int *out) {
  PyObject *text = get(owner, &n_sex);
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
static int any_of(PyObject *owner, Attribute *const *attributes, int count) {
  for (int i = 0; i < count; i++) {
    PyObject *value = get(owner, attributes[i]);
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
  PyObject *texts = get(entry, &n_birth_dates), *list = texts ? PySequence_Fast(texts, "birth_dates must be a tuple") : NULL;
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

int add_entry(Builder *b, PyObject *entry, PyObject *seen) {
  Attribute *attributes[] = {&n_addresses, &n_height_cm, &n_eye_color, &n_id_hashes};
  PyObject *digest = NULL, *names = NULL;
  BirthDate dates[64];
  Fields fields = {0};
  u64 ids[64];
  int sex, date_count, id_count = 0, status = -1;
  PyObject *id = get(entry, &n_id);
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
  PyObject *tuple = get(entry, &n_names);
  names = tuple ? PySequence_Fast(tuple, "names must be a tuple") : NULL;
  Py_XDECREF(tuple);
  if (!names) goto out;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(names); i++) {
    PyObject *name = PySequence_Fast_GET_ITEM(names, i), *kind;
    NameTokens tokens;
    Words middle;
    if (name_of(name, &tokens, &middle)) goto out;
    if (!(kind = get(name, &n_kind))) goto out;
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

int query_of(PyObject *subject, Query *q) {
  Attribute *attributes[] = {&n_address, &n_height_cm, &n_eye_color, &n_id_hashes};
  Words middle;
  PyObject *name = get(subject, &n_name);
  if (!name) return -1;
  int failed = name_of(name, &q->name, &middle);
  Py_DECREF(name);
  if (failed) return -1;
  PyObject *date = get(subject, &n_birth_date);
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
  PyObject *cut = get(subject, &n_truncated);
  if (!cut) return -1;
  q->family_cut = q->given_cut = 0;
  if (PyAnySet_Check(cut) && PySet_GET_SIZE(cut)) {
    q->family_cut = PySet_Contains(cut, n_family.name) == 1;
    q->given_cut = PySet_Contains(cut, n_given.name) == 1;
  }
  Py_DECREF(cut);
  return 0;
}

int objects_ready(void) {
  PyDateTime_IMPORT;
  if (!PyDateTimeAPI) return -1;
  const struct { Attribute *field; const char *text; } interned[] = {
      {&n_id, "id"}, {&n_names, "names"}, {&n_birth_dates, "birth_dates"}, {&n_sex, "sex"}, {&n_addresses, "addresses"}, {&n_address, "address"},
      {&n_height_cm, "height_cm"}, {&n_eye_color, "eye_color"}, {&n_id_hashes, "id_hashes"}, {&n_family, "family"}, {&n_given, "given"},
      {&n_middle, "middle"}, {&n_suffix, "suffix"}, {&n_kind, "kind"}, {&n_name, "name"}, {&n_birth_date, "birth_date"}, {&n_truncated, "truncated"}};
  for (size_t i = 0; i < sizeof interned / sizeof *interned; i++)
    if (!(interned[i].field->name = PyUnicode_InternFromString(interned[i].text))) return -1;
  time_t now = time(NULL);
  struct tm *utc = gmtime(&now);
  this_year = utc ? utc->tm_year + 1900 : 0; /* 0: Python looks at every date */
  return 0;
}
