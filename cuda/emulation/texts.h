// Texts of kernels to shared objects, by the C++ compiler of the machine. Both libraries use it: the compiler's, so that it
// can say what is wrong with a text, and the driver's, since code that is kept elsewhere holds the text alone.
#pragma once
#include <string>
#include <vector>

namespace snn {

// What stands for code: the text and what it was compiled with.
struct Text {
    std::string name, text;
    std::vector<std::string> options;
    // Bytes that begin with a mark and their number.
    std::string to_image() const;
    // Nothing where the bytes do not begin with the mark.
    static bool from_image(const char* image, Text&);
};

struct Compilation {
    enum Outcome { done, failed, unknown_option } outcome;
    std::string path;  // of the shared object
    std::string log;   // what the compiler said
};

// The architecture that options name: 80 of `sm_80`, 0 if none; `is_specific` of `sm_90a`.
unsigned architecture(const std::vector<std::string>& options, bool& is_specific);
// The shared object of a text, compiled unless it was before.
Compilation compile(const Text&);

}  // namespace snn
