// What a C++ program outside the tree sees.
#include <fairlead/fairlead.h>

#include <cstdio>
#include <memory>

int main() {
    fl_runtime *made = nullptr;
    fl_error error{};
    if (fl_runtime_new(nullptr, &made, &error) != FL_OK) return 1;
    std::unique_ptr<fl_runtime, decltype(&fl_runtime_free)> runtime(made, fl_runtime_free);
    std::printf("%s %s\n", FL_VERSION, fl_version());
    return 0;
}
