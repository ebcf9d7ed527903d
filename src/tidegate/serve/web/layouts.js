// Where the parts of the drawings are, wide and narrow: lines are lists of corners, texts are [x, y, anchor], those that
// are "stacked" with a line for each word.

const BLEND_WIDE = {
  size: [960, 440],
  pools: { previous: [76, 84], candidate: [470, 340], next: [884, 84] }, word: [76, 396], signs: { "+": [812, 84] },
  lines: {
    before: [[76, 84], [700, 84]], branch: [[200, 84], [200, 210]], recalled: [[200, 210], [200, 340], [470, 340]],
    input: [[76, 396], [470, 396], [470, 340]], fresh: [[470, 340], [700, 340]], kept: [[700, 84], [812, 84]],
    taken: [[700, 340], [812, 340], [812, 84]], after: [[812, 84], [884, 84]],
  },
  sliders: { reads: [[200, 268], [200, 148]], keeps: [[700, 290], [700, 134]], candidate: [[580, 396], [580, 284]] },
  texts: {
    reads: [224, 190, "start"], keeps: [676, 196, "end"], candidate: [580, 262, "middle"],
    recalled: [330, 322, "middle"], input: [300, 430, "middle"], kept: [754, 68, "middle"], taken: [824, 232, "start"],
    keep: [722, 132, "start"], take: [722, 298, "start"], previous: [76, 30, "middle"], next: [884, 30, "middle"],
  },
};
const BLEND_NARROW = {
  size: [360, 684],
  pools: { previous: [56, 52], candidate: [262, 262], next: [56, 642] }, word: [286, 36], signs: { "+": [56, 566] },
  lines: {
    before: [[56, 52], [56, 458]], branch: [[56, 118], [140, 118]], recalled: [[140, 118], [244, 118], [244, 262]],
    input: [[280, 36], [280, 262]], fresh: [[262, 262], [262, 458]], kept: [[56, 458], [56, 566]],
    taken: [[262, 458], [262, 566], [56, 566]], after: [[56, 566], [56, 642]],
  },
  sliders: { reads: [[96, 118], [192, 118]], keeps: [[232, 458], [92, 458]], candidate: [[186, 352], [338, 352]] },
  texts: {
    reads: [74, 154, "start"], keeps: [150, 394, "middle"], candidate: [246, 328, "end"],
    recalled: [226, 222, "end"], input: [264, 90, "end"], kept: [72, 526, "start"], taken: [162, 550, "middle"],
    keep: [78, 492, "start"], take: [246, 492, "end"], previous: [100, 44, "start"], next: [100, 652, "start"],
  },
};
const PLAIN_WIDE = {
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
const PLAIN_NARROW = {
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

const MEMORY_WIDE = {
  size: [960, 490],
  pools: { previous: [76, 84], recall: [76, 290], candidate: [380, 370], next: [884, 84], output: [884, 410] },
  word: [76, 440], signs: { "+": [560, 84], tanh: [740, 170] },
  lines: {
    before: [[76, 84], [300, 84]], kept: [[300, 84], [560, 84]],
    recalled: [[76, 290], [380, 290], [380, 370]], input: [[76, 440], [380, 440], [380, 370]],
    fresh: [[380, 370], [560, 370], [560, 240]], taken: [[560, 240], [560, 84]],
    after: [[560, 84], [884, 84]], hidden: [[740, 84], [740, 170]], squashed: [[740, 170], [740, 290]],
    shown: [[740, 290], [740, 410], [884, 410]],
  },
  sliders: {
    keeps: [[240, 84], [360, 84]], writes: [[560, 300], [560, 180]], shows: [[740, 350], [740, 230]],
    candidate: [[470, 426], [470, 314]],
  },
  texts: {
    keeps: [300, 36, "middle"], writes: [536, 230, "end"], shows: [764, 286, "start"], candidate: [470, 296, "middle"],
    recalled: [220, 272, "middle"], input: [220, 472, "middle"], kept: [470, 66, "middle"], taken: [576, 144, "start"],
    squashed: [764, 206, "start"], previous: [76, 30, "middle"], recall: [76, 236, "middle"], next: [884, 30, "middle"],
    output: [884, 356, "middle"],
  },
};
const MEMORY_NARROW = {
  size: [360, 850],
  pools: { previous: [56, 80], recall: [190, 80], candidate: [236, 300], next: [56, 740], output: [310, 780] },
  word: [292, 80], signs: { "+": [56, 600], tanh: [126, 664] },
  lines: {
    before: [[56, 80], [56, 250]], kept: [[56, 250], [56, 600]],
    recalled: [[190, 80], [190, 204], [218, 204], [218, 300]], input: [[292, 80], [292, 204], [254, 204], [254, 300]],
    fresh: [[236, 300], [236, 490]], taken: [[236, 490], [236, 600], [56, 600]],
    after: [[56, 600], [56, 740]], hidden: [[56, 664], [126, 664]], squashed: [[126, 664], [230, 664]],
    shown: [[230, 664], [310, 664], [310, 780]],
  },
  sliders: {
    keeps: [[56, 310], [56, 190]], writes: [[236, 545], [236, 445]], shows: [[180, 664], [280, 664]],
    candidate: [[168, 392], [304, 392]],
  },
  texts: {
    keeps: [80, 232, "start"], writes: [212, 470, "end"], shows: [150, 700, "start"], candidate: [212, 372, "end"],
    recalled: [176, 146, "end", "stacked"], input: [272, 232, "start", "stacked"], kept: [72, 420, "start"], taken: [146, 584, "middle"],
    squashed: [148, 644, "start"], previous: [8, 26, "start"], recall: [148, 26, "start"], next: [8, 800, "start"],
    output: [352, 840, "end"],
  },
};

/** By the kind of a unit, see plans.js, wide and narrow. */
export const LAYOUTS = { memory: [MEMORY_WIDE, MEMORY_NARROW], blend: [BLEND_WIDE, BLEND_NARROW], plain: [PLAIN_WIDE, PLAIN_NARROW] };
