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

}  // namespace tidegate
