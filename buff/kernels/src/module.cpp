// buff.kernels.compiled: the kernels for Python, through the buffer protocol and the stable ABI alone.
#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>

#include <exception>
#include <mutex>

#include "jets.hpp"
#include "sampler.hpp"

namespace {

using namespace buff;

/// A contiguous buffer that is given back.
struct Buffer {
    Py_buffer view{};
    ~Buffer() {
        if (view.obj) PyBuffer_Release(&view);
    }
    Py_ssize_t bytes() const { return view.buf ? view.len : 0; }
    template <class T>
    T* data() const { return static_cast<T*>(view.buf); }
    template <class T>
    bool holds(int64_t n) const { return bytes() == Py_ssize_t(n) * Py_ssize_t(sizeof(T)); }
};

template <class T>
void destroy(PyObject* capsule) {
    delete static_cast<T*>(PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule)));
}

template <class T>
std::unique_ptr<T> made(T model) { return std::make_unique<T>(std::move(model)); }
template <class T>
std::unique_ptr<T> made(std::unique_ptr<T> model) { return model; }

template <class T>
PyObject* parse(PyObject* args, const char* name) {
    Buffer bytes;
    if (!PyArg_ParseTuple(args, "y*", &bytes.view)) return nullptr;
    try {
        Reader in(bytes.view.buf, size_t(bytes.view.len));
        auto model = made<T>(T::read(in));
        require(in.empty(), "it is too long");
        PyObject* capsule = PyCapsule_New(model.get(), name, destroy<T>);
        if (capsule) model.release();
        return capsule;
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_ValueError, error.what());
        return nullptr;
    }
}

PyObject* wrong_shape() {
    PyErr_SetString(PyExc_ValueError, "buff.kernels: an array has another size than the model needs");
    return nullptr;
}

bool known(int backend) {
    static const std::vector<Backend> here = available();
    for (Backend own : here)
        if (int(own) == backend) return true;
    PyErr_SetString(PyExc_ValueError, "buff.kernels: this processor lacks the instructions");
    return false;
}

PyObject* backends(PyObject*, PyObject*) {
    PyObject* names = PyList_New(0);
    for (Backend own : available()) {
        PyObject* entry = names ? Py_BuildValue("(si)", name_of(own), int(own)) : nullptr;
        if (!entry || PyList_Append(names, entry) < 0) Py_CLEAR(names);
        Py_XDECREF(entry);
    }
    return names;
}

PyObject* forest(PyObject*, PyObject* args) { return parse<Forest>(args, "buff.Forest"); }
PyObject* flow(PyObject*, PyObject* args) { return parse<Flow>(args, "buff.Flow"); }
PyObject* quantiles(PyObject*, PyObject* args) { return parse<Quantiles>(args, "buff.Quantiles"); }

PyObject* predict_rows(PyObject*, PyObject* args) {
    PyObject* capsule;
    int backend;
    Buffer x, out;
    if (!PyArg_ParseTuple(args, "Oiy*w*", &capsule, &backend, &x.view, &out.view) || !known(backend)) return nullptr;
    const auto* model = static_cast<const Forest*>(PyCapsule_GetPointer(capsule, "buff.Forest"));
    if (!model) return nullptr;
    const int64_t n = out.bytes() / (Py_ssize_t(sizeof(float)) * model->outputs);
    if (!x.holds<float>(n * model->features) || !out.holds<float>(n * model->outputs)) return wrong_shape();
    Py_BEGIN_ALLOW_THREADS
    predict(Backend(backend), *model, n, x.data<float>(), out.data<float>());
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

PyObject* sample_rows(PyObject*, PyObject* args) {
    PyObject* capsule;
    int backend;
    long long first;
    Buffer keys, chosen, state, source, condition, out;
    if (!PyArg_ParseTuple(args, "Oiy*Lz*z*z*z*w*", &capsule, &backend, &keys.view, &first, &chosen.view, &state.view,
                          &source.view, &condition.view, &out.view) ||
        !known(backend))
        return nullptr;
    const auto* model = static_cast<const Flow*>(PyCapsule_GetPointer(capsule, "buff.Flow"));
    if (!model) return nullptr;
    const Py_ssize_t row = Py_ssize_t(sizeof(float)) * model->dims;
    Request q;
    q.n = out.bytes() / row;
    q.first = first;
    q.keys = keys.data<Key>();
    q.chosen = chosen.data<int64_t>();
    q.state = state.data<float>();
    q.source = source.data<float>();
    q.source_rows = source.bytes() / row;
    q.condition = condition.data<float>();
    q.condition_rows = model->conditions ? condition.bytes() / (Py_ssize_t(sizeof(float)) * model->conditions) : 0;
    const bool fits = out.holds<float>(q.n * model->dims) && keys.holds<Key>(model->draws) && q.first >= 0 &&
                      (!q.chosen || chosen.holds<int64_t>(q.n)) && (!q.state || state.holds<float>(q.n * model->dims)) &&
                      (!q.source || q.source_rows == 1 || q.source_rows == q.n) &&
                      source.holds<float>(q.source_rows * model->dims) &&
                      (!model->conditions || q.condition_rows == 1 || q.condition_rows == q.n) &&
                      condition.holds<float>(q.condition_rows * model->conditions);
    if (!fits) return wrong_shape();
    bool good;
    Py_BEGIN_ALLOW_THREADS
    Scratch scratch = scratch_for(*model);
    good = sample(Backend(backend), *model, q, out.data<float>(), scratch);
    Py_END_ALLOW_THREADS
    return PyBool_FromLong(good);
}

PyObject* decode_column(PyObject*, PyObject* args) {
    PyObject* capsule;
    Buffer z, out;
    if (!PyArg_ParseTuple(args, "Oy*w*", &capsule, &z.view, &out.view)) return nullptr;
    const auto* model = static_cast<const Quantiles*>(PyCapsule_GetPointer(capsule, "buff.Quantiles"));
    if (!model) return nullptr;
    const int64_t n = out.bytes() / Py_ssize_t(sizeof(double));
    const bool wide = z.holds<double>(n);
    if (!out.holds<double>(n) || (!wide && !z.holds<float>(n))) return wrong_shape();
    Py_BEGIN_ALLOW_THREADS
    if (wide) model->decode(n, z.data<double>(), out.data<double>());
    else model->decode(n, z.data<float>(), out.data<double>());
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

/// A sampler with memory that calls lend each other: an event is drawn in less time than memory is made.
struct Lender {
    Sampler model;
    std::mutex lock;
    std::vector<std::unique_ptr<Workspace>> idle;

    explicit Lender(Sampler own) : model(std::move(own)) {}
    static std::unique_ptr<Lender> read(Reader& in) { return std::make_unique<Lender>(Sampler::read(in)); }
    std::unique_ptr<Workspace> lend() {
        const std::lock_guard<std::mutex> held(lock);
        if (idle.empty()) return std::make_unique<Workspace>(model);
        std::unique_ptr<Workspace> work = std::move(idle.back());
        idle.pop_back();
        return work;
    }
    void take_back(std::unique_ptr<Workspace> work) {
        const std::lock_guard<std::mutex> held(lock);
        idle.push_back(std::move(work));
    }
};

PyObject* sampler(PyObject*, PyObject* args) { return parse<Lender>(args, "buff.Sampler"); }

PyObject* draw_events(PyObject*, PyObject* args) {
    PyObject* capsule;
    int backend;
    long long first;
    Buffer keys, condition, out;
    if (!PyArg_ParseTuple(args, "Oiy*Lz*w*", &capsule, &backend, &keys.view, &first, &condition.view, &out.view) ||
        !known(backend))
        return nullptr;
    auto* lender = static_cast<Lender*>(PyCapsule_GetPointer(capsule, "buff.Sampler"));
    if (!lender) return nullptr;
    const Sampler* model = &lender->model;
    const int64_t width = int64_t(model->columns().size()), own = int64_t(model->conditions().size());
    const int64_t n = width ? out.bytes() / (Py_ssize_t(sizeof(double)) * width) : 0;
    const int64_t rows = own ? condition.bytes() / (Py_ssize_t(sizeof(double)) * own) : 0;
    if (first < 0 || !out.holds<double>(n * width) || !keys.holds<Key>(model->n_keys()) ||
        !condition.holds<double>(rows * own) || (own && rows != 1 && rows != n))
        return wrong_shape();
    std::string error;
    Py_BEGIN_ALLOW_THREADS
    try {
        std::unique_ptr<Workspace> work = lender->lend();
        model->draw(keys.data<Key>(), first, n, own ? condition.data<double>() : nullptr, rows, nullptr, out.data<double>(),
                    *work, Backend(backend));
        lender->take_back(std::move(work));
    } catch (const std::exception& reason) {
        error = reason.what();
    }
    Py_END_ALLOW_THREADS
    if (!error.empty()) {
        PyErr_SetString(PyExc_ValueError, error.c_str());
        return nullptr;
    }
    Py_RETURN_NONE;
}

PyObject* normal_rows(PyObject*, PyObject* args) {
    int backend, d;
    long long first;
    Buffer key, chosen, out;
    if (!PyArg_ParseTuple(args, "iy*Lz*iw*", &backend, &key.view, &first, &chosen.view, &d, &out.view) || !known(backend))
        return nullptr;
    const int64_t n = d > 0 ? out.bytes() / (Py_ssize_t(sizeof(float)) * d) : 0;
    if (d < 1 || first < 0 || !key.holds<Key>(1) || !out.holds<float>(n * d) ||
        (chosen.view.buf && !chosen.holds<int64_t>(n)))
        return wrong_shape();
    Py_BEGIN_ALLOW_THREADS
    Scratch scratch(d, d, 1, 0);
    float *x = scratch.velocity.data(), *to = out.data<float>();
    const int64_t* own = chosen.data<int64_t>();
    int64_t numbers[kBlock] = {};
    for (int64_t start = 0; start < n; start += kBlock) {
        const int m = int(n - start < kBlock ? n - start : kBlock);
        for (int e = 0; e < m; e++) numbers[e] = first + (own ? own[start + e] : start + e);
        normal(Backend(backend), *key.data<Key>(), numbers, m, d, x, scratch);
        for (int e = 0; e < m; e++)
            for (int f = 0; f < d; f++) to[(start + e) * d + f] = x[f * kBlock + e];
    }
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

PyObject* substructure(PyObject*, PyObject* args) {
    int backend, kind, m, n_axes;
    Buffer p, y, phi, how, out, merged;
    if (!PyArg_ParseTuple(args, "iiiiy*y*y*z*w*w*", &backend, &kind, &m, &n_axes, &p.view, &y.view, &phi.view, &how.view,
                          &out.view, &merged.view) ||
        !known(backend))
        return nullptr;
    using jets::Task;
    const int64_t n = m > 0 ? y.bytes() / (Py_ssize_t(sizeof(double)) * m) : 0;
    const bool few = kind == Task::kCorrelations, axes = kind == Task::kSubjets, drops = kind == Task::kSoftDrop;
    const int64_t width = axes ? int64_t(n_axes) * m : drops ? 3 : 2;
    if (m < 1 || n_axes < 0 || !(few || axes || drops) || !y.holds<double>(n * m) || !phi.holds<double>(n * m) ||
        !p.holds<double>(n * m * (few ? 1 : 4)) || !out.holds<double>(n * width) ||
        !merged.holds<double>(axes ? n * n_axes : 0) || !how.holds<double>(drops ? 3 : 0))
        return wrong_shape();
    const Task task{Task::Kind(kind),   n,          m, n_axes, p.data<double>(), y.data<double>(), phi.data<double>(),
                    how.data<double>(), out.data<double>(), merged.data<double>()};
    Py_BEGIN_ALLOW_THREADS
    jets::run(Backend(backend), task);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

template <double (*function)(double)>
PyObject* elementwise(PyObject*, PyObject* args) {
    Buffer x, out;
    if (!PyArg_ParseTuple(args, "y*w*", &x.view, &out.view)) return nullptr;
    if (x.bytes() != out.bytes()) return wrong_shape();
    for (Py_ssize_t i = 0; i < x.bytes() / Py_ssize_t(sizeof(double)); i++) out.data<double>()[i] = function(x.data<double>()[i]);
    Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"backends", backends, METH_NOARGS, "Names and numbers of instruction sets, the fastest first."},
    {"forest", forest, METH_VARARGS, "A forest from bytes."},
    {"flow", flow, METH_VARARGS, "A flow from bytes."},
    {"quantiles", quantiles, METH_VARARGS, "A quantile map from bytes."},
    {"predict", predict_rows, METH_VARARGS, "Predictions of rows."},
    {"sample", sample_rows, METH_VARARGS, "Scores of events; whether all are finite."},
    {"decode", decode_column, METH_VARARGS, "Values of a column of scores, single or double."},
    {"sampler", sampler, METH_VARARGS, "A whole model from bytes."},
    {"draw", draw_events, METH_VARARGS, "Values of events of a whole model."},
    {"normal", normal_rows, METH_VARARGS, "Standard normal numbers of events."},
    {"substructure", substructure, METH_VARARGS, "Axes, grooming or correlations of jets."},
    {"ndtri", elementwise<ndtri>, METH_VARARGS, "Normal quantiles."},
    {"ndtr", elementwise<ndtr>, METH_VARARGS, "Normal distribution function."},
    {nullptr, nullptr, 0, nullptr},
};
PyModuleDef definition = {PyModuleDef_HEAD_INIT, "compiled", "Compiled kernels.", -1, methods,
                          nullptr, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit_compiled() { return PyModule_Create(&definition); }
