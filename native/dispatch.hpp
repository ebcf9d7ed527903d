// Which instruction sets run on this machine, best first.
#pragma once
#include <string>
#include <vector>

#include "kernel_table.hpp"

namespace tidegate {

// The tables that this processor can run, best first. Never empty: "baseline" runs everywhere.
const std::vector<const KernelTable*>& kernel_tables();

// The table with that name, or nullptr.
const KernelTable* find_kernel_table(const std::string& name);

// Whether int8 weights use AVX512-VNNI: where the processor has it, unless a test wants to do without. The numbers are
// the same.
bool uses_dots();
void use_dots(bool wanted);

// Whether this processor multiplies pairs of bfloat16 with these kernels (AVX512-BF16).
bool multiplies_pairs(const KernelTable& kernels);

// The kernels of the cell with that name that compute what was chosen, or nullptr.
const CellKernels* find_cell(const KernelTable& kernels, const std::string& name, const Choices& choices);

}  // namespace tidegate
