// A `libnvrtc.so.13` that compiles for the processor. What it gives as code is the text itself, which the emulated driver
// compiles again, or rather finds compiled.
#include <cstring>
#include "texts.h"

struct Program {
    snn::Text text;
    std::string log, image;
};
// Answers of NVRTC.
enum { SUCCESS = 0, INVALID_INPUT = 3, INVALID_PROGRAM = 4, INVALID_OPTION = 5, COMPILATION = 6 };

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT int nvrtcVersion(int* major, int* minor) {
    // A minor version that NVIDIA's has not, so that nobody takes one's code for the other's.
    *major = 13;
    *minor = 99;
    return SUCCESS;
}

EXPORT int nvrtcCreateProgram(Program** program, const char* text, const char* name, int headers, const char* const*,
                              const char* const*) {
    if (!program || !text || headers != 0) return INVALID_INPUT;
    *program = new Program;
    (*program)->text = {name ? name : "default_program", text, {}};
    return SUCCESS;
}

EXPORT int nvrtcDestroyProgram(Program** program) {
    if (!program || !*program) return INVALID_PROGRAM;
    delete *program;
    *program = nullptr;
    return SUCCESS;
}

EXPORT int nvrtcCompileProgram(Program* program, int n, const char* const* options) {
    if (!program) return INVALID_PROGRAM;
    program->text.options.assign(options, options + n);
    const snn::Compilation result = snn::compile(program->text);
    program->log = result.log;
    program->image = result.outcome == snn::Compilation::done ? program->text.to_image() : "";
    switch (result.outcome) {
    case snn::Compilation::done: return SUCCESS;
    case snn::Compilation::failed: return COMPILATION;
    case snn::Compilation::unknown_option: return INVALID_OPTION;
    }
    return COMPILATION;
}

static int size_of(const std::string& bytes, size_t* size) {
    *size = bytes.size();
    return SUCCESS;
}
static int copy_of(const std::string& bytes, char* to) {
    memcpy(to, bytes.data(), bytes.size());
    return SUCCESS;
}

EXPORT int nvrtcGetProgramLogSize(Program* program, size_t* size) {
    *size = program->log.size() + 1;
    return SUCCESS;
}
EXPORT int nvrtcGetProgramLog(Program* program, char* log) {
    memcpy(log, program->log.c_str(), program->log.size() + 1);
    return SUCCESS;
}
EXPORT int nvrtcGetCUBINSize(Program* program, size_t* size) { return size_of(program->image, size); }
EXPORT int nvrtcGetCUBIN(Program* program, char* image) { return copy_of(program->image, image); }
EXPORT int nvrtcGetPTXSize(Program* program, size_t* size) { return size_of(program->image, size); }
EXPORT int nvrtcGetPTX(Program* program, char* image) { return copy_of(program->image, image); }

EXPORT const char* nvrtcGetErrorString(int answer) {
    switch (answer) {
    case SUCCESS: return "NVRTC_SUCCESS";
    case INVALID_INPUT: return "NVRTC_ERROR_INVALID_INPUT";
    case INVALID_PROGRAM: return "NVRTC_ERROR_INVALID_PROGRAM";
    case INVALID_OPTION: return "NVRTC_ERROR_INVALID_OPTION";
    case COMPILATION: return "NVRTC_ERROR_COMPILATION";
    default: return "NVRTC_ERROR unknown";
    }
}
