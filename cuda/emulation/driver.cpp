// A `libcuda.so.1` whose device is the processor.
//
// Nothing runs before the host waits for it, so that a wait that is missing shows. Device memory is full of numbers that are
// none, and has guards at both ends that are looked at after each kernel. What may not be done while a stream captures is
// refused, and spoils the capture. A kernel that fails makes every later call fail, as on a device, until the context ends.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include "device.h"
#include "texts.h"

using namespace snn;

namespace {

bool is_initialized = false;
u32 retained = 0;
u64 n_launches;

double now() { return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

const std::map<int, std::pair<const char*, const char*>>& answers() {
    static const std::map<int, std::pair<const char*, const char*>> all = {
        {SUCCESS, {"CUDA_SUCCESS", "no error"}},
        {INVALID_VALUE, {"CUDA_ERROR_INVALID_VALUE", "invalid argument"}},
        {OUT_OF_MEMORY, {"CUDA_ERROR_OUT_OF_MEMORY", "out of memory"}},
        {NOT_INITIALIZED, {"CUDA_ERROR_NOT_INITIALIZED", "initialization error"}},
        {INVALID_DEVICE, {"CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"}},
        {INVALID_IMAGE, {"CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"}},
        {INVALID_CONTEXT, {"CUDA_ERROR_INVALID_CONTEXT", "invalid device context"}},
        {NO_BINARY_FOR_GPU, {"CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"}},
        {INVALID_PTX, {"CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"}},
        {INVALID_HANDLE, {"CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"}},
        {NOT_FOUND, {"CUDA_ERROR_NOT_FOUND", "named symbol not found"}},
        {NOT_READY, {"CUDA_ERROR_NOT_READY", "device not ready"}},
        {ILLEGAL_ADDRESS, {"CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"}},
        {LAUNCH_OUT_OF_RESOURCES, {"CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"}},
        {LAUNCH_FAILED, {"CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"}},
        {NOT_SUPPORTED, {"CUDA_ERROR_NOT_SUPPORTED", "operation not supported"}},
        {CAPTURE_UNSUPPORTED, {"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"}},
        {CAPTURE_INVALIDATED,
         {"CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"}},
        {CAPTURE_UNMATCHED, {"CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not ended in the same stream as it began"}},
        {CAPTURE_ISOLATION, {"CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency created on uncaptured work in another stream"}},
    };
    return all;
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))
// Every call takes turns with those of other threads and answers an earlier failure.
#define ENTER \
    const std::lock_guard<std::recursive_mutex> turn(lock); \
    if (!is_initialized) return NOT_INITIALIZED; \
    if (failure != SUCCESS) return failure
// The same of calls that give something back, which go on behind a failure.
#define ENTER_TO_RELEASE const std::lock_guard<std::recursive_mutex> turn(lock)
#define UNLESS_CAPTURING \
    if (is_refused()) return CAPTURE_UNSUPPORTED

EXPORT Answer cuInit(u32 flags) {
    const std::lock_guard<std::recursive_mutex> turn(lock);
    is_initialized = flags == 0;
    return flags == 0 ? SUCCESS : INVALID_VALUE;
}
EXPORT Answer cuDriverGetVersion(int* version) {
    *version = 13000;
    return SUCCESS;
}
EXPORT Answer cuGetErrorName(int answer, const char** text) {
    const auto found = answers().find(answer);
    *text = found == answers().end() ? nullptr : found->second.first;
    return *text ? SUCCESS : INVALID_VALUE;
}
EXPORT Answer cuGetErrorString(int answer, const char** text) {
    static std::string of_failure;
    const std::lock_guard<std::recursive_mutex> turn(lock);
    const auto found = answers().find(answer);
    *text = found == answers().end() ? nullptr : found->second.second;
    if (failure != SUCCESS && answer == failure) {
        of_failure = std::string(*text) + ": " + failure_text;
        *text = of_failure.c_str();
    }
    return *text ? SUCCESS : INVALID_VALUE;
}
// NVIDIA's compiler asks a driver that is there for a table and reads its size without looking.
EXPORT Answer cuGetExportTable(const void** table, const void*) {
    static const u64 size_alone[8] = {8};
    *table = size_alone;
    return SUCCESS;
}

// Devices.
EXPORT Answer cuDeviceGetCount(int* count) {
    ENTER;
    *count = 1;
    return SUCCESS;
}
EXPORT Answer cuDeviceGet(int* device, int ordinal) {
    ENTER;
    *device = 0;
    return ordinal == 0 ? SUCCESS : INVALID_DEVICE;
}
EXPORT Answer cuDeviceGetName(char* name, int size, int) {
    ENTER;
    snprintf(name, (size_t)size, "CPU emulation of compute capability %u.%u", capability() / 10, capability() % 10);
    return SUCCESS;
}
EXPORT Answer cuDeviceGetUuid_v2(void* uuid, int) {
    ENTER;
    memset(uuid, 0, 16);
    return SUCCESS;
}
EXPORT Answer cuDeviceGetUuid(void* uuid, int device) { return cuDeviceGetUuid_v2(uuid, device); }
EXPORT Answer cuDeviceTotalMem_v2(size_t* bytes, int) {
    ENTER;
    *bytes = MEMORY_BYTES;
    return SUCCESS;
}
EXPORT Answer cuDeviceGetAttribute(int* value, int attribute, int) {
    ENTER;
    const int opt_in = capability() >= 90 ? 227 << 10 : 163 << 10;
    switch (attribute) {
    case 1:
    case 2:
    case 3: *value = 1024; break;        // threads of a block, along x and y
    case 4: *value = 64; break;          // along z
    case 5: *value = 0x7fffffff; break;  // blocks along x
    case 6:
    case 7: *value = 0xffff; break;    // along y and z
    case 8: *value = 48 << 10; break;  // shared memory of a block
    case 10: *value = 32; break;       // lanes of a warp
    case 12:
    case 82: *value = 1 << 16; break;   // registers
    case 16: *value = 4; break;         // multiprocessors
    case 38: *value = 32 << 20; break;  // second cache
    case 39: *value = 2048; break;      // threads of a multiprocessor
    case 41: *value = 1; break;         // one space of addresses
    case 75: *value = (int)capability() / 10; break;
    case 76: *value = (int)capability() % 10; break;
    case 81: *value = opt_in + (1 << 10); break;  // shared memory of a multiprocessor
    case 97: *value = opt_in; break;              // of a block that asks for it
    case 106: *value = 32; break;                 // blocks of a multiprocessor
    case 115: *value = 1; break;                  // pools of memory
    default: *value = 0;
    }
    return SUCCESS;
}

// Contexts: the device's own alone.
EXPORT Answer cuDevicePrimaryCtxRetain(void** context, int) {
    ENTER;
    ++retained;
    *context = &retained;
    return SUCCESS;
}
EXPORT Answer cuDevicePrimaryCtxRelease_v2(int) {
    ENTER_TO_RELEASE;
    if (retained == 0) return INVALID_CONTEXT;
    if (--retained > 0) return SUCCESS;
    do_everything();
    if (getenv("SNN_EMULATION_TRACE"))
        fprintf(stderr, "CPU emulation: %llu launches, %llu allocations, %llu bytes at most, %zu not freed\n", n_launches,
                n_allocations, bytes_most, memory.size());
    else if (!memory.empty())
        fprintf(stderr, "CPU emulation: %zu allocations of %llu bytes are not freed\n", memory.size(), bytes_now);
    failure = SUCCESS;
    failure_text.clear();
    return SUCCESS;
}
EXPORT Answer cuCtxSetCurrent(void*) {
    ENTER;
    return SUCCESS;
}
EXPORT Answer cuCtxGetCurrent(void** context) {
    ENTER;
    *context = retained ? &retained : nullptr;
    return SUCCESS;
}
EXPORT Answer cuCtxSynchronize() {
    ENTER;
    UNLESS_CAPTURING;
    do_everything();
    return failure;
}
EXPORT Answer cuCtxSetFlags(u32) {
    ENTER;
    return SUCCESS;
}
EXPORT Answer cuCtxSetLimit(int, size_t) {
    ENTER;
    return SUCCESS;
}
EXPORT Answer cuCtxGetLimit(size_t* value, int) {
    ENTER;
    *value = 0;
    return SUCCESS;
}
EXPORT Answer cuCtxSetCacheConfig(int) {
    ENTER;
    return SUCCESS;
}
EXPORT Answer cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    ENTER;
    *least = *greatest = 0;
    return SUCCESS;
}

// Memory.
EXPORT Answer cuMemGetInfo_v2(size_t* free, size_t* total) {
    ENTER;
    *total = MEMORY_BYTES;
    *free = MEMORY_BYTES - bytes_now;
    return SUCCESS;
}
EXPORT Answer cuMemAlloc_v2(DevicePointer* at, size_t bytes) {
    ENTER;
    UNLESS_CAPTURING;
    return allocate(at, bytes);
}
EXPORT Answer cuMemFree_v2(DevicePointer at) {
    ENTER_TO_RELEASE;
    UNLESS_CAPTURING;
    do_everything();
    return at ? release(at) : SUCCESS;
}
EXPORT Answer cuMemAllocAsync(DevicePointer* at, size_t bytes, void* stream) {
    ENTER;
    // A device makes this a part of the graph; we give each graph its memory before.
    if (stream_of(stream)->capture) {
        stream_of(stream)->capture->is_spoilt = true;
        return CAPTURE_UNSUPPORTED;
    }
    return allocate(at, bytes);
}
EXPORT Answer cuMemFreeAsync(DevicePointer at, void* stream) {
    ENTER_TO_RELEASE;
    Stream& s = *stream_of(stream);
    if (s.capture) {
        s.capture->is_spoilt = true;
        return CAPTURE_UNSUPPORTED;
    }
    if (!at) return SUCCESS;
    if (!memory.count(at)) return INVALID_VALUE;
    if (failure != SUCCESS) return release(at);
    return give(s, [at] { release(at); });
}
EXPORT Answer cuMemHostAlloc(void** at, size_t bytes, u32) {
    ENTER;
    UNLESS_CAPTURING;
    if (bytes == 0) return INVALID_VALUE;
    u8* const made = (u8*)malloc(bytes);
    if (!made) return OUT_OF_MEMORY;
    memset(made, POISON, bytes);
    pinned[made] = bytes;
    *at = made;
    return SUCCESS;
}
EXPORT Answer cuMemFreeHost(void* at) {
    ENTER_TO_RELEASE;
    UNLESS_CAPTURING;
    do_everything();
    if (!pinned.erase((u8*)at)) return INVALID_VALUE;
    free(at);
    return SUCCESS;
}

// Copies. From memory that is not pinned a device takes what stands there when it is asked.
static Answer to_device(DevicePointer to, const void* from, size_t bytes, Stream& stream) {
    if (bytes == 0) return SUCCESS;
    if (!is_within(to, bytes)) return INVALID_VALUE;
    if (stream.capture || is_pinned(from, bytes)) return give(stream, [=] { memcpy((void*)to, from, bytes); });
    const auto kept = std::make_shared<std::vector<u8>>((const u8*)from, (const u8*)from + bytes);
    return give(stream, [=] { memcpy((void*)to, kept->data(), bytes); });
}
static Answer to_host(void* to, DevicePointer from, size_t bytes, Stream& stream) {
    if (bytes == 0) return SUCCESS;
    if (!is_within(from, bytes)) return INVALID_VALUE;
    // Who looks before it has waited sees nothing.
    if (!stream.capture) memset(to, POISON, bytes);
    return give(stream, [=] { memcpy(to, (const void*)from, bytes); });
}
static Answer on_device(DevicePointer to, DevicePointer from, size_t bytes, Stream& stream) {
    if (bytes == 0) return SUCCESS;
    if (!is_within(to, bytes) || !is_within(from, bytes)) return INVALID_VALUE;
    return give(stream, [=] { memmove((void*)to, (const void*)from, bytes); });
}
template <class T> static Answer fill(DevicePointer to, T value, size_t count, Stream& stream) {
    if (count == 0) return SUCCESS;
    if (to % sizeof(T) != 0 || !is_within(to, count * sizeof(T))) return INVALID_VALUE;
    return give(stream, [=] {
        for (size_t i = 0; i < count; ++i) ((T*)to)[i] = value;
    });
}
static Answer at_once(Answer given) {
    if (given == SUCCESS) do_everything();
    return given == SUCCESS ? failure : given;
}
EXPORT Answer cuMemcpyHtoDAsync_v2(DevicePointer to, const void* from, size_t bytes, void* stream) {
    ENTER;
    return to_device(to, from, bytes, *stream_of(stream));
}
EXPORT Answer cuMemcpyDtoHAsync_v2(void* to, DevicePointer from, size_t bytes, void* stream) {
    ENTER;
    return to_host(to, from, bytes, *stream_of(stream));
}
EXPORT Answer cuMemcpyDtoDAsync_v2(DevicePointer to, DevicePointer from, size_t bytes, void* stream) {
    ENTER;
    return on_device(to, from, bytes, *stream_of(stream));
}
EXPORT Answer cuMemcpyHtoD_v2(DevicePointer to, const void* from, size_t bytes) {
    ENTER;
    UNLESS_CAPTURING;
    return at_once(to_device(to, from, bytes, default_stream));
}
EXPORT Answer cuMemcpyDtoH_v2(void* to, DevicePointer from, size_t bytes) {
    ENTER;
    UNLESS_CAPTURING;
    return at_once(to_host(to, from, bytes, default_stream));
}
EXPORT Answer cuMemcpyDtoD_v2(DevicePointer to, DevicePointer from, size_t bytes) {
    ENTER;
    UNLESS_CAPTURING;
    return at_once(on_device(to, from, bytes, default_stream));
}
EXPORT Answer cuMemsetD8Async(DevicePointer to, u8 value, size_t count, void* stream) {
    ENTER;
    return fill(to, value, count, *stream_of(stream));
}
EXPORT Answer cuMemsetD32Async(DevicePointer to, u32 value, size_t count, void* stream) {
    ENTER;
    return fill(to, value, count, *stream_of(stream));
}
EXPORT Answer cuMemsetD8_v2(DevicePointer to, u8 value, size_t count) {
    ENTER;
    UNLESS_CAPTURING;
    return at_once(fill(to, value, count, default_stream));
}

// Streams and events.
EXPORT Answer cuStreamCreate(void** stream, u32) {
    ENTER;
    streams.push_back(new Stream);
    *stream = streams.back();
    return SUCCESS;
}
EXPORT Answer cuStreamCreateWithPriority(void** stream, u32 flags, int) { return cuStreamCreate(stream, flags); }
EXPORT Answer cuStreamDestroy_v2(Stream* stream) {
    ENTER_TO_RELEASE;
    for (size_t i = 0; i < streams.size(); ++i)
        if (streams[i] == stream) {
            do_until(*stream, stream->given);
            streams.erase(streams.begin() + (long)i);
            // Events that were recorded in it may still be asked.
            static std::vector<std::unique_ptr<Stream>> gone;
            gone.emplace_back(stream);
            return SUCCESS;
        }
    return INVALID_HANDLE;
}
EXPORT Answer cuStreamSynchronize(void* stream) {
    ENTER;
    UNLESS_CAPTURING;
    do_until(*stream_of(stream), stream_of(stream)->given);
    return failure;
}
EXPORT Answer cuEventCreate(Event** event, u32 flags) {
    ENTER;
    *event = new Event;
    (*event)->is_timed = !(flags & 2);
    return SUCCESS;
}
EXPORT Answer cuEventDestroy_v2(Event* event) {
    ENTER_TO_RELEASE;
    delete event;
    return SUCCESS;
}
EXPORT Answer cuEventRecord(Event* event, void* stream) {
    ENTER;
    Stream& s = *stream_of(stream);
    event->capture = s.capture.get();
    event->time = std::make_shared<double>(-1);
    const Answer given = give(s, [time = event->time] { *time = now(); });
    event->stream = &s;
    event->after = s.given;
    return given;
}
static bool is_reached(const Event& event) { return !event.stream || event.stream->done >= event.after; }
EXPORT Answer cuEventQuery(Event* event) {
    ENTER;
    UNLESS_CAPTURING;
    if (event->capture) return INVALID_VALUE;
    // Who asks again and again comes to an end.
    if (!is_reached(*event)) do_next(*event->stream);
    return failure != SUCCESS ? failure : is_reached(*event) ? SUCCESS : NOT_READY;
}
EXPORT Answer cuEventSynchronize(Event* event) {
    ENTER;
    UNLESS_CAPTURING;
    if (event->capture) return INVALID_VALUE;
    if (event->stream) do_until(*event->stream, event->after);
    return failure;
}
static Answer elapsed(float* milliseconds, const Event& from, const Event& to) {
    if (!from.is_timed || !to.is_timed || !from.stream || !to.stream) return INVALID_HANDLE;
    if (!is_reached(from) || !is_reached(to)) return NOT_READY;
    *milliseconds = (float)(*to.time - *from.time);
    return SUCCESS;
}
EXPORT Answer cuEventElapsedTime(float* milliseconds, Event* from, Event* to) {
    ENTER;
    return elapsed(milliseconds, *from, *to);
}
EXPORT Answer cuEventElapsedTime_v2(float* milliseconds, Event* from, Event* to) {
    ENTER;
    return elapsed(milliseconds, *from, *to);
}
EXPORT Answer cuStreamWaitEvent(void* stream, Event* event, u32) {
    ENTER;
    Stream& s = *stream_of(stream);
    if (!event->stream || event->stream == &s) return SUCCESS;
    if (s.capture || event->capture) {
        if (s.capture) s.capture->is_spoilt = true;
        return CAPTURE_ISOLATION;
    }
    return give(s, [other = event->stream, after = event->after] { do_until(*other, after); });
}
EXPORT Answer cuLaunchHostFunc(void* stream, void (*function)(void*), void* with) {
    ENTER;
    return give(*stream_of(stream), [=] { function(with); });
}

// Graphs.
EXPORT Answer cuStreamBeginCapture_v2(void* stream, int) {
    ENTER;
    Stream& s = *stream_of(stream);
    if (&s == &default_stream || s.capture) return CAPTURE_UNSUPPORTED;
    s.capture = std::make_unique<Capture>();
    s.capture->thread = std::this_thread::get_id();
    return SUCCESS;
}
EXPORT Answer cuStreamEndCapture(void* stream, Graph** graph) {
    ENTER;
    Stream& s = *stream_of(stream);
    *graph = nullptr;
    if (!s.capture) return CAPTURE_UNMATCHED;
    const std::unique_ptr<Capture> capture = std::move(s.capture);
    if (capture->is_spoilt) return CAPTURE_INVALIDATED;
    *graph = new Graph{capture->work};
    return SUCCESS;
}
EXPORT Answer cuStreamIsCapturing(void* stream, int* status) {
    ENTER;
    const Stream& s = *stream_of(stream);
    *status = !s.capture ? 0 : s.capture->is_spoilt ? 2 : 1;
    return SUCCESS;
}
EXPORT Answer cuGraphInstantiateWithFlags(Graph** executable, Graph* graph, u64) {
    ENTER;
    *executable = new Graph(*graph);
    return SUCCESS;
}
EXPORT Answer cuGraphUpload(Graph*, void*) {
    ENTER;
    return SUCCESS;
}
EXPORT Answer cuGraphLaunch(Graph* executable, void* stream) {
    ENTER;
    const auto work = std::make_shared<std::vector<Work>>(executable->work);
    return give(*stream_of(stream), [work] {
        for (const Work& part : *work)
            if (failure == SUCCESS) part();
    });
}
EXPORT Answer cuGraphExecDestroy(Graph* executable) {
    ENTER_TO_RELEASE;
    delete executable;
    return SUCCESS;
}
EXPORT Answer cuGraphDestroy(Graph* graph) {
    ENTER_TO_RELEASE;
    delete graph;
    return SUCCESS;
}

// Code.
// Shared memory that a kernel has without asking. Of a text with several kernels nobody knows whose it is.
static u32 static_bytes(void* library) {
    const Kernel* const kernels = (const Kernel*)dlsym(library, "snn_kernels");
    const StaticBytesFunction bytes = (StaticBytesFunction)dlsym(library, "snn_static_bytes");
    return bytes && !kernels[1].name ? (u32)bytes() : 0;
}
EXPORT Answer cuModuleLoadData(Module** module, const char* image) {
    ENTER;
    UNLESS_CAPTURING;
    Text text;
    if (!Text::from_image(image, text)) return INVALID_IMAGE;
    bool is_specific;
    const u32 arch = architecture(text.options, is_specific);
    // Code runs on devices of its generation that are not older, code of a special one on that one.
    if (is_specific ? arch != capability() : arch / 10 != capability() / 10 || arch > capability()) return NO_BINARY_FOR_GPU;
    const Compilation compiled = compile(text);
    if (compiled.outcome != Compilation::done) return INVALID_PTX;
    void* const library = dlopen(compiled.path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "CPU emulation: %s\n", dlerror());
        return INVALID_IMAGE;
    }
    // Sanitizers put space around variables.
    if (!getenv("SNN_EMULATION_SANITIZE") && static_bytes(library) > 48u << 10) {
        fprintf(stderr, "CPU emulation: %u bytes of shared memory, a kernel has 49152 without asking\n", static_bytes(library));
        dlclose(library);
        return INVALID_PTX;
    }
    *module = new Module{library, {}, (LaunchFunction)dlsym(library, "snn_launch")};
    return SUCCESS;
}
EXPORT Answer cuModuleUnload(Module* module) {
    ENTER_TO_RELEASE;
    UNLESS_CAPTURING;
    do_everything();
    dlclose(module->library);
    delete module;
    return SUCCESS;
}
EXPORT Answer cuModuleGetFunction(Function** function, Module* module, const char* name) {
    ENTER;
    for (const Kernel* kernel = (const Kernel*)dlsym(module->library, "snn_kernels"); kernel && kernel->name; ++kernel) {
        if (strcmp(kernel->name, name) != 0) continue;
        std::unique_ptr<Function>& kept = module->functions[name];
        const u32 fixed = static_bytes(module->library), free = 48 << 10;
        if (!kept) kept.reset(new Function{kernel, module, fixed, fixed < free ? free - fixed : 0});
        *function = kept.get();
        return SUCCESS;
    }
    return NOT_FOUND;
}
EXPORT Answer cuFuncGetAttribute(int* value, int attribute, Function* function) {
    ENTER;
    const u32 most = function->kernel->most_threads;
    switch (attribute) {
    case 0: *value = (int)(most ? most : MOST_THREADS); break;
    case 1: *value = (int)function->static_bytes; break;
    case 4: *value = 32; break;  // registers, about which nothing is known
    case 5:
    case 6: *value = (int)capability(); break;
    case 8: *value = (int)function->most_dynamic_bytes; break;
    default: *value = 0;
    }
    return SUCCESS;
}
static int most_dynamic_bytes() {
    int bytes = 0;
    cuDeviceGetAttribute(&bytes, 97, 0);
    return bytes;
}
EXPORT Answer cuFuncSetAttribute(Function* function, int attribute, int value) {
    ENTER;
    if (attribute != 8) return SUCCESS;
    if (value < 0 || value + (int)function->static_bytes > most_dynamic_bytes()) return INVALID_VALUE;
    function->most_dynamic_bytes = (u32)value;
    return SUCCESS;
}
EXPORT Answer cuFuncSetCacheConfig(Function*, int) {
    ENTER;
    return SUCCESS;
}
EXPORT Answer cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Function*, int threads, size_t) {
    ENTER;
    if (threads <= 0) return INVALID_VALUE;
    *blocks = 2048 / threads;
    return SUCCESS;
}
EXPORT Answer cuLaunchKernel(Function* function, u32 gx, u32 gy, u32 gz, u32 bx, u32 by, u32 bz, u32 dynamic, void* stream,
                             void** arguments, void** extra) {
    ENTER;
    const u64 threads = (u64)bx * by * bz;
    const bool is_grid = gx && gy && gz && gx <= 0x7fffffff && gy <= 0xffff && gz <= 0xffff;
    if (!is_grid || !threads || threads > MOST_THREADS || bz > 64 || extra) return INVALID_VALUE;
    if (function->kernel->most_threads && threads > function->kernel->most_threads) return LAUNCH_OUT_OF_RESOURCES;
    if (dynamic > function->most_dynamic_bytes) return INVALID_VALUE;
    std::vector<u64> values(function->kernel->arguments);
    for (size_t i = 0; i < values.size(); ++i) memcpy(&values[i], arguments[i], 8);
    ++n_launches;
    return give(*stream_of(stream), [=] {
        Launch launch = {};
        launch.kernel = function->kernel;
        launch.arguments = values.data();
        const u32 grid[] = {gx, gy, gz}, block[] = {bx, by, bz};
        memcpy(launch.grid, grid, sizeof grid);
        memcpy(launch.block, block, sizeof block);
        launch.dynamic_bytes = dynamic;
        run(*function, launch);
    });
}
