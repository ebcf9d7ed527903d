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

// What was chosen of a cell: for each choice that its declaration in Python offers (src/tidegate/ops/cells/), the place
// of the chosen word; 0 is the standard one.
struct Choices {
  static constexpr int kMost = 4;
  int32_t of[kMost];
};

// What the drivers read of a cell. States are h, the output, and if S = 2 also c, which only the next step reads: an
// array [B, H] each. A late gate multiplies U not with h but with what the gates before it have made of h.
struct CellNumbers {
  int32_t gates;       // G
  int32_t states;      // S: 1 or 2
  int32_t traced;      // values that a trace keeps of each unit and step, beside its states
  int32_t gradients;   // blocks of dgates: one for each gate, and one more before them if `apart`
  int32_t apart;       // the last gate, if its recurrent half has gradients of its own; else -1
  int32_t late;        // the first late gate; G if none is
  int32_t late_reads;  // which traced value late gates multiply U with
  uint32_t joined;     // a bit for each gate whose two biases may be added up before the walk
  bool needs_trace;    // whether the backward pass reads what a trace keeps
  bool reads_after;    // whether it reads the state after a step, and not the one before

  static constexpr int kMostStates = 2, kMostStages = 2;
  int32_t stages() const { return late < gates ? 2 : 1; }  // products that follow each other in one step
  int32_t stage_first(int32_t stage) const { return stage ? late : 0; }
  int32_t stage_gates(int32_t stage) const { return (stage ? gates : late) - stage_first(stage); }
  // Vectors of a panel of the forward pass: the gates of one block of units, or three blocks of a single gate.
  int32_t stage_width(int32_t stage) const { return stage_gates(stage) > 1 ? stage_gates(stage) : 3; }
  int64_t panel_blocks(int32_t stage) const { return stage_gates(stage) > 1 ? 1 : 3; }
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

// The numbers that weights are kept in. An int8 weight is an integer times the scale of its row of W, a column here.
enum class Element : int32_t { kFloat32, kBfloat16, kInt8 };

constexpr int64_t element_bytes(Element element) {
  return element == Element::kFloat32 ? 4 : element == Element::kBfloat16 ? 2 : 1;
}
// Smaller numbers lie in pairs: those of two k that follow each other side by side, in each lane of a vector. After an
// odd depth there is a zero.
constexpr int64_t stored_depth(Element element, int64_t depth) {
  return element == Element::kFloat32 ? depth : (depth + 1) / 2 * 2;
}
// A word is what takes the place of a float32: one number, or a pair of bfloat16, of which the first is the lower half.
constexpr int64_t words(int64_t numbers, bool pairs) { return pairs ? (numbers + 1) / 2 : numbers; }

// A matrix [depth, columns] packed in panels of `width` vectors of columns: panel p is contiguous, depth x width V
// numbers, or less in the last panel; a wide one may lie in groups of vectors, see KernelTable. In the forward pass the
// vectors of a panel are the gates of one block of units.
struct Panels {
  const float* data;              // or smaller numbers
  int64_t depth, vectors;         // vectors: columns / V, rounded up
  int32_t width;
  int64_t first = 0;              // the panel that data begins with
  Element element = Element::kFloat32;
  bool pairs = false;             // bfloat16 that multiply pairs of bfloat16, and not float32
  const float* scales = nullptr;  // [vectors * V] of int8

  int64_t count() const { return (vectors + width - 1) / width; }
};

// Rows as smaller weights multiply them: bfloat16, or for int8 integers times the scale of their row.
struct RoundedRows {
  const int16_t* data;  // row r begins at data + r * stride; after an odd depth there is a zero
  int64_t stride;
  const float* scales;  // of integers
  bool dots;            // whether the processor multiplies and adds pairs of them in one instruction (AVX512-VNNI)
};

// Rounds one row to bfloat16, or with a scale to integers from -most to most: if one of its numbers is not finite,
// neither is the scale.
struct Rounding {
  const float* from;
  int64_t count;
  int16_t* to;  // room for whole vectors of floats, aligned to them
  int32_t most;
  float* scale;
};

// Rounds two rows to bfloat16: to[i] is the pair of low[i] and high[i]. A row that is null is 0.
struct Pairing {
  const float *low, *high;
  int64_t count;
  float* to;
};

// The same weights where they are, in torch's layout [G H, depth], for a single row of a batch, which reads them once.
struct WeightRows {
  const float* first;     // of a stage; null where panels are packed
  int64_t depth;
  int64_t vector, panel;  // rows from one vector of a panel to the next, and from one panel to the next
};

// bias + x W_ih for rows of any steps. Used when the input products of many steps are done at once.
struct InputProducts {
  Panels w_ih;
  const float* bias;      // [vectors * V]
  const float* const* x;  // [rows] pointers to I floats
  RoundedRows x_rounded;  // the same for smaller weights
  float* products;        // [rows] vectors * V floats each, `pitch` apart
  int64_t pitch;
  Tiles tiles;
  Range panels;
};

// One stage of one time step. Inputs come either as rows of x, or as rows of products that InputProducts has prepared.
struct ForwardStep {
  Choices choices;
  int32_t stage;
  int64_t hidden;                       // H
  Panels w_ih, w_hh;                    // of the stage: depth I and depth H
  WeightRows rows_ih, rows_hh;          // read in their place
  const float *bias_x, *bias_h;         // [vectors * V] each; where biases are joined, bias_x has both
  const float* const* x;                // [rows] I floats, or null
  const float* const* products;         // [rows] when x is null; those of the stage start at product_offset
  int64_t product_offset;
  RoundedRows x_rounded, read_rounded;  // x and read for smaller weights
  const float* const* read;  // [rows] H floats: what U is multiplied with, h or what the stage before has made of it
  const float* const* h;     // [rows] H floats: the state before the step
  float* const* y;           // [rows] H floats: the state after the step; or null
  const float* const* c_before;  // [rows] H floats, if the cell has two states
  float* const* c;               // [rows] H floats, which may be c_before; or null
  float* const* trace;           // [rows] traced * H floats, or null; a cell with two stages always has it
  bool streams_trace;            // past all caches: H is a multiple of V and every row of it aligned to V
  Tiles tiles;
  Range panels;
  bool backwards;  // the last panel first: weights that the step before has used last are still in a near cache
};

// dgates of one step from the gradients of its states: the carries hold those coming from later steps; dy is added to
// that of h. Writes dgates, and leaves in the carries what passes to the states before beside the products.
// With late gates there are two calls: all but the gradients of the early gates that late ones wait for, and then
// these.
struct GateGradients {
  Choices choices;
  int32_t call;
  int64_t hidden;
  const float* const* dy;                   // [rows] H floats, or null
  const float* const* trace;                // [rows] traced * H floats
  const float *const *h, *const *y;         // [rows] H floats: the state before the step and after it
  const float *const *c_before, *const *c;  // the same of the second state, if the cell has one
  float *carry_h, *carry_c;                 // [rows][pitch]
  const float* late;  // [rows][pitch]: gradients of what late gates multiplied U with, for the second call
  int64_t pitch;
  float* dgates;      // [gradients * blocks][stride / V rows][V]; the first row is row 0 of this step
  int64_t stride;     // from one block to the next
  Tiles tiles;
  Range blocks;
};

// Rows that are read next. A kernel that computes for long prefetches them meanwhile, a few cache lines at a time: in
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
  float* room;     // words of W.depth for each row, if W is of pairs
  Ahead ahead[3];  // at least as many rows as here
};

// sums += dgates^T rows over `depth` rows, in tiles of gate units by three vectors of columns. Gate units are counted
// with their padding; the sums of gate g, unit u are row (g + first_gate) mod gates * H + u of torch's layout.
struct WeightGradients {
  const float* dgates;
  int64_t stride, depth;
  int64_t hidden, gates, first_gate;
  const float* const* rows;                          // [depth] `columns` floats each
  int64_t columns;
  bool pairs;                                        // whether pairs of bfloat16 are multiplied
  float* room;                                       // `room_floats` to work in
  float* sums;                                       // [gates * H][columns]
  bool add;                                          // to what is there
  Range unit_tiles;                                  // tiles of gate units: `unit_tile` rows each

  static constexpr int64_t kNearFloats = 64 * 1024;  // what stays in a core's own cache beside other things
  // Blocks of dgates that stay there.
  static constexpr int64_t near_blocks(int64_t depth, int64_t lanes) { return kNearFloats / (depth * lanes) + 1; }
  // A panel of columns, and those blocks as pairs.
  static constexpr int64_t room_floats(int64_t depth, int64_t lanes, bool pairs) {
    return depth * 3 * lanes + (pairs ? kNearFloats + depth * lanes : 0);
  }
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

// A cell as the kernels of one instruction set know it.
struct CellKernels {
  const char* name;
  CellNumbers numbers;
  bool (*takes)(const Choices&);                      // whether it computes what was chosen
  bool (*has_weights)(const Choices&, int32_t gate);  // a gate that is off has none
  void (*forward)(const ForwardStep&);
  void (*gradients)(const GateGradients&);
};

struct KernelTable {
  static constexpr int kMostWidth = 4;
  const char* name;
  int64_t lanes;                       // V
  int64_t tile_rows[kMostWidth + 1];   // most rows of a register tile, by the width of its panels
  int64_t tile_group[kMostWidth + 1];  // vectors of a panel that lie side by side, one group behind the other, likewise
  int64_t unit_tile;                   // gate units of a tile of WeightGradients
  const CellKernels* cells;            // the first one that has a name and takes the choices is meant
  int64_t cell_count;
  void (*input_products)(const InputProducts&);
  void (*round_row)(const Rounding&);
  void (*pair_rows)(const Pairing&);  // null where no processor of this set multiplies pairs of bfloat16
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
