/* Between Python's objects and the kernel's. All of it holds the GIL; -1 or NULL is an error that is set. */
#ifndef WATCHLISTS_OBJECTS_H
#define WATCHLISTS_OBJECTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "build.h"
#include "query.h"

/* What the kernel leaves to Python; see connect. */
extern PyObject *fold_text, *parse_birth_date, *entry_fields, *subject_fields, *entry_digest, *refuse_entry, *refuse_duplicate;

/* --- objects.c --- */
int objects_ready(void);
int name_of(PyObject *name, NameTokens *out, Words *middle);
int add_entry(Builder *b, PyObject *entry, PyObject *seen);
int query_of(PyObject *subject, Query *q);

/* --- tables.c --- */
PyObject *configure(PyObject *module, PyObject *score);
PyObject *connect_to(PyObject *module, PyObject *args, PyObject *keywords);

#endif
