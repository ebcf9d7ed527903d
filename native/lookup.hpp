// Inputs that are rows of a table, found by their numbers, as the words of a text are: what is the same for all steps
// that read one row is computed once.
#pragma once
#include <cstdint>
#include <vector>

#include "sequence.hpp"

namespace tidegate {

// The rows of the table that a batch reads, in the table's order. It is false where inputs come step by step.
class Lookup {
 public:
  explicit Lookup(const Batch& batch);

  explicit operator bool() const { return batch_.ids != nullptr; }
  int64_t rows() const { return static_cast<int64_t>(read_.size()); }
  int64_t table_row(int64_t place) const { return read_[place]; }
  // Where the row that a step reads is among those; not to be asked beyond a row's end.
  int64_t place(int64_t t, int64_t b) const { return places_[batch_.row_index(t, b)]; }

 private:
  const Batch& batch_;
  std::vector<int64_t> read_;
  std::vector<int32_t> places_;  // [T, B] or packed [N]
};

}  // namespace tidegate
