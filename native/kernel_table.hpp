// The table of kernels of one instruction set, and the plain structs in which their arguments travel.
//
// Letters: B rows of a batch, I inputs, H hidden units, G gates, V lanes of a vector. Units are cut into blocks of V,
// the last one padded with zero weights. Strides are counted in floats. A kernel writes nothing but the rows and
// columns that its arguments name, allocates nothing, starts no thread and keeps no state.
#pragma once
#include <stdint.h>

namespace tidegate {

constexpr int64_t kLine = 16;  // floats of a cache line

enum class Activation : int32_t { kSigmoid, kTanh, kRelu, kHardSigmoid, kIdentity };

struct Cell {
  enum Kind : int32_t { kGru, kRnnTanh, kRnnRelu } kind;
  // Of a GRU. A gate that is off is 1 (reset) or 0 (update), and its weights count as 0.
  bool reset, update;
  Activation candidate, gate;

  bool operator==(Kind other) const { return kind == other; }
  bool is_standard() const { return reset && update && candidate == Activation::kTanh && gate == Activation::kSigmoid; }
};

// Which of the rows 0..rows-1 a call works on: tiles of `height` rows, those numbered first, first + every, ...
// Tiles decide only who computes a row, never its result.
struct Tiles {
  int64_t rows, height, first, every;
};

// A half-open range of panels, or of whatever else is shared out among threads.
struct Range {
  int64_t begin, end;
};

// A matrix [depth, columns] packed in panels of three vectors of columns: panel p is contiguous, depth x width floats,
// where the width is 3 V, or less in the last panel. In the forward pass of a GRU the three vectors are the r, z and n
// columns of one block of units.
struct Panels {
  const float* data;
  int64_t depth, vectors;  // vectors: columns / V, rounded up

  int64_t count() const { return (vectors + 2) / 3; }
};

// acc = bias + x W_ih for rows of any steps, stored [row][vectors * V]. Used when the input products of many steps are
// done at once.
struct InputProducts {
  Cell cell;
  Panels w_ih;
  const float* bias;      // [vectors * V]
  const float* const* x;  // [rows] pointers to I floats
  float* products;        // [rows][vectors * V]
  Tiles tiles;
  Range panels;
};

// One time step. Inputs come either as rows of x, or as rows of products that InputProducts has prepared.
struct ForwardStep {
  Cell cell;
  int64_t hidden;                // H
  Panels w_ih, w_hh;             // depth I and depth H
  const float *bias_x, *bias_h;  // [vectors * V] each; bias_h of r and z is already inside bias_x
  const float* const* x;         // [rows] I floats, or null
  const float* const* products;  // [rows] vectors * V floats, when x is null
  const float* const* h;         // [rows] H floats: the state before the step
  float* const* y;               // [rows] H floats: the state after the step; or null
  float* const* trace;  // [rows] 4 H floats (r, z, n, hn; RNN: H floats, the sum before its activation), or null
  bool streams_trace;   // past all caches: H is a multiple of V and every row of it aligned to V
  Tiles tiles;
  Range panels;
  bool backwards;  // the last panel first: weights that the step before has used last are still in a near cache
};

// dgates of one step from the gradient of its state: carry holds dh coming from later steps; dy is added.
// Writes dgates and leaves in carry the part of dh that passes straight to the previous state.
struct GateGradients {
  Cell cell;
  int64_t hidden;
  const float* const* dy;     // [rows] H floats, or null
  const float* const* trace;  // [rows] 4 H floats (GRU)
  const float* const* h;      // [rows] H floats: the state before the step (GRU) or after it (RNN)
  float* carry;               // [rows][pitch]
  int64_t pitch;
  float* dgates;              // [gates * blocks][stride / V rows][V]; the first row is row 0 of this step
  int64_t stride;             // from one block to the next
  Tiles tiles;
  Range blocks;
};

// Rows that are read next. A kernel that computes for long calls for them meanwhile, a few cache lines at a time: in
// memory they lie where no processor looks by itself, and all at once they would be in the way.
struct Ahead {
  const float* const* rows;  // or null
  int64_t floats;            // of each
};

// out[row] (+)= dgates[row] W, for the gradients of the previous state and of the input.
struct GateProducts {
  const float* dgates;  // first of W.depth / V blocks, as above
  int64_t stride, hidden;
  Panels w;
  int64_t columns;    // floats stored of each row
  float* const* out;  // [rows]
  bool add;
  Tiles tiles;
  Range panels;
  Ahead ahead[3];  // at least as many rows as here
};

// sums += dgates^T rows over `depth` rows, in tiles of gate units by three vectors of columns. Gate units are counted
// with their padding; the sums of gate g, unit u are row (g + first_gate) mod gates * H + u of torch's layout.
struct WeightGradients {
  const float* dgates;
  int64_t stride, depth;
  int64_t hidden, gates, first_gate;
  const float* const* rows;  // [depth] `columns` floats each
  int64_t columns;
  float* panel;              // [depth][3 V] to work in
  float* sums;               // [gates * H][columns]
  bool add;                  // to what is there
  Range unit_tiles;          // tiles of gate units: `unit_tile` rows each
};

// sums (+)= sum over rows of dgates, for the first `units` units of some blocks.
struct BiasGradients {
  const float* dgates;
  int64_t stride, depth, units;
  float* sums;  // [units]
  bool add;
};

// sums[row] += rows of dgates, for one block of V gate units.
struct RowSums {
  const float* dgates;  // [rows][V]
  float* const* sums;   // [rows], not all different
  int64_t offset;       // floats from there to the block
  int64_t rows;
};

// to[c][r] = from[r][c] for at most V rows, and 0 for those that are missing to V.
struct Transpose {
  const float* from;
  int64_t from_stride, rows, columns;
  float* to;
  int64_t to_stride;
};

struct KernelTable {
  const char* name;
  int64_t lanes;      // V
  int64_t tile_rows;  // most rows of a register tile
  int64_t unit_tile;  // gate units of a tile of WeightGradients
  void (*input_products)(const InputProducts&);
  void (*forward_step)(const ForwardStep&);
  void (*gate_gradients)(const GateGradients&);
  void (*gate_products)(const GateProducts&);
  void (*weight_gradients)(const WeightGradients&);
  void (*bias_gradients)(const BiasGradients&);
  void (*row_sums)(const RowSums&);
  void (*transpose)(const Transpose&);
  void (*stream_zeros)(float* to, int64_t count);  // past all caches; `to` and count aligned to V
  void (*activation)(Activation which, const float* in, float* out, int64_t count);  // for tests
  int64_t (*multiply_adds)(
      int64_t rounds);  // as many as possible, in registers; returns the floating-point operations; for benchmarks
  void (*read_floats)(const float* from, int64_t count,
                      int64_t rounds);  // count: a multiple of 8 V, from aligned to vectors; for benchmarks
};

}  // namespace tidegate
