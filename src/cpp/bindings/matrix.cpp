// Products of matrices, softmaxes and sums of rows, activations.
#include <limits>
#include <variant>

#include "bindings/arrays.hpp"
#include "bindings/gil.hpp"
#include "bindings/objects.hpp"
#include "bindings/precision.hpp"
#include "bindings/register.hpp"
#include "core.hpp"
#include "runtime/kernel_table.hpp"
#include "runtime/memory.hpp"
#include "threads.hpp"

namespace lstmcore {
namespace {

// The last two axes are those of a matrix. The kernel wants one stride of 1: row-major matrices or their transposes.
template <class T>
View matrices(const char* argument, const py::array& given, const Dims& dims, std::ptrdiff_t& row,
              std::ptrdiff_t& column) {
    const View m = checked<T>(argument, given, dims);
    const int rows = int(m.dimensions) - 2, columns = rows + 1;
    // An array that repeats a number has any size, and packing fills up the last panel of either side.
    checked_product(argument, {std::size_t(rows ? m.shape[0] : 1), std::size_t(m.shape[rows]) + 64,
                               std::size_t(m.shape[columns]) + 64, sizeof(T)});
    return with_unit_stride<T>(m, rows, row, column);
}

// The right-hand side of products, packed once for many.
struct PackedMatrix {
    long depth = 0, columns = 0;
    Precision precision;
    float row_scale;  // of int8, of the left-hand side, or 0
    std::variant<Buffer<float>, Buffer<double>> packed;

    PackedMatrix(py::handle given, py::handle given_precision, py::handle given_scale)
        : precision(read_precision(given_precision)), row_scale(read_row_scale(given_scale, precision)) {
        const py::array b_ = as_array("b", given);
        by_dtype("b", b_, [&](auto tag) {
            using T = decltype(tag);
            MatmulProblem<T> p{};
            const View b = matrices<T>("b", b_, {{"depth"}, {"columns"}}, p.b_row, p.b_column);
            p.depth = depth = b.shape[0], p.columns = columns = b.shape[1], p.b = pointer<T>(b);
            if constexpr (sizeof(T) == sizeof(float)) {
                if (precision == Precision::int8) must_be_finite("b", p.b, {p.b_row, p.b_column}, b);
                if (precision != Precision::full) return pack_with(reduced_product(precision), p);
            }
            precision = Precision::full, row_scale = 0;
            pack_with(kernels<T>(), p);
        });
    }

 private:
    template <class Table, class T>
    void pack_with(const Table& table, const MatmulProblem<T>& p) {
        Buffer<T> buffer(table.packed_b_size(depth, columns));
        table.pack_b(p, buffer.get());
        packed = std::move(buffer);
    }
};

// Computes a product with the kernels of a table.
template <class Table, class T>
void multiply_with(const Table& table, MatmulProblem<T>& p) {
    const Buffer<T> workspace(table.matmul_workspace(p));
    p.workspace = workspace.get();
    const WithoutGil release;
    table.matmul(p);
}

// The shape of a matrix, or of `count` of them.
std::vector<Dim> shape_of_all(const Dim* count, Dim rows, Dim columns) {
    if (count) return {*count, rows, columns};
    return {rows, columns};
}

// Of two matrices, or of as many pairs as a and b have, the axis before the others.
// `precision` is for those that are not packed.
py::object matmul(py::handle a_, py::handle b_, py::handle bias_, py::handle out, py::handle accumulate,
                  py::handle given_precision) {
    const py::array a_array = as_array("a", a_);
    const bool is_packed = py::isinstance<PackedMatrix>(b_);
    const py::object b_array = is_packed ? py::object() : as_array("b", b_),
                     bias_array = as_array_or_none("bias", bias_);
    const bool adds = flag("accumulate", accumulate);
    return by_dtype("a", a_array, [&](auto tag) -> py::object {
        using T = decltype(tag);
        MatmulProblem<T> p{};
        const bool several = a_array.ndim() == 3 && !is_packed;
        Dim count{"count"};
        const View a = matrices<T>("a", a_array, shape_of_all(several ? &count : nullptr, {"rows"}, {"depth"}), p.a_row,
                                   p.a_column);
        if (several) p.count = count.size = a.shape[0];
        const Dim* const stack = several ? &count : nullptr;
        const long rows = p.rows = a.shape[several], depth = p.depth = a.shape[several + 1];
        p.a = pointer<T>(a), p.accumulate = adds;
        View b;
        Precision precision = read_precision(given_precision);
        if (precision == Precision::int8)
            throw py::value_error("precision: expected 'float32' or 'bfloat16', got 'int8'; pack b for that");
        if (precision != Precision::full && sizeof(T) != sizeof(float))
            throw py::value_error("precision: expected 'float32' for products of float64, got 'bfloat16'");
        if (is_packed) {
            const PackedMatrix& packed = b_.cast<const PackedMatrix&>();
            const Buffer<T>* buffer = std::get_if<Buffer<T>>(&packed.packed);
            if (!buffer) throw py::type_error("b: was packed from another dtype than " + dtype_name(a_array));
            if (packed.depth != depth)
                throw py::value_error("a: expected " + std::to_string(packed.depth) + " columns, got " +
                                      std::to_string(depth));
            p.packed_b = buffer->get(), p.columns = packed.columns;
            if (precision != Precision::full)
                throw py::value_error("precision: expected 'float32' beside a packed b, which has its own");
            precision = packed.precision, p.row_scale = packed.row_scale;
        } else {
            b = matrices<T>("b", b_array, shape_of_all(stack, {"depth", depth}, {"columns"}), p.b_row, p.b_column);
            p.b = pointer<T>(b), p.columns = b.shape[several + 1];
        }
        const long columns = p.columns;
        View bias;
        if (bias_array) {
            bias = contiguous<T>("bias", bias_array, {{"columns", columns}});
            p.bias = pointer<T>(bias);
        }
        if (adds && out.is_none()) throw py::value_error("out: accumulate=True needs an array to add to");
        const std::vector<Dim> shape = shape_of_all(stack, {"rows", rows}, {"columns", columns});
        const py::ssize_t sizes[] = {p.count, rows, columns};
        const View c = out.is_none() ? new_array<T>(sizes + !several, shape.size()) : output<T>("out", out, shape);
        must_not_overlap("out", c, "a", a);
        if (b) must_not_overlap("out", c, "b", b);
        if (bias) must_not_overlap("out", c, "bias", bias);
        p.c = pointer<T>(c), p.c_row = columns;
        if (several) {
            p.a_next = a.strides[0] / py::ssize_t(sizeof(T)), p.b_next = b.strides[0] / py::ssize_t(sizeof(T));
            p.c_next = rows * columns;
        }
        if (p.count && rows && columns) {
            p.threads = threads_for(double(p.count) * double(rows) * double(columns) * double(depth), 3e5);
            bool done = false;
            if constexpr (sizeof(T) == sizeof(float)) {
                done = precision != Precision::full;
                if (done) multiply_with(reduced_product(precision), p);
            }
            if (!done) multiply_with(kernels<T>(), p);
        }
        return c.owner;
    });
}

// The transpose of a matrix, in a new array whose rows [0, swapped) change places with as many after them.
py::object transpose(py::handle a_, py::handle swapped_) {
    const py::array a_array = as_array("a", a_);
    return by_dtype("a", a_array, [&](auto tag) -> py::object {
        using T = decltype(tag);
        const View a = features_contiguous<T>("a", a_array, {{"rows"}, {"columns"}});
        const long rows = a.shape[0], columns = a.shape[1];
        const long swapped = integer("swapped", swapped_, 0, columns / 2);
        const View out = new_array<T>({columns, rows});
        const auto part = [&](long begin, long end, long to) {
            if (rows == 0 || begin == end) return;
            const TransposeProblem<T> p{pointer<T>(a) + begin,
                                        a.strides[0] / py::ssize_t(sizeof(T)),
                                        pointer<T>(out) + to * rows,
                                        rows,
                                        rows,
                                        end - begin,
                                        threads_for(double(rows) * double(end - begin), 1e5)};
            kernels<T>().transpose(p);
        };
        const WithoutGil release;
        part(0, swapped, swapped), part(swapped, 2 * swapped, 0), part(2 * swapped, columns, 2 * swapped);
        return out.owner;
    });
}

// The softmax of the rows of x, (count, rows, columns), times `scale`, written over x; left_in is (count / n, rows,
// columns), a matrix of it for n of x, one after the other. With y, that result, x is its gradient and becomes that of
// what it was the softmax of.
template <bool backward>
void softmax_rows(py::handle x_, const py::object& y_array, py::handle scale, const py::object& left_in_array) {
    const py::array x_array = writeable("x", x_);
    by_dtype("x", x_array, [&](auto tag) {
        using T = decltype(tag);
        SoftmaxProblem<T> p{};
        p.scale = T(number("scale", scale, -std::numeric_limits<double>::max(), std::numeric_limits<double>::max()));
        const View x = output<T>("x", x_, {{"count"}, {"rows"}, {"columns"}});
        p.count = x.shape[0], p.rows = x.shape[1], p.columns = x.shape[2], p.x = pointer<T>(x);
        View y, left_in;
        if (backward) {
            y = contiguous<T>("y", array_of(y_array), {{"count", p.count}, {"rows", p.rows}, {"columns", p.columns}});
            must_not_overlap("x", x, "y", y);
            p.y = pointer<T>(y);
        }
        if (left_in_array) {
            left_in =
                mask_rows("left_in", array_of(left_in_array), {{"count"}, {"rows", p.rows}, {"columns", p.columns}});
            const long masks = left_in.shape[0];
            if (masks ? p.count % masks : p.count)
                throw py::value_error("left_in: expected a count that divides " + std::to_string(p.count) + ", got " +
                                      std::to_string(masks));
            must_not_overlap("x", x, "left_in", left_in);
            p.left_in = pointer<const uint8_t>(left_in), p.matrices = masks ? p.count / masks : 1;
            p.left_in_next = left_in.strides[0], p.left_in_row = left_in.strides[1];
        }
        if (!x.size()) return;
        p.threads = threads_for(double(x.size()), 2e4);
        const WithoutGil release;
        (backward ? kernels<T>().softmax_backward : kernels<T>().softmax)(p);
    });
}

void softmax(py::handle x, py::handle scale, py::handle left_in) {
    softmax_rows<false>(x, py::object(), scale, as_array_or_none("left_in", left_in));
}
void softmax_backward(py::handle x, py::handle y, py::handle scale, py::handle left_in) {
    const py::array y_array = as_array("y", y);
    softmax_rows<true>(x, y_array, scale, as_array_or_none("left_in", left_in));
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
    packed_matrix_class.def_property_readonly("precision", [](const PackedMatrix& m) { return name_of(m.precision); })
        .def_property_readonly("row_scale", [](const PackedMatrix& m) { return row_scale_of(m.row_scale); });
    made_by(
        packed_matrix_class,
        [](py::handle b, py::handle precision, py::handle row_scale) {
            return std::make_unique<PackedMatrix>(b, precision, row_scale);
        },
        py::arg("b"), py::arg("precision") = name_of(Precision::full), py::arg("row_scale") = py::none());
    m.def("matmul", matmul, py::arg("a"), py::arg("b"), py::arg("bias") = py::none(), py::arg("out") = py::none(),
          py::arg("accumulate") = false, py::arg("precision") = name_of(Precision::full));
    m.def("transpose", transpose, py::arg("a"), py::arg("swapped") = 0);
    m.def("softmax", softmax, py::arg("x"), py::arg("scale"), py::arg("left_in"));
    m.def("softmax_backward", softmax_backward, py::arg("x"), py::arg("y"), py::arg("scale"), py::arg("left_in"));
    m.def("add_rows", add_rows, py::arg("sums"), py::arg("indices"), py::arg("rows"));
    m.def("sigmoid", activation<false>, py::arg("x"), py::arg("out") = py::none());
    m.def("tanh", activation<true>, py::arg("x"), py::arg("out") = py::none());
}

}  // namespace lstmcore
