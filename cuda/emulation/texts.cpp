#include "texts.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace snn {

static const char MARK[] = "SNNTEXT1";

// Strings one behind the other, each behind its length.
static void put(std::string& to, const std::string& s) {
    const unsigned long long n = s.size();
    to.append((const char*)&n, 8).append(s);
}
static std::string get(const char*& from) {
    unsigned long long n;
    memcpy(&n, from, 8);
    std::string s(from + 8, n);
    from += 8 + n;
    return s;
}

std::string Text::to_image() const {
    std::string image(MARK, 8);
    put(image, name);
    put(image, text);
    put(image, std::string(1, (char)options.size()));
    for (const std::string& option : options) put(image, option);
    return image;
}

bool Text::from_image(const char* image, Text& text) {
    if (memcmp(image, MARK, 8) != 0) return false;
    image += 8;
    text.name = get(image);
    text.text = get(image);
    const int n = get(image)[0];
    for (int i = 0; i < n; ++i) text.options.push_back(get(image));
    return true;
}

static bool starts_with(const std::string& s, const char* with) { return s.compare(0, strlen(with), with) == 0; }

unsigned architecture(const std::vector<std::string>& options, bool& is_specific) {
    for (const std::string& option : options) {
        const size_t underscore = option.find('_');
        if (!starts_with(option, "--gpu-architecture=") || underscore == std::string::npos) continue;
        is_specific = option.back() == 'a';
        return (unsigned)atoi(option.c_str() + underscore + 1);
    }
    is_specific = false;
    return 0;
}

// Where the libraries lie, and the headers and objects beside them.
static std::string home() {
    Dl_info info;
    if (!dladdr((void*)&compile, &info)) return ".";
    const std::string path = info.dli_fname;
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, slash);
}

// A text without what is in comments and behind `#`, line for line.
static std::string without_comments(const std::string& text) {
    std::string bare;
    enum { code, line, block } in = code;
    bool is_start = true;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i], next = i + 1 < text.size() ? text[i + 1] : '\0';
        if (c == '\n') {
            // A line of the preprocessor goes on behind a backslash.
            if (in == line && !(i > 0 && text[i - 1] == '\\')) in = code;
            bare += c;
            is_start = true;
            continue;
        }
        if (in == block) {
            if (c == '*' && next == '/') {
                in = code;
                ++i;
            }
            continue;
        }
        if (in == line) continue;
        if ((c == '/' && next == '/') || (c == '#' && is_start)) {
            in = line;
            continue;
        }
        if (c == '/' && next == '*') {
            in = block;
            ++i;
            continue;
        }
        if (!isspace((unsigned char)c)) is_start = false;
        bare += c;
    }
    return bare;
}

struct KernelName {
    std::string name, most_threads;
};

// The parenthesis that closes the one at `open`.
static size_t closing(const std::string& text, size_t open) {
    int depth = 0;
    for (size_t i = open; i < text.size(); ++i) {
        if (text[i] == '(') ++depth;
        if (text[i] == ')' && --depth == 0) return i;
    }
    return text.size();
}

// What follows `SN_KERNEL` or `__global__`: words, among them maybe `__launch_bounds__(...)`, up to the name before the
// arguments.
static std::vector<KernelName> kernels_of(const std::string& text) {
    static const std::string WORDS[] = {"SN_KERNEL", "__global__"}, BOUNDS = "__launch_bounds__";
    const std::string bare = without_comments(text);
    const auto is_word = [](char c) { return isalnum((unsigned char)c) || c == '_'; };
    const auto next = [&](size_t from) { return std::min(bare.find(WORDS[0], from), bare.find(WORDS[1], from)); };
    std::vector<KernelName> all;
    for (size_t at = next(0); at != std::string::npos; at = next(at + 1)) {
        KernelName kernel{"", "0"};
        std::string last;
        size_t i = at + WORDS[0].size();
        if (bare[at] == '_') i = at + WORDS[1].size();
        while (i < bare.size() && bare[i] != ';' && bare[i] != '{') {
            if (is_word(bare[i])) {
                const size_t start = i;
                while (i < bare.size() && is_word(bare[i])) ++i;
                last = bare.substr(start, i - start);
            } else if (bare[i] == '(') {
                const size_t end = closing(bare, i);
                if (last != BOUNDS) {
                    kernel.name = last;
                    break;
                }
                const std::string inside = bare.substr(i + 1, end - i - 1);
                kernel.most_threads = inside.substr(0, inside.find(','));
                i = end + 1;
            } else {
                ++i;
            }
        }
        if (!kernel.name.empty()) all.push_back(kernel);
    }
    return all;
}

static std::string source_of(const Text& text) {
    std::string source = "#include \"shim.h\"\nnamespace {\n#line 1 \"" + text.name + "\"\n" + text.text + "\n}\n";
    source += "extern \"C\" __attribute__((visibility(\"default\"))) const ::snn::Kernel snn_kernels[] = {\n";
    for (const KernelName& kernel : kernels_of(text.text))
        source += "    {\"" + kernel.name + "\", ::snn::Entry<&" + kernel.name + ">::run, ::snn::Entry<&" + kernel.name +
                  ">::arguments, " + kernel.most_threads + "},\n";
    return source + "    {nullptr, nullptr, 0, 0},\n};\n";
}

static unsigned long long hash(const std::string& s, unsigned long long start) {
    for (const char c : s) start = (start ^ (unsigned char)c) * 0x100000001b3ull;
    return start;
}

// Stands for the file of a text among arguments.
static const char SOURCE[] = "?";

// The arguments of the C++ compiler; nothing where an option is not known.
static bool compiler_arguments(const Text& text, const std::string& home, std::vector<std::string>& all) {
    const char* const named = getenv("CXX");
    all = {named && *named ? named : "g++",
           "-std=c++17",
           "-O1",
           "-w",
           "-fPIC",
           "-shared",
           "-fvisibility=hidden",
           "-ffp-contract=off",
           "-fno-strict-aliasing",
           "-fno-ipa-reference",
           "-I",
           home};
#ifdef __x86_64__
    if (__builtin_cpu_supports("fma")) all.push_back("-mfma");
#endif
    bool is_specific;
    const unsigned arch = architecture(text.options, is_specific);
    if (arch < 75) return false;
    all.push_back("-D__CUDA_ARCH__=" + std::to_string(arch * 10));
    if (is_specific) all.push_back("-DSNN_ARCH_A");
    for (const std::string& option : text.options) {
        static const char* const KNOWN[] = {"--gpu-architecture=", "--std=c++17",      "-default-device",
                                            "-fmad=false",         "--ptxas-options=", "-lineinfo"};
        bool is_known = starts_with(option, "-D");
        for (const char* known : KNOWN) is_known = is_known || starts_with(option, known);
        if (!is_known) return false;
        if (starts_with(option, "-D")) all.push_back(option);
    }
    const char* const checks = getenv("SNN_EMULATION_SANITIZE");
    const std::string sanitize = checks ? checks : "";
    if (!sanitize.empty()) {
        for (const char* flag : {"-g", "-fno-sanitize-recover=all"}) all.push_back(flag);
        all.push_back("-fsanitize=" + sanitize);
    }
    const bool has_threads = sanitize.find("thread") != std::string::npos;
    if (has_threads) all.push_back("-DSNN_THREADS");
    // The linker keeps this order of variables.
    for (const std::string& object : {std::string("/shared-begin.o"), std::string(SOURCE), std::string("/shared-end.o"),
                                      std::string(has_threads ? "/shim-threads.o" : "/shim.o")})
        all.push_back(object == SOURCE ? object : home + object);
    return true;
}

static std::string read_file(const std::string& path) {
    std::string all;
    if (FILE* file = fopen(path.c_str(), "rb")) {
        char part[4096];
        while (const size_t n = fread(part, 1, sizeof part, file)) all.append(part, n);
        fclose(file);
    }
    return all;
}

static bool write_file(const std::string& path, const std::string& text) {
    FILE* const file = fopen(path.c_str(), "wb");
    if (!file) return false;
    const bool is_written = fwrite(text.data(), 1, text.size(), file) == text.size();
    return fclose(file) == 0 && is_written;
}

// Runs a program, whose output goes to a file; its exit status, or -1 where it cannot be started.
static int run(const std::vector<std::string>& arguments, const std::string& output) {
    std::vector<char*> raw;
    for (const std::string& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
    raw.push_back(nullptr);
    // Libraries that a tester preloads are for this process and not for the compiler.
    std::vector<char*> environment;
    for (char** variable = environ; *variable; ++variable)
        if (strncmp(*variable, "LD_PRELOAD=", 11) != 0) environment.push_back(*variable);
    environment.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t child;
    const int started = posix_spawnp(&child, raw[0], &actions, nullptr, raw.data(), environment.data());
    posix_spawn_file_actions_destroy(&actions);
    int status = 0;
    if (started != 0 || waitpid(child, &status, 0) < 0) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Compilation compile(const Text& text) {
    const std::string home = snn::home(), source = source_of(text);
    std::vector<std::string> arguments;
    if (!compiler_arguments(text, home, arguments))
        return {Compilation::unknown_option, "", "the emulation does not know an option\n"};
    std::string key = source;
    for (const std::string& argument : arguments) key += '\n' + argument;
    char name[40];
    snprintf(name, sizeof name, "%016llx%016llx", hash(key, 0xcbf29ce484222325ull), hash(key, 0x9ae16a3b2f90404full));
    const std::string base = home + "/texts/" + name, object = base + ".so";
    struct stat there;
    if (stat(object.c_str(), &there) == 0) return {Compilation::done, object, ""};
    // Others may compile the same: what is half written has a name of its own.
    const std::string mine = base + "." + std::to_string(getpid()) + "." + std::to_string((unsigned long)pthread_self());
    mkdir((home + "/texts").c_str(), 0777);
    if (!write_file(mine + ".cpp", source)) return {Compilation::failed, "", "cannot write " + mine + ".cpp\n"};
    std::replace(arguments.begin(), arguments.end(), std::string(SOURCE), mine + ".cpp");
    arguments.insert(arguments.end(), {"-o", mine + ".so"});
    const int status = run(arguments, mine + ".log");
    const std::string log = read_file(mine + ".log");
    unlink((mine + ".log").c_str());
    if (status == -1 || status == 127) {
        unlink((mine + ".cpp").c_str());
        return {Compilation::failed, "", "the emulation compiles texts with `" + arguments[0] + "`, which is not there\n"};
    }
    // Kept for who looks for the line of a message.
    rename((mine + ".cpp").c_str(), (base + ".cpp").c_str());
    if (status != 0) return {Compilation::failed, "", log};
    if (rename((mine + ".so").c_str(), object.c_str()) != 0) return {Compilation::failed, "", "cannot write " + object + "\n"};
    return {Compilation::done, object, log};
}

}  // namespace snn
