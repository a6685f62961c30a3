/* Out: msgpack, the same bytes as msgspec's of all records as tuples of their fields.
 *
 * Code of users may run only in `encode`, msgspec's, which is called for what is not written here.
 * It may change the containers of the value: so parts are held, and sizes are read again.
 */

#define ROOM 4096 /* bytes on the stack: most values need no more */

typedef struct {
    char *data;
    Py_ssize_t used, room;
    PyObject *bytes;  /* holds `data` once the room on the stack was too small */
    PyObject *encode; /* msgspec's, for what is not written here */
    char start[ROOM];
} Writer;

static int write_value(Writer *w, const Node *node, PyObject *value);

static int
grow(Writer *w, Py_ssize_t more)
{
    if (more > PY_SSIZE_T_MAX / 4 - w->room) return PyErr_NoMemory(), -1;
    w->room = (w->room + more) * 2;
    if (w->bytes == NULL) {
        w->bytes = PyBytes_FromStringAndSize(NULL, w->room);
        if (w->bytes == NULL) return -1;
        memcpy(PyBytes_AS_STRING(w->bytes), w->data, w->used);
    }
    else if (_PyBytes_Resize(&w->bytes, w->room) < 0) return -1;
    w->data = PyBytes_AS_STRING(w->bytes);
    return 0;
}

static inline char *
reserve(Writer *w, Py_ssize_t more)
{
    if (w->room - w->used < more && grow(w, more) < 0) return NULL;
    char *at = w->data + w->used;
    w->used += more;
    return at;
}

/* A code and a number of `width` bytes, greatest first. */
static inline int
write_code(Writer *w, unsigned char code, uint64_t number, int width)
{
    char *at = reserve(w, 1 + width);
    if (at == NULL) return -1;
    *at = (char)code;
    while (width > 0) at[width--] = (char)number, number >>= 8;
    return 0;
}

/* A head with a length: in the code itself below `most`, else in 1 (if there is such a code), 2 or
 * 4 bytes; the codes for 2 and 4 come after each other. */
static inline int
write_head(Writer *w, uint64_t size, uint64_t most, unsigned char small, int one, unsigned char two)
{
    if (size < most) return write_code(w, (unsigned char)(small | size), 0, 0);
    if (one && size < 256) return write_code(w, (unsigned char)one, size, 1);
    if (size < 65536) return write_code(w, two, size, 2);
    if (size < (1ULL << 32)) return write_code(w, two + 1, size, 4);
    return PyErr_SetString(PyExc_OverflowError, "too long"), -1;
}

static inline int
write_data(Writer *w, const char *data, Py_ssize_t size)
{
    char *at = reserve(w, size);
    if (at == NULL) return -1;
    memcpy(at, data, size);
    return 0;
}

static int
write_array_head(Writer *w, Py_ssize_t size)
{
    return write_head(w, size, 16, 0x90, 0, 0xdc);
}

static int
write_text(Writer *w, PyObject *value)
{
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(value, &size);
    if (text == NULL || write_head(w, size, 32, 0xa0, 0xd9, 0xda) < 0) return -1;
    return write_data(w, text, size);
}

static int
write_integer(Writer *w, PyObject *value)
{
    int overflow;
    long long n = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow < 0) return PyErr_SetString(PyExc_OverflowError, "big"), -1;
    if (n < 0 && !overflow) {
        if (n >= -32) return write_code(w, (unsigned char)n, 0, 0);
        if (n >= INT8_MIN) return write_code(w, 0xd0, n, 1);
        if (n >= INT16_MIN) return write_code(w, 0xd1, n, 2);
        return n >= INT32_MIN ? write_code(w, 0xd2, n, 4) : write_code(w, 0xd3, n, 8);
    }
    uint64_t u = overflow ? PyLong_AsUnsignedLongLong(value) : (uint64_t)n;
    if (overflow && PyErr_Occurred()) return -1;
    if (u < 128) return write_code(w, (unsigned char)u, 0, 0);
    if (u < 256) return write_code(w, 0xcc, u, 1);
    if (u < 65536) return write_code(w, 0xcd, u, 2);
    return u < (1ULL << 32) ? write_code(w, 0xce, u, 4) : write_code(w, 0xcf, u, 8);
}

static int
write_float(Writer *w, PyObject *value)
{
    double number = PyFloat_AS_DOUBLE(value);
    uint64_t bits;
    memcpy(&bits, &number, sizeof(bits));
    return write_code(w, 0xcb, bits, 8);
}

static int
write_other(Writer *w, PyObject *value)
{
    PyObject *bytes = PyObject_CallOneArg(w->encode, value);
    if (bytes == NULL) return -1;
    int failed = !PyBytes_CheckExact(bytes)
                     ? refuse(bytes)
                     : write_data(w, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return failed;
}

static int
write_record(Writer *w, const Node *node, PyObject *value)
{
    if (Py_TYPE(value) != node->record) return refuse(value);
    if (write_array_head(w, node->size) < 0) return -1;
    for (Py_ssize_t i = 0; i < node->size; i++) {
        PyObject *part = *(PyObject **)((char *)value + node->offsets[i]);
        if (part == NULL) return PyErr_SetString(PyExc_AttributeError, "a field is not set"), -1;
        Py_INCREF(part);
        int failed = write_value(w, node->parts[i], part);
        Py_DECREF(part);
        if (failed) return -1;
    }
    return 0;
}

/* A list or a tuple: they are the same on the wire. */
static int
write_items(Writer *w, const Node *node, PyObject *value)
{
    Py_ssize_t size = PySequence_Fast_GET_SIZE(value);
    const int row = node != NULL && node->kind == ROW;
    if (row && size != node->size) return refuse(value);
    if (write_array_head(w, size) < 0) return -1;
    for (Py_ssize_t i = 0; i < size; i++) {
        if (size != PySequence_Fast_GET_SIZE(value)) return refuse(value);
        PyObject *part = Py_NewRef(PySequence_Fast_GET_ITEM(value, i));
        int failed = write_value(w, node == NULL ? NULL : node->parts[row ? i : 0], part);
        Py_DECREF(part);
        if (failed) return -1;
    }
    return 0;
}

static int
write_mapping(Writer *w, const Node *node, PyObject *value)
{
    Py_ssize_t position = 0, size = PyDict_GET_SIZE(value);
    PyObject *key, *part;
    if (write_head(w, size, 16, 0x80, 0, 0xde) < 0) return -1;
    for (Py_ssize_t i = 0; i < size; i++) {
        if (size != PyDict_GET_SIZE(value) || !PyDict_Next(value, &position, &key, &part))
            return refuse(value);
        Py_INCREF(key);
        Py_INCREF(part);
        int failed = write_value(w, NULL, key) < 0 ||
                     write_value(w, node == NULL ? NULL : node->parts[0], part) < 0;
        Py_DECREF(part);
        Py_DECREF(key);
        if (failed) return -1;
    }
    return 0;
}

static int
write_container(Writer *w, const Node *node, PyObject *value)
{
    const int items = PyList_CheckExact(value) || PyTuple_CheckExact(value);
    if (node != NULL && items != (node->kind != MAPPING)) return refuse(value);
    if (Py_EnterRecursiveCall(" while encoding a value")) return -1;
    int failed = items ? write_items(w, node, value) : write_mapping(w, node, value);
    Py_LeaveRecursiveCall();
    return failed;
}

static int
write_value(Writer *w, const Node *node, PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    while (node != NULL && node->kind == OPTIONAL && value != Py_None) node = node->parts[0];
    if (node != NULL && node->kind == RECORD) return write_record(w, node, value);
    if (type == &PyList_Type || type == &PyTuple_Type || type == &PyDict_Type)
        return write_container(w, node, value);
    if (node != NULL && node->kind != OPTIONAL) return refuse(value);
    if (type == &PyUnicode_Type) return write_text(w, value);
    if (type == &PyLong_Type) return write_integer(w, value);
    if (type == &PyFloat_Type) return write_float(w, value);
    if (value == Py_None) return write_code(w, 0xc0, 0, 0);
    if (type == &PyBool_Type) return write_code(w, value == Py_True ? 0xc3 : 0xc2, 0, 0);
    return write_other(w, value);
}
