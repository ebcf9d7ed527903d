#include "step.hpp"

#include <algorithm>

namespace tidegate {

namespace {

// Where all layers read their states, which is never where another unit has already written: every unit reads all of h,
// up to the end of the step.
class Starts {
 public:
  Starts(const StepCall& call, int32_t S, int64_t floats) {
    int64_t copies = 0;
    for (int32_t s = 0; s < S; ++s) copies += needs_copy(call, S, s, floats);
    if (copies == 0) {
      std::copy_n(call.before, S, of);
      return;
    }
    Scratch& scratch = Scratch::of_team();
    scratch.reserve(copies * Scratch::bytes<float>(floats));
    for (int32_t s = 0; s < S; ++s) {
      of[s] = call.before[s];
      if (!needs_copy(call, S, s, floats)) continue;
      float* copy = scratch.take<float>(floats);
      if (call.before[s]) {
        std::copy_n(call.before[s], floats, copy);
      } else {
        std::fill_n(copy, floats, 0.0f);
      }
      of[s] = copy;
    }
  }

  const float* of[CellNumbers::kMostStates];

 private:
  static bool needs_copy(const StepCall& call, int32_t S, int32_t s, int64_t floats) {
    const float* const before = call.before[s];
    const auto overlaps = [&](const float* after) { return before < after + floats && after < before + floats; };
    return !before || std::any_of(call.after, call.after + S, overlaps);
  }
};

// Takes some streams through all layers, so few that their states stay in a near cache meanwhile.
class StreamSteps {
 public:
  static constexpr int64_t kMostRows = 64;

  StreamSteps(const PackedLayer* const* layers, int64_t L, const StreamsCall& call)
      : layers_(layers), L_(L), call_(call), H_(layers[0]->hidden), S_(layers[0]->numbers.states) {
    int64_t trace_floats = 0;
    for (int64_t l = 0; l < L; ++l) trace_floats = std::max(trace_floats, scratch_trace_floats(*layers[l]));
    Scratch& scratch = Scratch::local();
    scratch.reserve(StepPointers::kArrays * Scratch::bytes<float*>(kMostRows) + Scratch::bytes<float>(kMostRows * H_) +
                    Scratch::bytes<float>(kMostRows * trace_floats));
    at_ = StepPointers::take(scratch, kMostRows);
    y_ = scratch.take<float>(kMostRows * H_);
    trace_ = scratch.take<float>(kMostRows * trace_floats);
  }

  void take(Range rows) {
    for (int64_t l = 0; l < L_; ++l) {
      point(rows, l);
      StepPointers at = at_;
      if (scratch_trace_floats(*layers_[l]) == 0) at.trace = nullptr;
      at.products = nullptr;
      LayerSteps(*layers_[l], false, 0, 1).take(at, rows.end - rows.begin, false, [] {});
      // Only now: until the last of them, every unit reads all of the old state.
      for (int64_t b = rows.begin; b < rows.end; ++b) std::copy_n(at_.y[b - rows.begin], H_, state(b, l));
    }
  }

 private:
  float* state(int64_t b, int64_t l) const { return call_.states + (call_.places[b] * S_ * L_ + l) * H_; }

  void point(Range rows, int64_t l) {
    const PackedLayer& layer = *layers_[l];
    for (int64_t b = rows.begin, i = 0; b < rows.end; ++b, ++i) {
      float* const own = state(b, l);
      at_.x[i] = l ? state(b, l - 1) : call_.x + b * layer.input;
      at_.h[i] = own;
      at_.y[i] = y_ + i * H_;
      at_.c_before[i] = at_.c[i] = S_ > 1 ? own + L_ * H_ : nullptr;
      at_.trace[i] = trace_ + i * scratch_trace_floats(layer);
      at_.late[i] = at_.trace[i] + layer.numbers.late_reads * H_;
    }
  }

  const PackedLayer* const* const layers_;
  const int64_t L_;
  const StreamsCall& call_;
  const int64_t H_;
  const int32_t S_;
  StepPointers at_;
  float *y_, *trace_;
};

}  // namespace

void step_streams(const PackedLayer* const* layers, int64_t L, const StreamsCall& call, int threads) {
  constexpr int64_t kThreadRows = 32;  // that are worth another thread
  Team team(static_cast<int>(std::clamp<int64_t>(call.B / kThreadRows, 1, threads)), L * call.B * layers[0]->weights());
  for (int64_t l = 0; l < L; ++l) layers[l]->prepare_forward(team);
  team.run([&](int index) {
    const Range own = share(call.B, index, team.size());
    StreamSteps steps(layers, L, call);
    for (int64_t row = own.begin; row < own.end; row += StreamSteps::kMostRows)
      steps.take({row, std::min(row + StreamSteps::kMostRows, own.end)});
  });
}

void step(const PackedLayer* const* layers, int64_t L, const StepCall& call, int threads) {
  const int64_t H = layers[0]->hidden, B = call.B;
  const int32_t S = layers[0]->numbers.states;
  const Starts starts(call, S, L * B * H);
  Batch batch{};
  batch.T = 1;
  batch.B = B;
  batch.H = H;
  const PackedLayer& largest = **std::max_element(layers, layers + L, [](const PackedLayer* a, const PackedLayer* b) {
    return a->weight_bytes() < b->weight_bytes();
  });
  const Sharing sharing = choose_sharing(largest, batch, threads);
  Team team(sharing.threads, L * sharing.work);
  int64_t trace_floats = 0, room_floats = 0;
  for (int64_t l = 0; l < L; ++l) {
    // Weights that all threads read are packed once, and not by each.
    if (B > 1 && sharing.threads > 1 && !sharing.units) layers[l]->prepare_forward(team);
    trace_floats = std::max(trace_floats, scratch_trace_floats(*layers[l]));
    if (B > 1) room_floats = std::max(room_floats, LayerSteps::room_floats(*layers[l]));
  }
  Scratch& scratch = Scratch::local();
  scratch.reserve(L * StepPointers::kArrays * Scratch::bytes<float*>(B) + Scratch::bytes<StepPointers>(L) +
                  Scratch::bytes<float>(B * trace_floats) + sharing.threads * Scratch::bytes<float>(room_floats));
  StepPointers* at = scratch.take<StepPointers>(L);
  float* trace = scratch.take<float>(B * trace_floats);
  float* rooms = scratch.take<float>(sharing.threads * room_floats);
  for (int64_t l = 0; l < L; ++l) {
    at[l] = StepPointers::take(scratch, B);
    for (int64_t b = 0; b < B; ++b) {
      const int64_t place = (l * B + b) * H;
      at[l].x[b] = l ? call.after[0] + place - B * H : call.x + b * call.x_row;
      at[l].h[b] = starts.of[0] + place;
      at[l].y[b] = call.after[0] + place;
      at[l].c_before[b] = S > 1 ? starts.of[1] + place : nullptr;
      at[l].c[b] = S > 1 ? call.after[1] + place : nullptr;
      at[l].trace[b] = trace + b * trace_floats;
      at[l].late[b] = at[l].trace[b] + layers[l]->numbers.late_reads * H;
    }
    at[l].products = nullptr;
    if (scratch_trace_floats(*layers[l]) == 0) at[l].trace = nullptr;
  }
  team.run([&](int index) {
    const auto wait = [&] { team.barrier(index); };
    const Range own = sharing.units ? Range{0, B} : share(B, index, team.size());
    float* room = rooms + index * room_floats;
    for (int64_t l = 0; l < L; ++l) {
      if (sharing.units) {
        LayerSteps(*layers[l], false, index, team.size(), room).take(at[l], B, false, wait);
        if (l + 1 < L) wait();
      } else {
        LayerSteps(*layers[l], false, 0, 1, room).take(at[l].from(own.begin), own.end - own.begin, false, [] {});
      }
    }
  });
}

}  // namespace tidegate
