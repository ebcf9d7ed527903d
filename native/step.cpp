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

}  // namespace

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
  Team team(sharing.threads);
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
