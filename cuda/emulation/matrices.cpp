// A `libcublasLt.so.13` that multiplies on the processor.
//
// Holds its callers to what NVIDIA's manual says of the functions that are used, and to what we promise: no algorithm is found
// where sums may be split in an order that is not fixed. The workspace is overwritten, so that nobody else's may lie there.
#include "library.h"

using namespace snn;

namespace {

enum { SUCCESS = 0, INVALID_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
constexpr uint64_t MAGIC = 0x534e4e5f4c544d4dull;
constexpr size_t WORKSPACE = 4096;

struct Descriptor {
    int compute, scale, operations[2] = {0, 0};
};
struct Layout {
    int type;
    uint64_t rows, columns;
    int64_t pitch;
};
struct Preference {
    uint64_t most_workspace = 0;
    uint32_t schemes = 7, alignment[4] = {256, 256, 256, 256};
};
struct Algorithm {
    uint64_t data[8];
};
struct Result {
    Algorithm algorithm;
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};

bool is_number(int type, Number* number) {
    switch (type) {
    case 0: *number = Number::f32; return true;
    case 1: *number = Number::f64; return true;
    case 2: *number = Number::f16; return true;
    case 14: *number = Number::bf16; return true;
    default: return false;
    }
}

struct Product {
    uint64_t m, n, k;
    Number a, b, d;
};

int examine(const Descriptor& o, const Layout& a, const Layout& b, const Layout& d, Product* product) {
    for (const Layout* layout : {&a, &b, &d})
        if (layout->pitch < (int64_t)layout->rows || !layout->rows || !layout->columns) return INVALID_VALUE;
    product->m = o.operations[0] ? a.columns : a.rows;
    product->k = o.operations[0] ? a.rows : a.columns;
    product->n = o.operations[1] ? b.rows : b.columns;
    const uint64_t k = o.operations[1] ? b.columns : b.rows;
    if (product->k != k || product->m != d.rows || product->n != d.columns) return INVALID_VALUE;
    if (!is_number(a.type, &product->a) || !is_number(b.type, &product->b) || !is_number(d.type, &product->d)) return NOT_SUPPORTED;
    if (a.type != b.type) return NOT_SUPPORTED;
    const bool is_double = product->a == Number::f64, is_narrow = bytes_of(product->a) == 2;
    // Sums and scales: 64F, 32F, and 32F with factors that are rounded to tf32.
    if (is_double) return o.compute == 70 && o.scale == 1 && d.type == 1 ? SUCCESS : NOT_SUPPORTED;
    if (o.scale != 0 || !(o.compute == 68 || (o.compute == 77 && !is_narrow))) return NOT_SUPPORTED;
    return d.type == a.type || (is_narrow && d.type == 0) ? SUCCESS : NOT_SUPPORTED;
}

}  // namespace

EXPORT size_t cublasLtGetVersion() { return 130002; }
EXPORT int cublasLtCreate(void** handle) {
    *handle = new uint64_t(MAGIC);
    return SUCCESS;
}
EXPORT int cublasLtDestroy(uint64_t* handle) {
    delete handle;
    return SUCCESS;
}
EXPORT int cublasLtMatmulDescCreate(Descriptor** made, int compute, int scale) {
    *made = new Descriptor{compute, scale};
    return SUCCESS;
}
EXPORT int cublasLtMatmulDescDestroy(Descriptor* descriptor) {
    delete descriptor;
    return SUCCESS;
}
EXPORT int cublasLtMatmulDescSetAttribute(Descriptor* descriptor, int attribute, const void* from, size_t bytes) {
    if ((attribute != 3 && attribute != 4) || bytes != 4) return INVALID_VALUE;
    int operation;
    memcpy(&operation, from, 4);
    if (operation != 0 && operation != 1) return INVALID_VALUE;
    descriptor->operations[attribute - 3] = operation;
    return SUCCESS;
}
EXPORT int cublasLtMatrixLayoutCreate(Layout** made, int type, uint64_t rows, uint64_t columns, int64_t pitch) {
    *made = new Layout{type, rows, columns, pitch};
    return SUCCESS;
}
EXPORT int cublasLtMatrixLayoutDestroy(Layout* layout) {
    delete layout;
    return SUCCESS;
}
EXPORT int cublasLtMatmulPreferenceCreate(Preference** made) {
    *made = new Preference;
    return SUCCESS;
}
EXPORT int cublasLtMatmulPreferenceDestroy(Preference* preference) {
    delete preference;
    return SUCCESS;
}
EXPORT int cublasLtMatmulPreferenceSetAttribute(Preference* preference, int attribute, const void* from, size_t bytes) {
    if (attribute == 1 && bytes == 8) memcpy(&preference->most_workspace, from, 8);
    else if (attribute == 3 && bytes == 4) memcpy(&preference->schemes, from, 4);
    else if (attribute >= 5 && attribute <= 8 && bytes == 4) memcpy(&preference->alignment[attribute - 5], from, 4);
    else return INVALID_VALUE;
    return SUCCESS;
}
EXPORT int cublasLtMatmulAlgoGetHeuristic(uint64_t* handle, Descriptor* o, Layout* a, Layout* b, Layout* c, Layout* d,
                                          Preference* preference, int asked, Result* results, int* found) {
    *found = 0;
    if (*handle != MAGIC || asked < 1) return INVALID_VALUE;
    Product product;
    if (const int problem = examine(*o, *a, *b, *d, &product)) return problem;
    if (memcmp(c, d, sizeof *c) != 0 || preference->most_workspace < WORKSPACE) return NOT_SUPPORTED;
    // Parts may lie in the workspace, where they are added in order.
    if (preference->schemes & ~2u) return NOT_SUPPORTED;
    *results = Result{};
    results->algorithm.data[0] = MAGIC;
    for (int i = 0; i < 4; ++i) results->algorithm.data[1 + i] = preference->alignment[i];
    results->workspace = WORKSPACE;
    *found = 1;
    return SUCCESS;
}
EXPORT int cublasLtMatmul(uint64_t* handle, const Descriptor* o, const void* alpha, const void* a, const Layout* la, const void* b,
                          const Layout* lb, const void* beta, const void* c, const Layout* lc, void* d, const Layout* ld,
                          const Algorithm* algorithm, void* workspace, size_t bytes, void* stream) {
    Product product;
    if (*handle != MAGIC || !algorithm || algorithm->data[0] != MAGIC) return INVALID_VALUE;
    if (const int problem = examine(*o, *la, *lb, *ld, &product)) return problem;
    const bool is_double = product.a == Number::f64;
    const double one = is_double ? *(const double*)alpha : *(const float*)alpha;
    const double zero = is_double ? *(const double*)beta : *(const float*)beta;
    if (one != 1 || zero != 0 || c != d || lc != ld) return NOT_SUPPORTED;
    const void* const operands[] = {a, b, c, d};
    for (int i = 0; i < 4; ++i)
        if (!operands[i] || (uintptr_t)operands[i] % algorithm->data[1 + i] != 0) return INVALID_VALUE;
    if (bytes < WORKSPACE || !workspace || (uintptr_t)workspace % 256 != 0) return INVALID_VALUE;
    const bool across_a = o->operations[0], across_b = o->operations[1], by_tf32 = o->compute == 77;
    const size_t pitch_a = (size_t)la->pitch, pitch_b = (size_t)lb->pitch, pitch_d = (size_t)ld->pitch;
    const int given = defer(stream, [=] {
        memset(workspace, 0xff, WORKSPACE);
        for (size_t j = 0; j < product.n; ++j)
            for (size_t i = 0; i < product.m; ++i) {
                Sum sum{is_double, by_tf32};
                for (size_t k = 0; k < product.k; ++k)
                    sum.add(load(a, product.a, across_a ? i * pitch_a + k : k * pitch_a + i),
                            load(b, product.b, across_b ? k * pitch_b + j : j * pitch_b + k));
                store(d, product.d, j * pitch_d + i, sum.value);
            }
    });
    return given == 0 ? SUCCESS : EXECUTION_FAILED;
}
