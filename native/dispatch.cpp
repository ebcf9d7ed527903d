#include "dispatch.hpp"

#include <atomic>

namespace tidegate {

extern const KernelTable kernels_baseline;
#if defined(TIDEGATE_AVX)
extern const KernelTable kernels_avx2, kernels_avx512;
#endif

const std::vector<const KernelTable*>& kernel_tables() {
  static const std::vector<const KernelTable*> tables = [] {
    std::vector<const KernelTable*> found;
#if defined(TIDEGATE_AVX)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    if (avx512) found.push_back(&kernels_avx512);
    if (avx2) found.push_back(&kernels_avx2);
#endif
    found.push_back(&kernels_baseline);
    return found;
  }();
  return tables;
}

const KernelTable* find_kernel_table(const std::string& name) {
  for (const KernelTable* table : kernel_tables())
    if (name == table->name) return table;
  return nullptr;
}

namespace {
bool has_dots() {
#if defined(TIDEGATE_AVX)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}
std::atomic<bool> dots{has_dots()};
}  // namespace

bool uses_dots() { return dots.load(std::memory_order_relaxed); }
void use_dots(bool wanted) { dots = wanted && has_dots(); }

bool multiplies_pairs(const KernelTable& kernels) {
#if defined(TIDEGATE_AVX)
  __builtin_cpu_init();
  return kernels.pair_rows && __builtin_cpu_supports("avx512bf16");
#else
  return kernels.pair_rows;
#endif
}

const CellKernels* find_cell(const KernelTable& kernels, const std::string& name, const Choices& choices) {
  for (int64_t i = 0; i < kernels.cell_count; ++i)
    if (name == kernels.cells[i].name && kernels.cells[i].takes(choices)) return &kernels.cells[i];
  return nullptr;
}

}  // namespace tidegate
