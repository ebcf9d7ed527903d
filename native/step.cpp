#include "step.hpp"

#include <algorithm>

namespace tidegate {

void step(const PackedLayer* const* layers, int64_t L, int64_t B, const float* x, const float* before, float* after,
          int threads) {
  const int64_t H = layers[0]->hidden, rows = L * B, S = layers[0]->numbers.states, states = S * rows * H;
  if (before < after + states && after < before + states) {  // every unit reads all of h, up to the end of the step
    Scratch& scratch = Scratch::of_team();
    scratch.reserve(Scratch::bytes<float>(states));
    float* copy = scratch.take<float>(states);
    std::copy_n(before, states, copy);
    before = copy;
  }
  Batch batch{};
  batch.T = 1;
  batch.B = B;
  batch.H = H;
  const PackedLayer& largest = **std::max_element(layers, layers + L, [](const PackedLayer* a, const PackedLayer* b) {
    return a->weight_bytes() < b->weight_bytes();
  });
  const Sharing sharing = choose_sharing(largest, batch, threads);
  int64_t trace_floats = 0;
  for (int64_t l = 0; l < L; ++l) trace_floats = std::max(trace_floats, scratch_trace_floats(*layers[l]));
  Scratch& scratch = Scratch::local();
  scratch.reserve(L * StepPointers::kArrays * Scratch::bytes<float*>(B) + Scratch::bytes<StepPointers>(L) +
                  Scratch::bytes<float>(B * trace_floats));
  StepPointers* at = scratch.take<StepPointers>(L);
  float* trace = scratch.take<float>(B * trace_floats);
  for (int64_t l = 0; l < L; ++l) {
    at[l] = StepPointers::take(scratch, B);
    for (int64_t b = 0; b < B; ++b) {
      const int64_t place = (l * B + b) * H;
      at[l].x[b] = l ? after + place - B * H : x + b * layers[0]->input;
      at[l].h[b] = before + place;
      at[l].y[b] = after + place;
      at[l].c_before[b] = before + rows * H + place;
      at[l].c[b] = after + rows * H + place;
      at[l].trace[b] = trace + b * trace_floats;
      at[l].late[b] = at[l].trace[b] + layers[l]->numbers.late_reads * H;
    }
    at[l].products = nullptr;
    if (scratch_trace_floats(*layers[l]) == 0) at[l].trace = nullptr;
  }
  Team team(sharing.threads);
  team.run([&](int index) {
    const auto wait = [&] { team.barrier(index); };
    const Range own = sharing.units ? Range{0, B} : share(B, index, team.size());
    for (int64_t l = 0; l < L; ++l) {
      if (sharing.units) {
        LayerSteps(*layers[l], false, index, team.size()).take(at[l], B, false, wait);
        if (l + 1 < L) wait();
      } else {
        LayerSteps(*layers[l], false, 0, 1).take(at[l].from(own.begin), own.end - own.begin, false, [] {});
      }
    }
  });
}

}  // namespace tidegate
