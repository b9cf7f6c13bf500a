// A `libcudnn.so.9` that convolves on the processor.
//
// Knows channels-last tensors and filters, and the algorithms that give the same bits in every run; all else is refused, as
// are sizes that do not go together. The workspace is overwritten, so that nobody else's may lie there.
#include "library.h"

using namespace snn;

namespace {

enum { SUCCESS = 0, BAD_PARAM = 2000, NOT_SUPPORTED = 3000, EXECUTION_FAILED = 5000 };
enum { NHWC = 1, CROSS_CORRELATION = 1, DETERMINISTIC = 1 };
enum Math { DEFAULT, TENSOR_OP, ALLOW_CONVERSION, FMA };
constexpr size_t WORKSPACE = 1000;

// Images or filters, channels, height, width.
struct Tensor {
    int format = -1, type = -1, n = 0, c = 0, h = 0, w = 0;
};
struct Convolution {
    int pad[2], stride[2], dilation[2], mode, sums, groups = 1, math = DEFAULT;
};
struct Handle {
    void* stream = nullptr;
};

bool is_number(int type, Number* number) {
    switch (type) {
    case 0: *number = Number::f32; return true;
    case 2: *number = Number::f16; return true;
    case 9: *number = Number::bf16; return true;
    default: return false;
    }
}

int examine(const Tensor& x, const Tensor& w, const Convolution& c, const Tensor& y, int algorithm, Number* number) {
    if (algorithm != DETERMINISTIC || c.mode != CROSS_CORRELATION || c.sums != 0) return NOT_SUPPORTED;
    if (x.format != NHWC || w.format != NHWC || y.format != NHWC) return NOT_SUPPORTED;
    if (x.type != w.type || x.type != y.type || !is_number(x.type, number)) return NOT_SUPPORTED;
    if (c.math != (*number == Number::f32 ? c.math == DEFAULT ? DEFAULT : FMA : TENSOR_OP)) return NOT_SUPPORTED;
    if (x.n != y.n || x.c != w.c * c.groups || y.c != w.n || y.c % c.groups != 0) return BAD_PARAM;
    const int input[] = {x.h, x.w}, kernel[] = {w.h, w.w}, output[] = {y.h, y.w};
    for (int i = 0; i < 2; ++i)
        if (1 + (input[i] + 2 * c.pad[i] - c.dilation[i] * (kernel[i] - 1) - 1) / c.stride[i] != output[i]) return BAD_PARAM;
    return SUCCESS;
}

int is_asked(const void* one, const void* zero, const void* workspace, size_t bytes) {
    if (*(const float*)one != 1 || *(const float*)zero != 0) return NOT_SUPPORTED;
    return bytes >= WORKSPACE && workspace && (uintptr_t)workspace % 256 == 0 ? SUCCESS : BAD_PARAM;
}

// Calls `meet(input, filter, output)` with the places of all elements that meet.
template <class F> void each(const Tensor& x, const Tensor& w, const Convolution& c, const Tensor& y, F meet) {
    const int of_group = w.n / c.groups;
    for (int n = 0; n < y.n; ++n)
        for (int oh = 0; oh < y.h; ++oh)
            for (int ow = 0; ow < y.w; ++ow)
                for (int o = 0; o < y.c; ++o)
                    for (int kh = 0; kh < w.h; ++kh)
                        for (int kw = 0; kw < w.w; ++kw) {
                            const int h = oh * c.stride[0] + kh * c.dilation[0] - c.pad[0];
                            const int v = ow * c.stride[1] + kw * c.dilation[1] - c.pad[1];
                            if (h < 0 || h >= x.h || v < 0 || v >= x.w) continue;
                            const size_t input = (((size_t)n * x.h + h) * x.w + v) * x.c + o / of_group * w.c;
                            const size_t filter = (((size_t)o * w.h + kh) * w.w + kw) * w.c;
                            const size_t output = (((size_t)n * y.h + oh) * y.w + ow) * y.c + o;
                            for (int i = 0; i < w.c; ++i) meet(input + i, filter + i, output);
                        }
}

enum Kind { FORWARD, DATA, FILTER };

// Adds up products of the elements that meet into one of the three.
int run(Handle* handle, Kind kind, const Tensor& x, const Tensor& w, const Convolution& c, const Tensor& y, const void* a,
        const void* b, void* out, void* workspace) {
    Number number = Number::f32;
    is_number(x.type, &number);
    const bool by_tf32 = c.math == DEFAULT;
    const Tensor& result = kind == FORWARD ? y : kind == DATA ? x : w;
    const size_t len = (size_t)result.n * result.c * result.h * result.w;
    const int given = defer(handle->stream, [=] {
        memset(workspace, 0xff, WORKSPACE);
        Sum* const sums = new Sum[len];
        for (size_t i = 0; i < len; ++i) sums[i] = Sum{false, by_tf32};
        each(x, w, c, y, [&](size_t input, size_t filter, size_t output) {
            const size_t places[] = {input, filter, output};
            const size_t first = kind == DATA ? output : input, second = kind == FILTER ? output : filter;
            sums[places[kind == FORWARD ? 2 : kind == DATA ? 0 : 1]].add(load(a, number, first), load(b, number, second));
        });
        for (size_t i = 0; i < len; ++i) store(out, number, i, sums[i].value);
        delete[] sums;
    });
    return given == 0 ? SUCCESS : EXECUTION_FAILED;
}

}  // namespace

EXPORT size_t cudnnGetVersion() { return 92100; }
EXPORT int cudnnCreate(Handle** handle) {
    *handle = new Handle;
    return SUCCESS;
}
EXPORT int cudnnDestroy(Handle* handle) {
    delete handle;
    return SUCCESS;
}
EXPORT int cudnnSetStream(Handle* handle, void* stream) {
    handle->stream = stream;
    return SUCCESS;
}
EXPORT int cudnnCreateTensorDescriptor(Tensor** made) {
    *made = new Tensor;
    return SUCCESS;
}
EXPORT int cudnnDestroyTensorDescriptor(Tensor* tensor) {
    delete tensor;
    return SUCCESS;
}
EXPORT int cudnnSetTensor4dDescriptor(Tensor* tensor, int format, int type, int n, int c, int h, int w) {
    *tensor = Tensor{format, type, n, c, h, w};
    return n > 0 && c > 0 && h > 0 && w > 0 ? SUCCESS : BAD_PARAM;
}
EXPORT int cudnnCreateFilterDescriptor(Tensor** made) { return cudnnCreateTensorDescriptor(made); }
EXPORT int cudnnDestroyFilterDescriptor(Tensor* tensor) { return cudnnDestroyTensorDescriptor(tensor); }
EXPORT int cudnnSetFilter4dDescriptor(Tensor* tensor, int type, int format, int k, int c, int h, int w) {
    return cudnnSetTensor4dDescriptor(tensor, format, type, k, c, h, w);
}
EXPORT int cudnnCreateConvolutionDescriptor(Convolution** made) {
    *made = new Convolution{};
    return SUCCESS;
}
EXPORT int cudnnDestroyConvolutionDescriptor(Convolution* convolution) {
    delete convolution;
    return SUCCESS;
}
EXPORT int cudnnSetConvolution2dDescriptor(Convolution* c, int pad_h, int pad_w, int stride_h, int stride_w, int dilation_h,
                                           int dilation_w, int mode, int sums) {
    *c = Convolution{{pad_h, pad_w}, {stride_h, stride_w}, {dilation_h, dilation_w}, mode, sums};
    return pad_h >= 0 && pad_w >= 0 && stride_h > 0 && stride_w > 0 && dilation_h > 0 && dilation_w > 0 ? SUCCESS : BAD_PARAM;
}
EXPORT int cudnnSetConvolutionGroupCount(Convolution* c, int groups) {
    c->groups = groups;
    return groups > 0 ? SUCCESS : BAD_PARAM;
}
EXPORT int cudnnSetConvolutionMathType(Convolution* c, int math) {
    c->math = math;
    return math >= DEFAULT && math <= FMA ? SUCCESS : BAD_PARAM;
}
EXPORT int cudnnGetConvolutionForwardWorkspaceSize(Handle*, Tensor* x, Tensor* w, Convolution* c, Tensor* y, int algorithm,
                                                   size_t* bytes) {
    Number number;
    *bytes = WORKSPACE;
    return examine(*x, *w, *c, *y, algorithm, &number);
}
EXPORT int cudnnGetConvolutionBackwardDataWorkspaceSize(Handle*, Tensor* w, Tensor* dy, Convolution* c, Tensor* dx, int algorithm,
                                                        size_t* bytes) {
    Number number;
    *bytes = WORKSPACE;
    return examine(*dx, *w, *c, *dy, algorithm, &number);
}
EXPORT int cudnnGetConvolutionBackwardFilterWorkspaceSize(Handle*, Tensor* x, Tensor* dy, Convolution* c, Tensor* dw,
                                                          int algorithm, size_t* bytes) {
    Number number;
    *bytes = WORKSPACE;
    return examine(*x, *dw, *c, *dy, algorithm, &number);
}
EXPORT int cudnnConvolutionForward(Handle* handle, const void* one, Tensor* x, const void* a, Tensor* w, const void* b,
                                   Convolution* c, int algorithm, void* workspace, size_t bytes, const void* zero, Tensor* y,
                                   void* out) {
    Number number;
    if (const int problem = examine(*x, *w, *c, *y, algorithm, &number)) return problem;
    if (const int problem = is_asked(one, zero, workspace, bytes)) return problem;
    return run(handle, FORWARD, *x, *w, *c, *y, a, b, out, workspace);
}
EXPORT int cudnnConvolutionBackwardData(Handle* handle, const void* one, Tensor* w, const void* b, Tensor* dy, const void* a,
                                        Convolution* c, int algorithm, void* workspace, size_t bytes, const void* zero,
                                        Tensor* dx, void* out) {
    Number number;
    if (const int problem = examine(*dx, *w, *c, *dy, algorithm, &number)) return problem;
    if (const int problem = is_asked(one, zero, workspace, bytes)) return problem;
    return run(handle, DATA, *dx, *w, *c, *dy, a, b, out, workspace);
}
EXPORT int cudnnConvolutionBackwardFilter(Handle* handle, const void* one, Tensor* x, const void* a, Tensor* dy, const void* b,
                                          Convolution* c, int algorithm, void* workspace, size_t bytes, const void* zero,
                                          Tensor* dw, void* out) {
    Number number;
    if (const int problem = examine(*x, *dw, *c, *dy, algorithm, &number)) return problem;
    if (const int problem = is_asked(one, zero, workspace, bytes)) return problem;
    return run(handle, FILTER, *x, *dw, *c, *dy, a, b, out, workspace);
}
