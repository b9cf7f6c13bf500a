// What a driver and the shared object of a text know of each other.
#pragma once
#include <cstddef>

namespace snn {

typedef unsigned int u32;
typedef unsigned long long u64;

constexpr u32 MOST_THREADS = 1024;
// Stacks of fibers, each behind memory that nobody may touch.
constexpr size_t STACK = 256 << 10, BETWEEN_STACKS = 64 << 10;
constexpr size_t STACKS = MOST_THREADS * (STACK + BETWEEN_STACKS);

// A kernel by its name, called with arguments of 8 bytes each, or one table of such. `most_threads` is 0 where the text does not say.
struct Kernel {
    const char* name;
    void (*run)(const u64*);
    u32 arguments, most_threads;
};

// A launch. On failure `message` says why.
struct Launch {
    const Kernel* kernel;
    const u64* arguments;
    u32 grid[3], block[3], dynamic_bytes;
    u64 seed;
    char* stacks;
    char* message;
    size_t message_bytes;
};

// What a shared object exports: `snn_kernels`, which ends with a kernel that has no name, `snn_launch`, which answers
// whether the kernel ran to its end, and `snn_static_bytes`, the shared memory that all kernels of the text have together.
typedef bool (*LaunchFunction)(const Launch*);
typedef u64 (*StaticBytesFunction)();

}  // namespace snn
