// The emulated device: its memory, streams and work. The functions of the driver (driver.cpp) are written in terms of it.
#pragma once
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>
#include "launch.h"

namespace snn {

typedef unsigned char u8;
typedef u64 DevicePointer;

// Answers of the driver.
enum Answer : int {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    NO_BINARY_FOR_GPU = 209,
    INVALID_PTX = 218,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_OUT_OF_RESOURCES = 701,
    LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
    CAPTURE_UNMATCHED = 903,
    CAPTURE_ISOLATION = 905,
};

// What memory holds that nobody has written: not a number in every type of floats.
constexpr u8 POISON = 0xff;
constexpr u64 MEMORY_BYTES = 4ull << 30;

typedef std::function<void()> Work;
// A stream's work while it captures.
struct Capture {
    std::vector<Work> work;
    bool is_spoilt = false;
    std::thread::id thread;
};
struct Stream {
    std::deque<Work> queue;
    u64 given = 0, done = 0;
    std::unique_ptr<Capture> capture;
};
struct Event {
    Stream* stream = nullptr;
    u64 after = 0;  // how much of the stream's work comes before
    bool is_timed = true;
    std::shared_ptr<double> time;
    Capture* capture = nullptr;
};
struct Function;
struct Module {
    void* library;
    std::map<std::string, std::unique_ptr<Function>> functions;
    LaunchFunction launch;
};
struct Function {
    const Kernel* kernel;
    Module* module;
    // Shared memory: that of the text, and what a launch may ask for.
    u32 static_bytes, most_dynamic_bytes;
};
struct Graph {
    std::vector<Work> work;
};

// Every function of the driver holds it.
extern std::recursive_mutex lock;
extern std::map<DevicePointer, size_t> memory;
extern std::map<u8*, size_t> pinned;
extern Stream default_stream;
extern std::vector<Stream*> streams;
extern u64 n_allocations, bytes_now, bytes_most;
// The first failure of a kernel, which all later calls answer.
extern Answer failure;
extern std::string failure_text;

// The device's compute capability times ten.
u32 capability();

Answer allocate(DevicePointer* at, size_t bytes);
Answer release(DevicePointer at);
bool is_within(DevicePointer at, size_t bytes);
bool is_pinned(const void* at, size_t bytes);

Stream* stream_of(void* handle);
// Work is kept, by a stream or by what it captures.
Answer give(Stream& stream, Work work);
void do_next(Stream& stream);
void do_until(Stream& stream, u64 done);
void do_everything();
// While a stream of the calling thread captures, calls that may wait for the device are refused, and spoil the capture.
bool is_refused();

// Runs a kernel with every schedule; what goes wrong becomes the failure.
void run(const Function& function, const Launch& launch);

}  // namespace snn
