/* In: what msgspec has made of bytes, with twins that become the records.
 *
 * Nobody else has seen the value yet, and no code of users runs here.
 */

static int raise_up(const Node *node, PyObject *value);

static int
raise_record(const Node *node, PyObject *value)
{
    if (Py_TYPE(value) != node->twin) return refuse(value);
    for (Py_ssize_t i = 0; i < node->size; i++) {
        PyObject *part = *(PyObject **)((char *)value + node->offsets[i]);
        if (node->parts[i] != NULL && (part == NULL || raise_up(node->parts[i], part) < 0))
            return -1;
    }
    Py_INCREF(node->record); /* instances own a reference to their class */
    Py_SET_TYPE(value, node->record);
    Py_DECREF(node->twin);
    return 0;
}

static int
raise_items(const Node *node, PyObject *value)
{
    const int same = node->kind == LIST;
    if (!PyList_CheckExact(value) && !PyTuple_CheckExact(value)) return refuse(value);
    Py_ssize_t size = PySequence_Fast_GET_SIZE(value);
    if (!same && size != node->size) return refuse(value);
    for (Py_ssize_t i = 0; i < size; i++) {
        const Node *part = node->parts[same ? 0 : i];
        if (part != NULL && raise_up(part, PySequence_Fast_GET_ITEM(value, i)) < 0) return -1;
    }
    return 0;
}

static int
raise_mapping(const Node *node, PyObject *value)
{
    Py_ssize_t position = 0;
    PyObject *key, *part;
    if (!PyDict_CheckExact(value)) return refuse(value);
    while (PyDict_Next(value, &position, &key, &part))
        if (raise_up(node->parts[0], part) < 0) return -1;
    return 0;
}

static int
raise_up(const Node *node, PyObject *value)
{
    switch (node->kind) {
    case RECORD: return raise_record(node, value);
    case LIST:
    case ROW: return raise_items(node, value);
    case MAPPING: return raise_mapping(node, value);
    case OPTIONAL: return value == Py_None ? 0 : raise_up(node->parts[0], value);
    }
    return refuse(value);
}
