/* Shapes: which values are records, and where in a value they are.
 *
 * They are made once for a method, of descriptions that `shapes.py` makes: (kind, parts, record,
 * twin, names), the last three None but for records. A part that is None is none of ours.
 */

#define MOST_DEPTH 50 /* what is nested deeper is left to the generated functions */

typedef enum { RECORD, LIST, ROW, MAPPING, OPTIONAL } Kind;

typedef struct Node {
    Kind kind;
    Py_ssize_t size;      /* of `parts`; LIST, MAPPING and OPTIONAL have one */
    PyTypeObject *record; /* of a RECORD; the description keeps both alive */
    PyTypeObject *twin;
    Py_ssize_t *offsets;  /* of the fields of a RECORD */
    struct Node **parts;  /* NULL: msgspec's business */
} Node;

static int
refuse(PyObject *value)
{
    PyErr_Format(PyExc_TypeError, "unexpected `%.200s`", Py_TYPE(value)->tp_name);
    return -1;
}

static void
node_free(Node *node)
{
    if (node == NULL) return;
    for (Py_ssize_t i = 0; node->parts != NULL && i < node->size; i++) node_free(node->parts[i]);
    PyMem_Free(node->parts);
    PyMem_Free(node->offsets);
    PyMem_Free(node);
}

/* Where instances of a class have a field; -1 with an exception if not in a slot of its own. */
static Py_ssize_t
offset_of(PyTypeObject *cls, PyObject *name)
{
    Py_ssize_t offset = -1;
    PyObject *found = PyObject_GetAttr((PyObject *)cls, name);
    if (found == NULL) return -1;
    if (Py_IS_TYPE(found, &PyMemberDescr_Type)) {
        PyMemberDef *member = ((PyMemberDescrObject *)found)->d_member;
        if (member->type == T_OBJECT_EX && member->offset > 0 &&
            member->offset + (Py_ssize_t)sizeof(PyObject *) <= cls->tp_basicsize)
            offset = member->offset;
    }
    Py_DECREF(found);
    if (offset < 0) PyErr_Format(PyExc_TypeError, "`%U` is in no slot", name);
    return offset;
}

/* Whether objects of one class may become objects of the other, as far as memory is concerned. */
static int
alike(PyTypeObject *one, PyTypeObject *other)
{
    const unsigned long both = Py_TPFLAGS_HEAPTYPE | Py_TPFLAGS_HAVE_GC;
    return (one->tp_flags & both) == (other->tp_flags & both) &&
           (one->tp_flags & Py_TPFLAGS_HEAPTYPE) && one->tp_basicsize == other->tp_basicsize &&
           one->tp_itemsize == other->tp_itemsize && one->tp_free == other->tp_free &&
           one->tp_alloc == other->tp_alloc && one->tp_dictoffset == 0 &&
           other->tp_dictoffset == 0 && one->tp_weaklistoffset == 0 &&
           other->tp_weaklistoffset == 0;
}

static int
place_fields(Node *node, PyObject *names)
{
    if ((node->record != node->twin && !alike(node->record, node->twin)) ||
        PyTuple_GET_SIZE(names) != node->size) {
        PyErr_SetString(PyExc_TypeError, "the twin is laid out in another way");
        return -1;
    }
    node->offsets = PyMem_Calloc(node->size + 1, sizeof(Py_ssize_t));
    if (node->offsets == NULL) return PyErr_NoMemory(), -1;
    for (Py_ssize_t i = 0; i < node->size; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        node->offsets[i] = offset_of(node->record, name);
        if (node->offsets[i] < 0) return -1;
        Py_ssize_t twin = offset_of(node->twin, name);
        if (twin < 0) return -1;
        if (twin != node->offsets[i]) {
            PyErr_Format(PyExc_TypeError, "the twin has `%U` elsewhere", name);
            return -1;
        }
    }
    return 0;
}

static int parse_parts(Node *node, PyObject *parts, int depth);

static Node *
parse(PyObject *description, int depth)
{
    int kind;
    PyObject *parts, *record, *twin, *names;
    if (depth > MOST_DEPTH) return PyErr_SetString(PyExc_ValueError, "too deep a shape"), NULL;
    if (!PyArg_ParseTuple(description, "iO!OOO", &kind, &PyTuple_Type, &parts, &record, &twin, &names))
        return NULL;
    if (kind < RECORD || kind > OPTIONAL ||
        (kind != RECORD && kind != ROW && PyTuple_GET_SIZE(parts) != 1))
        return PyErr_SetString(PyExc_ValueError, "no shape"), NULL;
    Node *node = PyMem_Calloc(1, sizeof(Node));
    if (node == NULL) return (Node *)PyErr_NoMemory();
    node->kind = (Kind)kind;
    if (parse_parts(node, parts, depth) < 0) goto failed;
    if (kind == RECORD) {
        if (!PyType_Check(record) || !PyType_Check(twin) || !PyTuple_Check(names)) {
            PyErr_SetString(PyExc_TypeError, "a record, its twin, and the names of its fields");
            goto failed;
        }
        node->record = (PyTypeObject *)record;
        node->twin = (PyTypeObject *)twin;
        if (place_fields(node, names) < 0) goto failed;
    }
    return node;
failed:
    node_free(node);
    return NULL;
}

static int
parse_parts(Node *node, PyObject *parts, int depth)
{
    node->parts = PyMem_Calloc(PyTuple_GET_SIZE(parts) + 1, sizeof(Node *));
    if (node->parts == NULL) return PyErr_NoMemory(), -1;
    node->size = PyTuple_GET_SIZE(parts);
    for (Py_ssize_t i = 0; i < node->size; i++) {
        PyObject *part = PyTuple_GET_ITEM(parts, i);
        if (part == Py_None) {
            if (node->kind == RECORD || node->kind == ROW) continue;
            return PyErr_SetString(PyExc_ValueError, "no shape"), -1;
        }
        if (!PyTuple_Check(part)) return refuse(part);
        node->parts[i] = parse(part, depth + 1);
        if (node->parts[i] == NULL) return -1;
    }
    return 0;
}
