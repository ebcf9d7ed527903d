// All cells, in the order in which they are looked through: the first one of a name that takes the choices is meant.
#pragma once
#include "gru.hpp"
#include "lstm.hpp"
#include "rnn.hpp"

namespace {

constexpr CellKernels kCells[] = {kGru, kGruOfChoice, kGruResetBefore, kRnnTanh, kRnnRelu, kLstm};
constexpr int64_t kCellCount = sizeof(kCells) / sizeof(kCells[0]);

}  // namespace
