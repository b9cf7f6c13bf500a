typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;
#ifndef SNN_EMULATED
#define SN_DEV static __device__ __forceinline__
#define SN_KERNEL extern "C" __global__
#endif
