// Products of matrices, sums of rows, activations.
#include <variant>

#include "bindings/arrays.hpp"
#include "bindings/gil.hpp"
#include "bindings/objects.hpp"
#include "bindings/register.hpp"
#include "core.hpp"
#include "runtime/kernel_table.hpp"
#include "runtime/memory.hpp"
#include "threads.hpp"

namespace lstmcore {
namespace {

// The kernel wants one stride of 1: a row-major matrix or the transpose of one.
template <class T>
View matrix(const char* argument, const py::array& given, const Dims& dims, std::ptrdiff_t& row,
            std::ptrdiff_t& column) {
    const View m = checked<T>(argument, given, dims);
    const py::ssize_t size = sizeof(T);
    // An array that repeats a number has any size, and packing fills up the last panel of either side.
    checked_product(argument, {std::size_t(m.shape[0]) + 64, std::size_t(m.shape[1]) + 64, sizeof(T)});
    const auto unit = [&](int k) { return m.strides[k] == size || m.shape[k] == 1; };
    const View ready = m.is_aligned(sizeof(T)) && (unit(0) || unit(1)) ? m : copy_of<T>(m);
    const bool row_major = ready.strides[1] == size || ready.shape[1] == 1;
    row = row_major ? ready.strides[0] / size : 1;
    column = row_major ? 1 : ready.strides[1] / size;
    return ready;
}

// The right-hand side of products, packed once for many.
struct PackedMatrix {
    long depth = 0, columns = 0;
    std::variant<Buffer<float>, Buffer<double>> packed;

    explicit PackedMatrix(py::handle given) {
        const py::array b_ = as_array("b", given);
        by_dtype("b", b_, [&](auto tag) {
            using T = decltype(tag);
            MatmulProblem<T> p{};
            const View b = matrix<T>("b", b_, {{"depth"}, {"columns"}}, p.b_row, p.b_column);
            p.depth = depth = b.shape[0], p.columns = columns = b.shape[1], p.b = pointer<T>(b);
            Buffer<T> buffer(kernels<T>().packed_b_size(depth, columns));
            kernels<T>().pack_b(p, buffer.get());
            packed = std::move(buffer);
        });
    }
};

py::object matmul(py::handle a_, py::handle b_, py::handle bias_, py::handle out, py::handle accumulate) {
    const py::array a_array = as_array("a", a_);
    const bool is_packed = py::isinstance<PackedMatrix>(b_);
    const py::object b_array = is_packed ? py::object() : as_array("b", b_),
                     bias_array = as_array_or_none("bias", bias_);
    const bool adds = flag("accumulate", accumulate);
    return by_dtype("a", a_array, [&](auto tag) -> py::object {
        using T = decltype(tag);
        MatmulProblem<T> p{};
        const View a = matrix<T>("a", a_array, {{"rows"}, {"depth"}}, p.a_row, p.a_column);
        const long rows = p.rows = a.shape[0], depth = p.depth = a.shape[1];
        p.a = pointer<T>(a), p.accumulate = adds;
        View b;
        if (is_packed) {
            const PackedMatrix& packed = b_.cast<const PackedMatrix&>();
            const Buffer<T>* buffer = std::get_if<Buffer<T>>(&packed.packed);
            if (!buffer) throw py::type_error("b: was packed from another dtype than " + dtype_name(a_array));
            if (packed.depth != depth)
                throw py::value_error("a: expected " + std::to_string(packed.depth) + " columns, got " +
                                      std::to_string(depth));
            p.packed_b = buffer->get(), p.columns = packed.columns;
        } else {
            b = matrix<T>("b", b_array, {{"depth", depth}, {"columns"}}, p.b_row, p.b_column);
            p.b = pointer<T>(b), p.columns = b.shape[1];
        }
        const long columns = p.columns;
        View bias;
        if (bias_array) {
            bias = contiguous<T>("bias", bias_array, {{"columns", columns}});
            p.bias = pointer<T>(bias);
        }
        if (adds && out.is_none()) throw py::value_error("out: accumulate=True needs an array to add to");
        const View c = out.is_none() ? new_array<T>({rows, columns})
                                     : output<T>("out", out, {{"rows", rows}, {"columns", columns}});
        must_not_overlap("out", c, "a", a);
        if (b) must_not_overlap("out", c, "b", b);
        if (bias) must_not_overlap("out", c, "bias", bias);
        p.c = pointer<T>(c), p.c_row = columns;
        if (rows && columns) {
            p.threads = threads_for(double(rows) * double(columns) * double(depth), 3e5);
            const Buffer<T> workspace(kernels<T>().matmul_workspace(p));
            p.workspace = workspace.get();
            const WithoutGil release;
            kernels<T>().matmul(p);
        }
        return c.owner;
    });
}

// Of every element, into a new array or into out, which may be x itself.
template <bool is_tanh>
py::object activation(py::handle x_, py::handle out) {
    const py::array given = as_array("x", x_);
    return by_dtype("x", given, [&](auto tag) -> py::object {
        using T = decltype(tag);
        const auto apply = is_tanh ? kernels<T>().tanh : kernels<T>().sigmoid;
        const View x = flat<T>(given);
        const View y = out.is_none() ? elements_of<T>(new_array_of<T>(given.shape(), std::size_t(given.ndim())))
                                     : output_like<T>("out", out, given);
        if (x.data != y.data) must_not_overlap("out", y, "x", x);
        apply(pointer<T>(x), pointer<T>(y), std::size_t(x.shape[0]));
        return y.owner;
    });
}

void add_rows(py::handle sums_, py::handle indices_, py::handle rows_) {
    const py::array sums_array = as_array("sums", sums_), indices_array = as_array("indices", indices_),
                    rows_array = as_array("rows", rows_);
    by_dtype("sums", sums_array, [&](auto tag) {
        using T = decltype(tag);
        const View sums = output<T>("sums", sums_, {{"size"}, {"width"}});
        const View rows = contiguous<T>("rows", rows_array, {{"rows"}, {"width", long(sums.shape[1])}});
        const std::vector<int64_t> index = integers("indices", indices_array, {{"rows", long(rows.shape[0])}});
        for (const int64_t at : index)
            if (at < 0 || at >= sums.shape[0])
                throw py::value_error("indices: expected numbers from 0 to " + std::to_string(sums.shape[0] - 1) +
                                      ", got " + std::to_string(at));
        must_not_overlap("sums", sums, "rows", rows);
        const AddRowsProblem<T> p{long(rows.shape[0]), long(rows.shape[1]), index.data(),
                                  pointer<T>(rows),    pointer<T>(sums),    threads_for(double(rows.size()), 5e4)};
        const WithoutGil release;
        kernels<T>().add_rows(p);
    });
}

}  // namespace

void register_matrix(py::module_& m) {
    py::class_<PackedMatrix> packed_matrix_class(m, "PackedMatrix", py::is_final());
    made_by(packed_matrix_class, [](py::handle b) { return std::make_unique<PackedMatrix>(b); });
    m.def("matmul", matmul, py::arg("a"), py::arg("b"), py::arg("bias") = py::none(), py::arg("out") = py::none(),
          py::arg("accumulate") = false);
    m.def("add_rows", add_rows, py::arg("sums"), py::arg("indices"), py::arg("rows"));
    m.def("sigmoid", activation<false>, py::arg("x"), py::arg("out") = py::none());
    m.def("tanh", activation<true>, py::arg("x"), py::arg("out") = py::none());
}

}  // namespace lstmcore
