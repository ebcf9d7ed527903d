// Calls of the native code as src/tidegate/ops makes them, with every array in a block of memory of its own, so that a
// sanitizer sees each read and write beside it. What is chosen freely is the kind of call; arrays always fit each
// other.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "dispatch.hpp"
#include "packed_layer.hpp"
#include "sequence.hpp"

namespace tidegate::fuzz {

// A bit pattern that no computation leaves behind: where it still stands, nothing was written.
inline float unwritten() {
  const uint32_t bits = 0x7fc0dead;
  float number;
  std::memcpy(&number, &bits, sizeof number);
  return number;
}
inline bool is_unwritten(float number) {
  const float mark = unwritten();
  return std::memcmp(&number, &mark, sizeof number) == 0;
}
// An array without numbers has an address too, as those of numpy have.
inline std::vector<float> blank(int64_t count) {
  std::vector<float> all;
  all.reserve(static_cast<size_t>(std::max<int64_t>(count, 1)));
  all.resize(static_cast<size_t>(count), unwritten());
  return all;
}

// Decisions read from bytes, zeros when those have run out; and numbers drawn from a seed.
class Source {
 public:
  Source(const uint8_t* data, size_t size) : data_(data), left_(size) {}

  int64_t below(int64_t count) { return count > 1 ? static_cast<int64_t>(byte() | byte() << 8) % count : 0; }
  bool flag() { return byte() % 2; }
  uint64_t random() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    return state_ ^= state_ << 17;
  }
  // In −2 .. 2, or now and then, where `wild` is set, a number that arithmetic stumbles over.
  float number(bool wild) {
    static const float kWild[] = {INFINITY, -INFINITY, NAN, 1e-45f, 3e38f, -3e38f, -0.0f, 1e-20f};
    if (wild && random() % 16 == 0) return kWild[random() % 8];
    return static_cast<float>(static_cast<int64_t>(random() % 4096) - 2048) / 1024;
  }
  std::vector<float> numbers(int64_t count, bool wild) {
    std::vector<float> all = blank(count);
    for (float& number : all) number = this->number(wild);
    return all;
  }

 private:
  int byte() {
    if (left_ == 0) return 0;
    --left_;
    state_ += *data_ * 0x9e3779b97f4a7c15u;
    return *data_++;
  }

  const uint8_t* data_;
  size_t left_;
  uint64_t state_ = 0x2545f4914f6cdd1du;
};

// Whether two results are the same to the bit; which NaN it is depends on the order of operands, and is left out.
inline bool same(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0 && !(std::isnan(a[i]) && std::isnan(b[i]))) return false;
  return true;
}

// A cell with its choices, the weights, and the sizes I and H.
struct Weighted {
  const KernelTable* kernels;
  const CellKernels* cell;
  Choices choices{};
  int64_t I, H;
  bool biased;
  std::vector<float> w_ih, w_hh, b_ih, b_hh;

  Weighted(Source& in, const KernelTable& table, const CellKernels& of, int64_t input, int64_t hidden, bool wild)
      : kernels(&table), cell(&of), I(input), H(hidden), biased(in.flag()) {
    static const int kWords[] = {3, 2, 3, 2};  // as many as src/tidegate/ops/cells/gru.py offers for each choice
    if (std::strcmp(of.name, "gru") == 0)
      for (int i = 0; i < Choices::kMost; ++i) choices.of[i] = static_cast<int32_t>(in.below(kWords[i]));
    cell = find_cell(table, of.name, choices);
    const int64_t units = cell->numbers.gates * H;
    w_ih = in.numbers(units * I, wild), w_hh = in.numbers(units * H, wild);
    if (biased) b_ih = in.numbers(units, wild), b_hh = in.numbers(units, wild);
  }

  // Weights that are read where they are until they are kept.
  std::unique_ptr<PackedLayer> layer() const {
    const Weights all{w_ih.data(), w_hh.data(), biased ? b_ih.data() : nullptr, biased ? b_hh.data() : nullptr};
    return std::make_unique<PackedLayer>(*cell, choices, I, H, all, *kernels);
  }
};

// Rows of a padded array with any strides, of a packed one, or of a table.
struct Array {
  std::vector<float> floats;
  int64_t step = 0, row = 0;

  Rows rows(const int64_t* step_start, int64_t column = 0) {
    return {floats.data() + column, step_start ? 0 : step, row, step_start};
  }
};

// What a call returns, in one list for comparing.
using Results = std::vector<std::vector<float>>;

// A forward and a backward pass over a batch.
class Call {
 public:
  Call(Source& in, const Weighted& weights, int64_t most_steps, int64_t most_rows, bool wild)
      : weights_(weights), numbers_(weights.cell->numbers), T(in.below(most_steps + 1)), B(in.below(most_rows + 1)) {
    packed_ = in.flag() && in.flag();
    if (packed_ || in.flag()) draw_lengths(in);
    batch_.reverse = in.flag();
    const bool table = in.flag() && in.flag();
    traced_ = in.flag();
    const int64_t states = numbers_.states, steps = leading();
    if (in.flag()) {
      h0_ = in.numbers(states * B * weights.H, wild);
      for (int64_t s = 0; s < states; ++s) batch_.h0[s] = h0_.data() + s * B * weights.H;
    }
    if (in.flag()) {
      for (int64_t i = 0; i < steps; ++i) episode_starts_.push_back(in.random() % 4 == 0);
      batch_.episodes_from_h0 = in.flag();
    }
    if (table) {
      table_rows_ = 1 + in.below(20);
      for (int64_t i = 0; i < steps; ++i) ids_.push_back(static_cast<int64_t>(in.random() % table_rows_));
    }
    x_ = array(weights.I, in.below(3), table);
    for (float& number : x_.floats) number = in.number(wild);
    y_layout_ = in.below(3);
    if ((with_dy_ = in.flag())) dy_ = in.numbers(steps * weights.H, wild);
    if ((with_dh_n_ = in.flag())) dh_n_ = in.numbers(states * B * weights.H, wild);
    need_dx_ = in.flag(), need_dh0_ = in.flag(), keeps_gates_ = in.flag(), clears_ = in.flag();
    trace_steps_ = in.below(4);
    batch_.T = T, batch_.B = B, batch_.H = weights.H;
    batch_.lengths = lengths_.empty() ? nullptr : lengths_.data();
    batch_.step_start = packed_ ? step_start_.data() : nullptr;
    batch_.episode_starts = episode_starts_.empty() ? nullptr : episode_starts_.data();
    batch_.ids = table ? ids_.data() : nullptr;
    batch_.table_rows = table_rows_;
  }

  Call(Call&&) = default;  // a copy would point into the arrays of the first one

  // y, h_n, and of a backward pass its gradients.
  Results run(const PackedLayer& layer, int threads, bool trains) {
    const int64_t H = weights_.H, S = numbers_.states, K = numbers_.traced + S - 1, units = numbers_.gates * H;
    const bool gates = trains ? keeps_gates_ && numbers_.needs_trace : traced_;
    const bool keeps_c = S > 1 && (trains || traced_);
    Array y = array(H, y_layout_, false);
    Array saved;  // of each step the traced values and then c, as src/tidegate/ops saves them; or c alone
    if (gates || keeps_c) saved = array(gates ? K * H : H, 0, false);
    std::vector<float> h_n = blank(S * B * H);
    const int64_t* start = batch_.step_start;
    ForwardPass forward_pass{};
    forward_pass.x = inputs(x_);
    forward_pass.y = y.rows(start);
    if (keeps_c) forward_pass.c = saved.rows(start, gates ? numbers_.traced * H : 0);
    if (gates) forward_pass.trace = saved.rows(start);
    for (int64_t s = 0; s < S; ++s) forward_pass.h_n[s] = h_n.data() + s * B * H;
    forward_pass.clears_trace = clears_;
    forward(layer, batch_, forward_pass, threads);
    Results results{dense(y, H), h_n};
    if (!trains) return results;

    Array dy{dy_, B * H, H}, dx = array(weights_.I, 0, batch_.ids != nullptr);
    std::vector<float> dh0 = blank(S * B * H), dw_ih = blank(units * weights_.I), dw_hh = blank(units * H);
    std::vector<float> db_ih = blank(units), db_hh = blank(units);
    BackwardPass pass{};
    pass.x = forward_pass.x, pass.y = forward_pass.y, pass.c = forward_pass.c, pass.trace = forward_pass.trace;
    if (with_dy_) pass.dy = dy.rows(start);
    if (need_dx_) pass.dx = inputs(dx);
    for (int64_t s = 0; s < S; ++s) {
      if (with_dh_n_) pass.dh_n[s] = dh_n_.data() + s * B * H;
      if (need_dh0_) pass.dh0[s] = dh0.data() + s * B * H;
    }
    pass.dw_ih = dw_ih.data(), pass.dw_hh = dw_hh.data();
    if (weights_.biased) pass.db_ih = db_ih.data(), pass.db_hh = db_hh.data();
    pass.trace_steps = trace_steps_;
    backward(layer, batch_, pass, threads);
    results.insert(results.end(), {dw_ih, dw_hh});
    if (weights_.biased) results.insert(results.end(), {db_ih, db_hh});
    if (need_dx_) results.push_back(dx.floats);
    if (need_dh0_) results.push_back(dh0);
    return results;
  }

 private:
  int64_t leading() const { return packed_ ? packed_rows_ : T * B; }

  void draw_lengths(Source& in) {
    for (int64_t b = 0; b < B; ++b) lengths_.push_back(in.below(T + 1));
    if (!packed_) return;
    std::sort(lengths_.rbegin(), lengths_.rend());
    T = B ? lengths_[0] : 0;
    while (B && lengths_.back() == 0) lengths_.pop_back(), --B;  // a packed sequence has no empty rows
    for (int64_t t = 0; t < T; ++t) {
      step_start_.push_back(packed_rows_);
      for (const int64_t length : lengths_) packed_rows_ += length > t;
    }
  }

  // Steps before rows, rows before steps, or rows with a gap between them; a packed array has rows alone.
  Array array(int64_t columns, int64_t layout, bool table) const {
    if (table) return {blank(table_rows_ * columns), 0, columns};
    const int64_t row = layout == 2 ? columns + 3 : columns;
    if (packed_) return {blank(packed_rows_ * row), 0, row};
    if (layout == 1) return {blank(T * B * columns), columns, T * columns};
    return {blank(T * B * row), B * row, row};
  }
  Rows inputs(Array& array) { return array.rows(batch_.ids ? nullptr : batch_.step_start); }

  std::vector<float> dense(Array& array, int64_t columns) const {
    std::vector<float> all;
    const Rows rows = array.rows(batch_.step_start);
    for (int64_t t = 0; t < T; ++t)
      for (int64_t b = 0; b < B; ++b)
        if (!packed_ || lengths_[static_cast<size_t>(b)] > t)
          all.insert(all.end(), rows.at(t, b), rows.at(t, b) + columns);
    return all;
  }

  const Weighted& weights_;
  const CellNumbers& numbers_;
  int64_t T, B;
  Batch batch_{};
  bool packed_, traced_, with_dy_, with_dh_n_, need_dx_, need_dh0_, keeps_gates_, clears_;
  int64_t packed_rows_ = 0, table_rows_ = 0, y_layout_, trace_steps_;
  std::vector<int64_t> lengths_, step_start_, ids_;
  std::vector<uint8_t> episode_starts_;
  std::vector<float> h0_, dy_, dh_n_;
  Array x_;
};

}  // namespace tidegate::fuzz
