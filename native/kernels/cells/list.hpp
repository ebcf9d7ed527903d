// All cells, in the order in which they are looked through: the first one of a name that takes the choices is meant.
#pragma once
#include "gru.hpp"
#include "lstm.hpp"
#include "rnn.hpp"

namespace {

constexpr CellKernels kCells[] = {kGru, kGruOfChoice, kGruResetBefore, kRnnTanh, kRnnRelu, kLstm};
constexpr int64_t kCellCount = sizeof(kCells) / sizeof(kCells[0]);

// What the drivers can run: at most two states, panels of at most four vectors, and no gate that is both apart and
// late.
constexpr bool is_valid(const CellNumbers& n) {
  return n.states >= 1 && n.states <= 2 && n.late >= 1 && n.late <= n.gates && n.late <= 4 && n.gates - n.late <= 4 &&
         n.late_reads < n.traced && (n.apart < 0 || (n.apart == n.gates - 1 && n.late == n.gates)) &&
         n.gradients == n.gates + (n.apart >= 0);
}
constexpr bool all_valid() {
  for (const CellKernels& cell : kCells)
    if (!is_valid(cell.numbers)) return false;
  return true;
}
static_assert(all_valid(), "a cell that the drivers cannot run");

}  // namespace
