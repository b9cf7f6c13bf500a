// What the parts of the runtime share: threads, warps, the block that runs, schedules, errors.
//
// Blocks run one after another. The threads of a block are fibers of one thread of the system (fibers.cpp) or, with
// SNN_THREADS, threads of the system (threads.cpp). Both know two things alone: how a thread sleeps and how it is woken.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>
#ifdef SNN_THREADS
#include <condition_variable>
#include <mutex>
#include <thread>
#endif
#define SNN_RUNTIME
#include "launch.h"
#include "shim.h"

namespace snn {

constexpr u32 LANES = 32;
// What memory holds that nobody has written: not a number in every type of floats, and an index far away.
constexpr unsigned char POISON = 0xff;

// In which order threads run and when copies arrive. 0: threads in order, copies as late as they may. 1: in reverse order,
// copies at once. Others: at random.
class Schedule {
public:
    void begin(u64 seed, u64 block) {
        kind_ = seed;
        state_ = (seed + 1) * 0x9e3779b97f4a7c15ull + block * 0xbf58476d1ce4e5b9ull;
    }
    bool is_reversed() const { return kind_ == 1; }
    bool is_random() const { return kind_ > 1; }
    bool is_early() { return kind_ == 0 ? false : kind_ == 1 ? true : next() & 1; }
    u32 below(u32 n) { return (u32)((next() >> 32) * n >> 32); }

private:
    u64 next() {
        state_ += 0x9e3779b97f4a7c15ull;
        u64 z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return z ^ (z >> 31);
    }
    u64 kind_ = 0, state_ = 0;
};

// A copy that a thread has started and that has not arrived.
struct Copy {
    void* to;
    const void* from;
    u32 bytes, group;
    bool is_there;
};
// The same by the copying engine.
struct Bulk {
    void* to;
    const void* from;
    u32 bytes;
    u64* barrier;
    Site site;
};

enum class Waits { no, barrier, lanes, mbarrier };

struct Thread : Here {
    u32 linear, lane, warp;
    Waits waits;
    Site site;  // where it waits
    u64* mbarrier;
    u32 parity;  // for which phase of what
    std::vector<Copy> copies;
    u32 groups;  // under way, and committed until now
    void* fiber;
};

// Lanes on their way to something that they do together.
struct Meeting;
struct Warp;
typedef void (*Together)(Warp&, void* const (&parts)[LANES], u32 mask, Site);
struct Meeting {
    u32 mask, arrived;
    Together what;
    Site site;
    void* part[LANES];
};

// A warp's product that goes on in the background.
struct Pending {
    Product lanes[LANES];
    u32 a[LANES][4];
    u32 group;
};

struct Warp {
    u32 first, alive;
    std::vector<Meeting> meetings;
    std::vector<Pending> products;
    u32 product_groups;
    bool is_fenced;
};

// The block that runs.
extern Schedule schedule;
extern std::vector<Thread> threads;
extern std::vector<Warp> warps;
extern std::vector<Bulk> bulks;
extern const Launch* launch;
Thread& self();

// Lets lanes of a mask wait for each other; the last one does `what` with the parts of all.
void meet(u32 mask, Together what, void* part, Site);
// The ends of what a thread sleeps for; whoever calls them holds what `guard` gives.
void sleep_until_phase_ends(u64* barrier, u32 parity, Site);
void wake_phase(u64* barrier, u32 ended_parity);
struct Guard {
    Guard();
    ~Guard();
};

// Pieces of the operation of a launch that do not depend on how threads run.
void begin_block(const Launch&, Vec3 index);
void check_shared(const void* at, u64 bytes, const char* what, Site);
void finish_bulk(u32 index);
// Every block of a launch, each by `run_block`; stops where something failed.
void run_blocks(const Launch&, void (*run_block)());
// Notes why the launch fails.
void report(const char* what, Site);
extern bool has_failed;

}  // namespace snn
