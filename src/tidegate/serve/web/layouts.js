// Where the parts of the drawings are, wide and narrow: lines are lists of corners, texts are [x, y, anchor].

const GRU_WIDE = {
  size: [960, 440],
  pools: { previous: [76, 84], candidate: [470, 340], next: [884, 84] }, word: [76, 396], signs: { "+": [812, 84] },
  lines: {
    before: [[76, 84], [700, 84]], branch: [[200, 84], [200, 210]], recalled: [[200, 210], [200, 340], [470, 340]],
    input: [[76, 396], [470, 396], [470, 340]], fresh: [[470, 340], [700, 340]], kept: [[700, 84], [812, 84]],
    taken: [[700, 340], [812, 340], [812, 84]], after: [[812, 84], [884, 84]],
  },
  sliders: { reset: [[200, 268], [200, 148]], update: [[700, 290], [700, 134]], candidate: [[580, 396], [580, 284]] },
  texts: {
    reset: [224, 190, "start"], update: [676, 196, "end"], candidate: [580, 262, "middle"],
    recalled: [330, 322, "middle"], input: [300, 430, "middle"], kept: [754, 68, "middle"], taken: [824, 232, "start"],
    keep: [722, 132, "start"], take: [722, 298, "start"], previous: [76, 30, "middle"], next: [884, 30, "middle"],
  },
};
const GRU_NARROW = {
  size: [360, 684],
  pools: { previous: [56, 52], candidate: [262, 262], next: [56, 642] }, word: [286, 36], signs: { "+": [56, 566] },
  lines: {
    before: [[56, 52], [56, 458]], branch: [[56, 118], [140, 118]], recalled: [[140, 118], [244, 118], [244, 262]],
    input: [[280, 36], [280, 262]], fresh: [[262, 262], [262, 458]], kept: [[56, 458], [56, 566]],
    taken: [[262, 458], [262, 566], [56, 566]], after: [[56, 566], [56, 642]],
  },
  sliders: { reset: [[96, 118], [192, 118]], update: [[232, 458], [92, 458]], candidate: [[186, 352], [338, 352]] },
  texts: {
    reset: [74, 154, "start"], update: [150, 394, "middle"], candidate: [246, 328, "end"],
    recalled: [226, 222, "end"], input: [264, 90, "end"], kept: [72, 526, "start"], taken: [162, 550, "middle"],
    keep: [78, 492, "start"], take: [246, 492, "end"], previous: [100, 44, "start"], next: [100, 652, "start"],
  },
};
const RNN_WIDE = {
  size: [960, 250],
  pools: { previous: [76, 72], next: [884, 134] }, word: [76, 200], signs: { "+": [480, 134], φ: [660, 134] },
  lines: {
    recalled: [[76, 72], [480, 72], [480, 134]], input: [[76, 200], [480, 200], [480, 134]],
    sum: [[480, 134], [660, 134]], after: [[660, 134], [884, 134]],
  },
  texts: {
    recalled: [280, 54, "middle"], input: [300, 232, "middle"], sum: [570, 112, "middle"],
    previous: [76, 24, "middle"], next: [884, 84, "middle"],
  },
};
const RNN_NARROW = {
  size: [360, 430],
  pools: { previous: [70, 74], next: [180, 388] }, word: [280, 60], signs: { "+": [180, 196], φ: [180, 290] },
  lines: {
    recalled: [[70, 74], [70, 196], [180, 196]], input: [[280, 60], [280, 196], [180, 196]],
    sum: [[180, 196], [180, 290]], after: [[180, 290], [180, 388]],
  },
  texts: {
    recalled: [90, 140, "start"], input: [262, 174, "end"], sum: [198, 250, "start"],
    previous: [70, 26, "middle"], next: [226, 394, "start"],
  },
};

export const layout = (gru, narrow) => (gru ? [GRU_WIDE, GRU_NARROW] : [RNN_WIDE, RNN_NARROW])[Number(narrow)];
