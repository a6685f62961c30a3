/* Plain msgspec Structs as arrays: written here, and read by msgspec as objects of a twin class,
 * which become objects of the class.
 *
 * docs/decisions/0012 tells why. Whatever is refused here, by any exception, the generated functions
 * do instead: this need only be right about what it accepts.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#ifdef Py_GIL_DISABLED
#error "objects change their class, which only the GIL hides from other threads"
#endif

#ifndef SOURCE_DIGEST
#error "define SOURCE_DIGEST as the digest of these sources, as hatch_build.py does"
#endif

#include "shape.h"
#include "writer.h"
#include "reader.h"

typedef struct {
    PyObject_HEAD
    PyObject *description; /* keeps the classes of the nodes alive */
    PyObject *encode;
    PyObject *decode;
    Node *root;
} RecordCodec;

static PyObject *
codec_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *description, *encode, *decode;
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) != 0)
        return PyErr_SetString(PyExc_TypeError, "positional arguments only"), NULL;
    if (!PyArg_ParseTuple(args, "O!OO", &PyTuple_Type, &description, &encode, &decode)) return NULL;
    Node *root = parse(description, 0);
    if (root == NULL) return NULL;
    RecordCodec *self = (RecordCodec *)type->tp_alloc(type, 0);
    if (self == NULL) return node_free(root), NULL;
    self->description = Py_NewRef(description);
    self->encode = Py_NewRef(encode);
    self->decode = Py_NewRef(decode);
    self->root = root;
    return (PyObject *)self;
}

static int
codec_traverse(RecordCodec *self, visitproc visit, void *arg)
{
    Py_VISIT(self->description);
    Py_VISIT(self->encode);
    Py_VISIT(self->decode);
    return 0;
}

static int
codec_clear(RecordCodec *self)
{
    node_free(self->root); /* before what its classes are kept alive by */
    self->root = NULL;
    Py_CLEAR(self->description);
    Py_CLEAR(self->encode);
    Py_CLEAR(self->decode);
    return 0;
}

static void
codec_dealloc(RecordCodec *self)
{
    PyObject_GC_UnTrack(self);
    codec_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *
codec_encode(RecordCodec *self, PyObject *value)
{
    if (self->root == NULL) return refuse(value), NULL;
    Writer w;
    w.data = w.start;
    w.used = 0;
    w.room = ROOM;
    w.bytes = NULL;
    w.encode = self->encode;
    if (write_value(&w, self->root, value) < 0) {
        Py_XDECREF(w.bytes);
        return NULL;
    }
    if (w.bytes == NULL) return PyBytes_FromStringAndSize(w.start, w.used);
    _PyBytes_Resize(&w.bytes, w.used); /* NULL, with an exception, if that fails */
    return w.bytes;
}

static PyObject *
codec_decode(RecordCodec *self, PyObject *data)
{
    if (self->root == NULL) return refuse(data), NULL;
    PyObject *value = PyObject_CallOneArg(self->decode, data);
    if (value != NULL && raise_up(self->root, value) < 0) Py_CLEAR(value);
    return value;
}

static PyMethodDef codec_methods[] = {
    {"encode", (PyCFunction)codec_encode, METH_O, "The bytes of a value of the shape."},
    {"decode", (PyCFunction)codec_decode, METH_O, "The value of some bytes."},
    {NULL},
};

static PyTypeObject RecordCodecType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "weaver.rpc.codec._records.RecordCodec",
    .tp_doc = "Encodes and decodes values of one shape: RecordCodec(shape, encode, decode).",
    .tp_basicsize = sizeof(RecordCodec),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = codec_new,
    .tp_dealloc = (destructor)codec_dealloc,
    .tp_traverse = (traverseproc)codec_traverse,
    .tp_clear = (inquiry)codec_clear,
    .tp_methods = codec_methods,
};

static struct PyModuleDef records_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_records",
    .m_size = -1,
};

PyMODINIT_FUNC
PyInit__records(void)
{
    PyObject *module = PyModule_Create(&records_module);
    if (module == NULL) return NULL;
    if (PyModule_AddType(module, &RecordCodecType) < 0 ||
        PyModule_AddStringConstant(module, "DIGEST", SOURCE_DIGEST) < 0)
        Py_CLEAR(module);
    return module;
}
