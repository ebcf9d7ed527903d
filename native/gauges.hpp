// What this machine can do at most, beside which benchmarks put what kernels do. Each refuses to run on fewer threads
// than asked for, which would give wrong figures.
#pragma once
#include <cstdint>
#include <vector>

#include "kernel_table.hpp"

namespace tidegate {

struct Stretch {
  const float* data;
  int64_t floats;
};

// Keeps the multiply-add units of some threads busy; returns the floating-point operations done.
int64_t gauge_multiply_adds(const KernelTable& kernels, int threads, int64_t rounds);
// Lets a thread for each stretch read it, `rounds` times.
void gauge_reading(const KernelTable& kernels, const std::vector<Stretch>& stretches, int64_t rounds);
// Lets some threads wait for each other, `rounds` times; returns the seconds.
double gauge_barrier(int threads, int64_t rounds);

}  // namespace tidegate
