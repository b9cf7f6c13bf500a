// Mistakes of hosts, each of which the emulated driver must find. Prints what it did not find.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

typedef unsigned long long u64;
extern "C" {
int cuInit(unsigned);
int cuDevicePrimaryCtxRetain(void**, int);
int cuDevicePrimaryCtxRelease_v2(int);
int cuStreamCreate(void**, unsigned);
int cuStreamDestroy_v2(void*);
int cuStreamSynchronize(void*);
int cuStreamBeginCapture_v2(void*, int);
int cuStreamEndCapture(void*, void**);
int cuStreamWaitEvent(void*, void*, unsigned);
int cuEventCreate(void**, unsigned);
int cuEventRecord(void*, void*);
int cuEventDestroy_v2(void*);
int cuGraphInstantiateWithFlags(void**, void*, u64);
int cuGraphLaunch(void*, void*);
int cuGraphExecDestroy(void*);
int cuGraphDestroy(void*);
int cuMemAlloc_v2(u64*, size_t);
int cuMemFree_v2(u64);
int cuMemHostAlloc(void**, size_t, unsigned);
int cuMemFreeHost(void*);
int cuMemcpyHtoDAsync_v2(u64, const void*, size_t, void*);
int cuMemcpyDtoHAsync_v2(void*, u64, size_t, void*);
int cuModuleLoadData(void**, const void*);
int cuModuleUnload(void*);
int cuModuleGetFunction(void**, void*, const char*);
int cuFuncSetAttribute(void*, int, int);
int cuLaunchKernel(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
int cuGetErrorString(int, const char**);
int nvrtcCreateProgram(void**, const char*, const char*, int, const char* const*, const char* const*);
int nvrtcCompileProgram(void*, int, const char* const*);
int nvrtcGetCUBINSize(void*, size_t*);
int nvrtcGetCUBIN(void*, char*);
int nvrtcDestroyProgram(void**);
}

static int n_missed = 0;
static void expect(bool is_found, const char* what) {
    if (is_found) return;
    printf("not found: %s\n", what);
    ++n_missed;
}

static const char* TEXT =
    "SN_KERNEL void __launch_bounds__(64) add(float* x, unsigned long long n) { if (threadIdx.x < n) x[threadIdx.x] += 1.0f; }\n"
    "SN_KERNEL void reach(float* x, long long at) { x[at] = 1.0f; }\n";

struct Gpu {
    void *context, *stream, *module, *add, *reach;
    Gpu() {
        cuInit(0);
        cuDevicePrimaryCtxRetain(&context, 0);
        cuStreamCreate(&stream, 1);
        void* program;
        nvrtcCreateProgram(&program, TEXT, "host.cu", 0, nullptr, nullptr);
        const char* options[] = {"--gpu-architecture=sm_80"};
        expect(nvrtcCompileProgram(program, 1, options) == 0, "that a text is right");
        size_t size = 0;
        nvrtcGetCUBINSize(program, &size);
        std::vector<char> image(size);
        nvrtcGetCUBIN(program, image.data());
        nvrtcDestroyProgram(&program);
        expect(cuModuleLoadData(&module, image.data()) == 0, "that an image is right");
        cuModuleGetFunction(&add, module, "add");
        cuModuleGetFunction(&reach, module, "reach");
    }
    ~Gpu() {
        cuModuleUnload(module);
        cuStreamDestroy_v2(stream);
        cuDevicePrimaryCtxRelease_v2(0);
    }
    int launch(void* function, unsigned threads, unsigned shared, u64 pointer, u64 number) {
        void* arguments[] = {&pointer, &number};
        return cuLaunchKernel(function, 1, 1, 1, threads, 1, 1, shared, stream, arguments, nullptr);
    }
};

static void waiting(Gpu& gpu) {
    u64 x;
    cuMemAlloc_v2(&x, 40);
    float fresh[10], values[10] = {}, result[10] = {};
    cuMemcpyDtoHAsync_v2(fresh, x, 40, gpu.stream);
    cuStreamSynchronize(gpu.stream);
    expect(std::isnan(fresh[0]), "memory that nobody has written");
    cuMemcpyHtoDAsync_v2(x, values, 40, gpu.stream);
    gpu.launch(gpu.add, 10, 0, x, 10);
    cuMemcpyDtoHAsync_v2(result, x, 40, gpu.stream);
    expect(std::isnan(result[9]), "a result that is read before the host waits");
    cuStreamSynchronize(gpu.stream);
    expect(result[9] == 1.0f, "the result after the wait");
    float* pinned;
    cuMemHostAlloc((void**)&pinned, 40, 0);
    for (int i = 0; i < 10; ++i) pinned[i] = 5.0f;
    cuMemcpyHtoDAsync_v2(x, pinned, 40, gpu.stream);
    pinned[3] = 7.0f;
    cuMemcpyDtoHAsync_v2(result, x, 40, gpu.stream);
    cuStreamSynchronize(gpu.stream);
    expect(result[3] == 7.0f, "pinned memory that is changed while a copy of it is under way");
    cuMemFreeHost(pinned);
    expect(cuMemcpyHtoDAsync_v2(x + 4, values, 40, gpu.stream) == 1, "a copy beyond the end");
    expect(cuMemFree_v2(x + 4) == 1, "freeing what was not allocated");
    cuMemFree_v2(x);
}

static void capturing(Gpu& gpu) {
    u64 x, y;
    cuMemAlloc_v2(&x, 40);
    float values[10] = {}, result[10];
    cuMemcpyHtoDAsync_v2(x, values, 40, gpu.stream);
    void *graph, *executable;
    cuStreamBeginCapture_v2(gpu.stream, 1);
    gpu.launch(gpu.add, 10, 0, x, 10);
    expect(cuMemAlloc_v2(&y, 40) == 900, "an allocation while a stream captures");
    expect(cuStreamEndCapture(gpu.stream, &graph) == 901 && !graph, "that the allocation spoils the capture");
    cuStreamBeginCapture_v2(gpu.stream, 1);
    expect(cuStreamSynchronize(gpu.stream) == 900, "a wait while a stream captures");
    expect(cuStreamEndCapture(gpu.stream, &graph) == 901, "that the wait spoils the capture");
    void *other, *event;
    cuStreamCreate(&other, 1);
    cuEventCreate(&event, 2);
    cuEventRecord(event, other);
    cuStreamBeginCapture_v2(gpu.stream, 1);
    expect(cuStreamWaitEvent(gpu.stream, event, 0) == 905, "a graph that waits for work outside of it");
    cuStreamEndCapture(gpu.stream, &graph);
    cuEventDestroy_v2(event);
    cuStreamDestroy_v2(other);
    cuStreamBeginCapture_v2(gpu.stream, 1);
    gpu.launch(gpu.add, 10, 0, x, 10);
    expect(cuStreamEndCapture(gpu.stream, &graph) == 0, "a capture that is right");
    cuMemcpyDtoHAsync_v2(result, x, 40, gpu.stream);
    cuStreamSynchronize(gpu.stream);
    expect(result[0] == 0.0f, "that a capture does nothing");
    cuGraphInstantiateWithFlags(&executable, graph, 0);
    cuGraphDestroy(graph);
    for (int i = 0; i < 3; ++i) cuGraphLaunch(executable, gpu.stream);
    cuMemcpyDtoHAsync_v2(result, x, 40, gpu.stream);
    cuStreamSynchronize(gpu.stream);
    expect(result[0] == 3.0f, "that a graph does its work as often as it is launched");
    cuGraphExecDestroy(executable);
    cuMemFree_v2(x);
}

static void launching(Gpu& gpu) {
    u64 x;
    cuMemAlloc_v2(&x, 40);
    expect(gpu.launch(gpu.add, 65, 0, x, 10) == 701, "more threads than the text allows");
    expect(gpu.launch(gpu.reach, 1025, 0, x, 0) == 1, "more threads than a block can have");
    expect(gpu.launch(gpu.reach, 1, 50 << 10, x, 0) == 1, "more shared memory than is free");
    expect(cuFuncSetAttribute(gpu.reach, 8, 164 << 10) == 1, "more shared memory than there is");
    expect(cuFuncSetAttribute(gpu.reach, 8, 100 << 10) == 0 && gpu.launch(gpu.reach, 1, 100 << 10, x, 0) == 0,
           "a launch that is allowed");
    void* none;
    expect(cuModuleGetFunction(&none, gpu.module, "nothing") == 500, "a function that is not there");
    const char elf[64] = "\x7f"
                         "ELF";
    expect(cuModuleLoadData(&none, elf) == 200, "code of a device");
    cuMemFree_v2(x);
}

// A kernel's failure is there to the end of the context.
static void reaching(long long at, const char* side) {
    Gpu gpu;
    u64 x;
    cuMemAlloc_v2(&x, 40);
    expect(gpu.launch(gpu.reach, 1, 0, x, (u64)at) == 0, "a launch");
    expect(cuStreamSynchronize(gpu.stream) == 700, side);
    expect(cuStreamSynchronize(gpu.stream) == 700, "that a failure stays");
    const char* text = "";
    cuGetErrorString(700, &text);
    expect(std::string(text).find(std::string("`reach` wrote ") + side + " memory of 40 bytes") != std::string::npos, text);
    cuMemFree_v2(x);
}

int main() {
    {
        Gpu gpu;
        waiting(gpu);
        capturing(gpu);
        launching(gpu);
    }
    reaching(10, "behind");
    reaching(-1, "before");
    {
        Gpu gpu;
        u64 leak;
        cuMemAlloc_v2(&leak, 40);
    }
    if (n_missed == 0) printf("all found\n");
    return n_missed != 0;
}
