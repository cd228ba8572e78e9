// Greedy non-maximum suppression on the CPU, one image a call; no TensorFlow in here.
#ifndef POSERAS_OPS_KERNELS_SUPPRESSION_H_
#define POSERAS_OPS_KERNELS_SUPPRESSION_H_

#include <cstdint>

#include "overlap.h"

namespace poseras {

// What kept[] and the returned count hold when a score is NaN or another number is unusable.
constexpr int64_t kRefused = -1;

struct BoxRule {
  double threshold;
  bool plus_one;   // widths are x2 - x1 + 1
  bool inclusive;  // remove at IoU == threshold too
};

struct PoseRule {
  double threshold;
  double visibility_threshold;
  CountedJoints counted;
};

// Keep the best of the boxes that overlap.
//
// boxes (rows, 4) x1, y1, x2, y2 and scores (rows) are those of one image, first_row the number of
// the first of them in the whole input. Writes the rows of the kept boxes, best first, into
// kept[0..] and -1 into the rest of its `width` places; equal scores: the higher row first.
// Returns how many were kept, or kRefused.
int64_t SuppressBoxes(const double* boxes, const double* scores, int64_t rows, int64_t first_row,
                      const BoxRule& rule, int64_t width, int64_t* kept);

// Keep the best of the poses that resemble each other, as SuppressBoxes.
//
// keypoints (rows, joints, values) x, y and, with values == 3, a visibility; areas (rows) px^2;
// sigmas (joints).
struct Poses {
  const double* keypoints;
  const double* scores;
  const double* areas;
  const double* sigmas;
  int64_t rows;
  int64_t joints;
  int64_t values;
};
int64_t SuppressPoses(const Poses& poses, int64_t first_row, const PoseRule& rule, int64_t width,
                      int64_t* kept);

}  // namespace poseras

#endif  // POSERAS_OPS_KERNELS_SUPPRESSION_H_
