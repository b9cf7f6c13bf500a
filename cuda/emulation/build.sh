#!/bin/sh
# Builds the emulation of CUDA into a directory: `libcuda.so.1`, `libnvrtc.so.13` and what they compile texts with,
# `libcublasLt.so.13` and `libcudnn.so.9`.
# Quick where nothing has changed. Prints the directory.
set -eu
if [ $# -ne 1 ]; then
    echo "usage: $0 DIRECTORY" >&2
    exit 2
fi
from=$(cd "$(dirname "$0")" && pwd)
cxx=${CXX:-g++}
if ! command -v "$cxx" >/dev/null; then
    echo "the emulation of CUDA needs a C++ compiler, and there is no \`$cxx\`" >&2
    exit 77
fi
mkdir -p "$1"
to=$(cd "$1" && pwd)
mark=$(cat "$from"/*.cpp "$from"/*.h "$0" | cksum; "$cxx" -dumpfullversion)
# Others may build the same at the same time.
exec 9>"$to/.lock"
if command -v flock >/dev/null; then flock 9; fi
if [ "$(cat "$to/.built" 2>/dev/null)" = "$mark" ]; then
    echo "$to"
    exit 0
fi
rm -rf "$to/.built" "$to/texts"
flags="-std=c++17 -O2 -fPIC -fvisibility=hidden -ffp-contract=off -Wall -Wextra"
"$cxx" $flags -c "$from/shim.cpp" -o "$to/shim.o"
"$cxx" $flags -DSNN_THREADS -c "$from/shim.cpp" -o "$to/shim-threads.o"
for part in shared-begin shared-end; do
    "$cxx" $flags -c "$from/$part.cpp" -o "$to/$part.o"
done
"$cxx" $flags -O1 -c "$from/texts.cpp" -o "$to/texts.o"
"$cxx" $flags -O1 -shared "$from/driver.cpp" "$from/device.cpp" "$to/texts.o" -Wl,-soname,libcuda.so.1 -o "$to/libcuda.so.1" -ldl -pthread
"$cxx" $flags -O1 -shared "$from/nvrtc.cpp" "$to/texts.o" -Wl,-soname,libnvrtc.so.13 -o "$to/libnvrtc.so.13" -ldl -pthread
"$cxx" $flags -shared "$from/matrices.cpp" "$to/libcuda.so.1" -Wl,-soname,libcublasLt.so.13 -Wl,-rpath,'$ORIGIN' -o "$to/libcublasLt.so.13"
"$cxx" $flags -shared "$from/convolutions.cpp" "$to/libcuda.so.1" -Wl,-soname,libcudnn.so.9 -Wl,-rpath,'$ORIGIN' -o "$to/libcudnn.so.9"
cp "$from/shim.h" "$to/shim.h"
echo "$mark" >"$to/.built"
echo "$to"
