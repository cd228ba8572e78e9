#include "suppression.h"

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <limits>
#include <vector>

// The inner loops are compiled for several instruction sets and chosen when the library is loaded,
// so that one file runs on every machine of a cluster.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__)
#define POSERAS_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define POSERAS_CLONES
#endif

namespace poseras {
namespace {

constexpr int kLanes = 8;  // one AVX-512 register of doubles

// TensorFlow's threads flush subnormal numbers to zero; the reference does not.
class DefaultArithmetic {
 public:
  DefaultArithmetic() {
    fegetenv(&before_);
    fesetenv(FE_DFL_ENV);
  }
  ~DefaultArithmetic() { fesetenv(&before_); }

 private:
  fenv_t before_;
};

struct Scored {
  double score;
  int64_t row;
};

// Rows by falling score, of equal ones the higher first; false if a score is NaN.
bool SortBestFirst(const double* scores, int64_t rows, std::vector<Scored>* order) {
  order->resize(rows);
  for (int64_t row = 0; row < rows; ++row) {
    if (scores[row] != scores[row]) return false;
    (*order)[row] = {scores[row], row};
  }
  std::sort(order->begin(), order->end(), [](const Scored& a, const Scored& b) {
    return a.score > b.score || (a.score == b.score && a.row > b.row);
  });
  return true;
}

int64_t Refuse(int64_t width, int64_t* kept) {
  std::fill(kept, kept + width, int64_t{-1});
  return kRefused;
}

// ---- boxes --------------------------------------------------------------------------------------

// Eight kept boxes and the next such block of the same list.
struct BoxBlock {
  double x1[kLanes], y1[kLanes], x2[kLanes], y2[kLanes], area[kLanes];
  int32_t next = -1;

  BoxBlock() {  // an unused lane overlaps nothing
    std::fill(x1, x1 + kLanes, std::numeric_limits<double>::infinity());
    std::fill(y1, y1 + kLanes, std::numeric_limits<double>::infinity());
    std::fill(x2, x2 + kLanes, -std::numeric_limits<double>::infinity());
    std::fill(y2, y2 + kLanes, -std::numeric_limits<double>::infinity());
    std::fill(area, area + kLanes, 0.0);
  }
};

// Does a box of the list that begins at `block` share more than `threshold` with this box?
POSERAS_CLONES
bool AnyBoxExceeds(const BoxBlock* blocks, int32_t block, const double* box, double area,
                   double extra, double threshold) {
  const double x1 = box[0], y1 = box[1], x2 = box[2], y2 = box[3];
  for (; block >= 0; block = blocks[block].next) {
    const BoxBlock& kept = blocks[block];
    int64_t exceeding = 0;
    for (int lane = 0; lane < kLanes; ++lane) {
      const double inside = CommonSide(kept.x1[lane], kept.x2[lane], x1, x2, extra) *
                            CommonSide(kept.y1[lane], kept.y2[lane], y1, y2, extra);
      const double whole = kept.area[lane] + area - inside;
      exceeding |= static_cast<int64_t>(Share(inside, whole) > threshold);
    }
    if (exceeding) return true;
  }
  return false;
}

struct Cells {
  int32_t left, top, right, bottom;  // all inside
  int64_t count() const { return int64_t{right - left + 1} * (bottom - top + 1); }
};

// A grid of cells about as large as a mean box or larger, so that a cell has a block of boxes.
//
// Two boxes that overlap have a cell in common: the cell of a coordinate rises with it, and a box
// owns those from x1 to x2 + extra.
class Grid {
 public:
  Grid(const double* boxes, int64_t rows, double extra) : extra_(extra) {
    double low[2], high[2], mean[2] = {0, 0};
    for (int axis = 0; axis < 2; ++axis) {
      low[axis] = boxes[axis];
      high[axis] = boxes[axis + 2];
      for (int64_t row = 0; row < rows; ++row) {
        const double* box = boxes + 4 * row;
        low[axis] = std::min(low[axis], box[axis]);
        high[axis] = std::max(high[axis], box[axis + 2]);
        mean[axis] += (box[axis + 2] - box[axis] + extra) / rows;
      }
      const double extent = high[axis] + extra - low[axis];
      const double most = std::max(1.0, std::floor(std::sqrt(static_cast<double>(rows) / kLanes)));
      const double wanted = std::floor(extent / mean[axis]);
      low_[axis] = low[axis];
      cells_[axis] = 1;  // also where a number has overflowed or no box has a size
      if (IsFinite(extent) && wanted > 1) {
        cells_[axis] = static_cast<int32_t>(std::min(wanted, most));
      }
      per_px_[axis] = cells_[axis] > 1 ? cells_[axis] / extent : 0;
    }
  }

  int64_t size() const { return int64_t{cells_[0]} * cells_[1]; }
  int64_t IndexOf(int32_t column, int32_t row) const { return int64_t{row} * cells_[0] + column; }

  Cells Of(const double* box) const {
    return {CellOf(box[0], 0), CellOf(box[1], 1), CellOf(box[2] + extra_, 0),
            CellOf(box[3] + extra_, 1)};
  }

 private:
  int32_t CellOf(double value, int axis) const {
    if (cells_[axis] == 1) return 0;
    const double cell = (value - low_[axis]) * per_px_[axis];
    return static_cast<int32_t>(std::min(cell, cells_[axis] - 1.0));
  }

  double extra_;
  double low_[2], per_px_[2];
  int32_t cells_[2];
};

// Kept boxes that are looked at together.
struct BoxList {
  int32_t head = -1;  // its first block, the only one that may not be full
  int32_t size = 0;
};

// The boxes kept so far, in lists by cell. A box of many cells stands in a list of its own that
// everyone looks at. A box whose cells hold as many as there are looks at the list of all.
class KeptBoxes {
 public:
  KeptBoxes(const Grid& grid, double extra, double threshold)
      : grid_(grid), extra_(extra), threshold_(threshold), by_cell_(grid.size()) {}

  bool AnyRemoves(const double* box, double area) const {
    const Cells cells = grid_.Of(box);
    if (cells.count() > kManyCells) return Exceeds(all_, box, area);
    int64_t seen = large_.size;
    ForEachCell(cells, [&](int64_t cell) {
      seen += by_cell_[cell].size;
      return false;
    });
    if (seen >= all_.size) return Exceeds(all_, box, area);
    return ForEachCell(cells, [&](int64_t cell) { return Exceeds(by_cell_[cell], box, area); }) ||
           Exceeds(large_, box, area);
  }

  void Add(const double* box, double area) {
    const Cells cells = grid_.Of(box);
    Insert(&all_, box, area);
    if (cells.count() > kManyCells) return Insert(&large_, box, area);
    ForEachCell(cells, [&](int64_t cell) {
      Insert(&by_cell_[cell], box, area);
      return false;
    });
  }

 private:
  static constexpr int64_t kManyCells = 16;

  // Until `visit` answers true; whether it did.
  template <typename Visit>
  bool ForEachCell(const Cells& cells, const Visit& visit) const {
    for (int32_t row = cells.top; row <= cells.bottom; ++row) {
      for (int32_t column = cells.left; column <= cells.right; ++column) {
        if (visit(grid_.IndexOf(column, row))) return true;
      }
    }
    return false;
  }

  bool Exceeds(const BoxList& list, const double* box, double area) const {
    return list.size > 0 &&
           AnyBoxExceeds(blocks_.data(), list.head, box, area, extra_, threshold_);
  }

  void Insert(BoxList* list, const double* box, double area) {
    const int32_t lane = list->size++ % kLanes;
    if (lane == 0) {
      blocks_.emplace_back();
      blocks_.back().next = list->head;
      list->head = static_cast<int32_t>(blocks_.size() - 1);
    }
    BoxBlock& block = blocks_[list->head];
    block.x1[lane] = box[0];
    block.y1[lane] = box[1];
    block.x2[lane] = box[2];
    block.y2[lane] = box[3];
    block.area[lane] = area;
  }

  const Grid& grid_;
  double extra_, threshold_;
  std::vector<BoxBlock> blocks_;
  std::vector<BoxList> by_cell_;
  BoxList all_, large_;
};

// ---- poses --------------------------------------------------------------------------------------

// The poses kept so far, eight to a block: areas, then for each joint x, y and 1 or 0 (counts).
class KeptPoses {
 public:
  explicit KeptPoses(int64_t joints) : stride_(kLanes * (1 + 3 * joints)) {}

  void Add(const double* points, const unsigned char* counts, double area, int64_t joints,
           int64_t values) {
    const int64_t lane = size_ % kLanes;
    if (lane == 0) blocks_.resize(blocks_.size() + stride_, 0.0);
    double* block = blocks_.data() + blocks_.size() - stride_;
    block[lane] = area;
    for (int64_t joint = 0; joint < joints; ++joint) {
      double* place = block + kLanes * (1 + 3 * joint) + lane;
      place[0] = points[values * joint];
      place[kLanes] = points[values * joint + 1];
      place[2 * kLanes] = counts[joint];
    }
    ++size_;
  }

  const double* data() const { return blocks_.data(); }
  int64_t stride() const { return stride_; }
  int64_t size() const { return size_; }

 private:
  int64_t stride_;
  int64_t size_ = 0;
  std::vector<double> blocks_;
};

struct Candidate {
  const double* points;
  const unsigned char* counts;  // (joints)
  double area;
};

// Does a kept pose resemble this one by more than `threshold`? An unused lane of the last block
// counts no joint.
POSERAS_CLONES
bool AnyPoseExceeds(const double* blocks, int64_t kept, int64_t stride, const Candidate& candidate,
                    const double* variances, int64_t joints, int64_t values, double threshold) {
  for (int64_t first = 0; first < kept; first += kLanes, blocks += stride) {
    double area[kLanes], sum[kLanes] = {0}, counted[kLanes] = {0};
    for (int lane = 0; lane < kLanes; ++lane) area[lane] = CommonArea(blocks[lane], candidate.area);
    bool hopeless = false;
    for (int64_t joint = 0; joint < joints && !hopeless; ++joint) {
      if (!candidate.counts[joint]) continue;
      const double* x = blocks + kLanes * (1 + 3 * joint);
      const double *y = x + kLanes, *counts = y + kLanes;
      const double candidate_x = candidate.points[values * joint];
      const double candidate_y = candidate.points[values * joint + 1];
      for (int lane = 0; lane < kLanes; ++lane) {
        const double near = JointNearness(x[lane] - candidate_x, y[lane] - candidate_y,
                                          variances[joint], area[lane]);
        sum[lane] += counts[lane] != 0 ? near : 0;
        counted[lane] += counts[lane];
      }
      if (joint % 4 == 3) {
        const double remaining = static_cast<double>(joints - 1 - joint);
        int64_t open = 0;
        for (int lane = 0; lane < kLanes; ++lane) {
          open |= !CannotExceed(sum[lane], counted[lane], remaining, threshold);
        }
        hopeless = open == 0;
      }
    }
    if (hopeless) continue;
    int64_t exceeding = 0;
    for (int lane = 0; lane < kLanes; ++lane) {
      exceeding |= static_cast<int64_t>(Share(sum[lane], counted[lane]) > threshold);
    }
    if (exceeding) return true;
  }
  return false;
}

bool ArePoses(const Poses& poses) {
  const int64_t numbers = poses.rows * poses.joints * poses.values;
  for (int64_t i = 0; i < numbers; ++i) {
    if (!IsFinite(poses.keypoints[i])) return false;
  }
  for (int64_t row = 0; row < poses.rows; ++row) {
    if (!IsFinite(poses.areas[row]) || poses.areas[row] < 0) return false;
  }
  return true;
}

}  // namespace

int64_t SuppressBoxes(const double* boxes, const double* scores, int64_t rows, int64_t first_row,
                      const BoxRule& rule, int64_t width, int64_t* kept) {
  const DefaultArithmetic arithmetic;
  std::vector<Scored> order;
  if (!SortBestFirst(scores, rows, &order)) return Refuse(width, kept);
  for (int64_t row = 0; row < rows; ++row) {
    if (!IsBox(boxes + 4 * row)) return Refuse(width, kept);
  }
  int64_t found = 0;
  if (rows > 0) {
    const double extra = rule.plus_one ? 1 : 0;
    const bool one_removes_all = rule.inclusive && rule.threshold == 0;
    const int64_t most = std::min(width, one_removes_all ? int64_t{1} : rows);
    // x >= t means x > the number before t.
    const double threshold =
        rule.inclusive ? std::nextafter(rule.threshold, -1.0) : rule.threshold;
    const Grid grid(boxes, rows, extra);
    KeptBoxes keeper(grid, extra, threshold);
    for (const Scored& next : order) {
      if (found == most) break;
      const double* box = boxes + 4 * next.row;
      const double area = BoxArea(box, extra);
      if (keeper.AnyRemoves(box, area)) continue;
      keeper.Add(box, area);
      kept[found++] = first_row + next.row;
    }
  }
  std::fill(kept + found, kept + width, int64_t{-1});
  return found;
}

int64_t SuppressPoses(const Poses& poses, int64_t first_row, const PoseRule& rule, int64_t width,
                      int64_t* kept) {
  const DefaultArithmetic arithmetic;
  std::vector<Scored> order;
  if (!SortBestFirst(poses.scores, poses.rows, &order) || !ArePoses(poses)) {
    return Refuse(width, kept);
  }
  const int64_t joints = poses.joints, values = poses.values;
  std::vector<double> variances(joints);
  for (int64_t joint = 0; joint < joints; ++joint) {
    variances[joint] = JointVariance(poses.sigmas[joint]);
  }
  std::vector<unsigned char> as_first(joints), as_second(joints);
  KeptPoses keeper(joints);
  int64_t found = 0;
  for (const Scored& next : order) {
    if (found == width) break;
    const double* points = poses.keypoints + next.row * joints * values;
    for (int64_t joint = 0; joint < joints; ++joint) {
      const bool visible = points[values * joint + values - 1] > rule.visibility_threshold;
      as_first[joint] = visible || !rule.counted.first_must_be_visible;
      as_second[joint] = visible || !rule.counted.second_must_be_visible;
    }
    const Candidate candidate = {points, as_second.data(), poses.areas[next.row]};
    if (AnyPoseExceeds(keeper.data(), keeper.size(), keeper.stride(), candidate, variances.data(),
                       joints, values, rule.threshold)) {
      continue;
    }
    keeper.Add(points, as_first.data(), candidate.area, joints, values);
    kept[found++] = first_row + next.row;
  }
  std::fill(kept + found, kept + width, int64_t{-1});
  return found;
}

}  // namespace poseras

// For callers without TensorFlow tensors (compiled.py), to whom a call of an op costs more than a
// hundred boxes do: the arrays of one image, kept[rows]; the count, or kRefused.
extern "C" {

int64_t poseras_nms(const double* boxes, const double* scores, int64_t rows, double threshold,
                    int plus_one, int inclusive, int64_t* kept) {
  const poseras::BoxRule rule = {threshold, plus_one != 0, inclusive != 0};
  return poseras::SuppressBoxes(boxes, scores, rows, 0, rule, rows, kept);
}

int64_t poseras_oks_nms(const double* keypoints, const double* scores, const double* areas,
                        const double* sigmas, int64_t rows, int64_t joints, int64_t values,
                        double threshold, double visibility_threshold, int first_must_be_visible,
                        int second_must_be_visible, int64_t* kept) {
  const poseras::Poses poses = {keypoints, scores, areas, sigmas, rows, joints, values};
  const poseras::PoseRule rule = {
      threshold, visibility_threshold, {first_must_be_visible != 0, second_must_be_visible != 0}};
  return poseras::SuppressPoses(poses, 0, rule, rows, kept);
}

}  // extern "C"
