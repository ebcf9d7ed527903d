// One recurrent layer in one direction over whole sequences, forward and backward: the loops over time, shared out
// among threads.
#pragma once
#include <cstdint>

#include "packed_layer.hpp"

namespace tidegate {

// The rows of a [T, B, n] array, or of a packed [N, n] array whose step t starts at row step_start[t]. Strides in
// floats.
struct Rows {
  float* data;
  int64_t step, row;
  const int64_t* step_start;

  explicit operator bool() const { return data != nullptr; }
  float* at(int64_t t, int64_t b) const { return data + (step_start ? (step_start[t] + b) * row : t * step + b * row); }
};

// What a forward and a backward pass over the same sequences share.
struct Batch {
  int64_t T, B;
  int64_t H;
  const int64_t* lengths;                     // [B], 0..T in any order; null: all T
  const int64_t* step_start;                  // [T] of packed arrays; null: arrays are padded
  bool reverse;                               // every row from its own end to its start
  const float* h0[CellNumbers::kMostStates];  // of each state [B, H], or null for zeros
  const uint8_t* episode_starts;              // [T, B] or packed [N]: not 0 on the first step of an episode; or null
  bool episodes_from_h0;                      // the states that an episode starts from: h0, or zeros
  const int64_t* ids;  // [T, B] or packed [N]: the row of x that a step reads, x being a table; or null
  int64_t table_rows;  // of that table

  int64_t row_index(int64_t t, int64_t b) const { return (step_start ? step_start[t] : t * B) + b; }
  // State `s` that row b starts from.
  const float* start(int32_t s, int64_t b, const float* zeros) const { return h0[s] ? h0[s] + b * H : zeros; }
};

struct ForwardPass {
  Rows x, y;   // y is set to 0 beyond a row's length; a table x has rows, and no steps
  Rows c;      // the second state after every step, if the cell has one; null to keep it in h_n alone
  Rows trace;  // rows of K H floats, see CellNumbers; or null
  float* h_n[CellNumbers::kMostStates];  // of each state [B, H] at each row's own end; or null, if S = 1
  bool clears_trace;  // sets trace and c to 0 beyond a row's length too; the backward pass does not need that
};

struct BackwardPass {
  Rows x, y, c;                                 // of the forward pass
  Rows trace;                                   // of the forward pass; null for gates to be computed again
  Rows dy;                                      // or null
  const float* dh_n[CellNumbers::kMostStates];  // of each state [B, H], or null
  Rows dx;  // or null; set to 0 beyond a row's length, and where nobody reads a row of a table
  float* dh0[CellNumbers::kMostStates];  // of each state [B, H], or null for all
  float *dw_ih, *dw_hh;                  // [G H, I], [G H, H]
  float *db_ih, *db_hh;                  // [G H] each, or null
  int64_t trace_steps;                   // most steps whose gates are computed again at once; 0 for no limit
};

void forward(const PackedLayer& layer, const Batch& batch, const ForwardPass& pass, int threads);
// One step of B rows.
struct StepCall {
  int64_t B;
  const float* x;                                 // rows of I floats, x_row apart
  int64_t x_row;
  const float* before[CellNumbers::kMostStates];  // of each state [L, B, H], or null for zeros
  float* after[CellNumbers::kMostStates];         // likewise; may be the same memory
};
// Takes it through L layers that lie one on another.
void step(const PackedLayer* const* layers, int64_t L, const StepCall& call, int threads);
// One step of B streams whose states lie anywhere in an array [places, S, L, H], where the new ones take their place.
struct StreamsCall {
  int64_t B;
  const float* x;         // [B, I]
  float* states;
  const int64_t* places;  // of each stream, none twice
};
void step_streams(const PackedLayer* const* layers, int64_t L, const StreamsCall& call, int threads);
void backward(const PackedLayer& layer, const Batch& batch, const BackwardPass& pass, int threads);

}  // namespace tidegate
