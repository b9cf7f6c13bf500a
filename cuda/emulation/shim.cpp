// The runtime in one piece: what every kernel's shared object is linked with.
#include "warp.cpp"
#include "memory.cpp"
#ifdef SNN_THREADS
#include "threads.cpp"
#else
#include "fibers.cpp"
#endif
