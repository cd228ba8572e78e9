// Check and time the CUDA kernels of poseras.ops where there is a GPU and no TensorFlow.
//
//   K=lib/poseras/ops/kernels
//   FLAGS="-O3 -std=c++17 -fmad=false -arch=native -Xcompiler -ffp-contract=off -I$K"
//   nvcc $FLAGS bench/nms_harness.cu $K/suppression_cuda.cu $K/suppression.cc -o nms_harness
//   ./nms_harness check && compute-sanitizer ./nms_harness check 40 && ./nms_harness time
//
// check [CASES]   random and adversarial cases against the CPU kernel and against the definition
// time            at 1,000, 10,000 and 100,000 boxes and 1,000 and 10,000 poses
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "suppression_cuda.h"

#ifndef POSERAS_LAUNCH
#include <cuda_runtime.h>
#endif

using poseras::BoxRule;
using poseras::CudaJob;
using poseras::PoseRule;
using poseras::Poses;
using Random = std::mt19937_64;

namespace {

void Require(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

template <typename T>
class OnDevice {
 public:
  explicit OnDevice(size_t count) : count_(count) {
    Require(cudaMalloc(&data_, std::max<size_t>(1, count) * sizeof(T)), "cudaMalloc");
  }
  OnDevice(const std::vector<T>& values, cudaStream_t stream) : OnDevice(values.size()) {
    Require(cudaMemcpyAsync(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice,
                            stream), "copy to the device");
  }
  OnDevice(const OnDevice&) = delete;
  ~OnDevice() { cudaFree(data_); }

  T* data() const { return data_; }
  std::vector<T> Read(cudaStream_t stream) const {
    std::vector<T> values(count_);
    Require(cudaMemcpyAsync(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost,
                            stream), "copy from the device");
    Require(cudaStreamSynchronize(stream), "run");
    return values;
  }

 private:
  T* data_ = nullptr;
  size_t count_;
};

double Uniform(Random& random, double low, double high) {
  return std::uniform_real_distribution<double>(low, high)(random);
}

int64_t Integer(Random& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

// One call: several images, boxes or poses.
struct Case {
  std::string name;
  std::vector<int64_t> splits{0};
  std::vector<double> boxes, scores;                // boxes (rows, 4)
  std::vector<double> keypoints, areas, sigmas;     // keypoints (rows, joints, values)
  int64_t joints = 0, values = 3, width = 0;
  BoxRule box_rule{};
  PoseRule pose_rule{};

  int64_t images() const { return static_cast<int64_t>(splits.size()) - 1; }
  int64_t rows() const { return splits.back(); }
  bool has_poses() const { return joints > 0; }
  Poses PosesFrom(int64_t row, int64_t count) const {
    return {keypoints.data() + row * joints * values, scores.data() + row, areas.data() + row,
            sigmas.data(), count, joints, values};
  }
};

struct Result {
  std::vector<int64_t> kept, counts;
  bool operator==(const Result& other) const {
    return kept == other.kept && counts == other.counts;
  }
};

// ---- three ways to the result -------------------------------------------------------------------

Result OnCpu(const Case& c) {
  Result result{std::vector<int64_t>(c.images() * c.width), std::vector<int64_t>(c.images())};
  for (int64_t image = 0; image < c.images(); ++image) {
    const int64_t start = c.splits[image], rows = c.splits[image + 1] - start;
    int64_t* kept = result.kept.data() + image * c.width;
    result.counts[image] =
        c.has_poses() ? poseras::SuppressPoses(c.PosesFrom(start, rows), start, c.pose_rule,
                                               c.width, kept)
                      : poseras::SuppressBoxes(c.boxes.data() + 4 * start, c.scores.data() + start,
                                               rows, start, c.box_rule, c.width, kept);
  }
  return result;
}

bool Removes(const Case& c, int64_t first, int64_t second) {
  if (!c.has_poses()) {
    const double *a = &c.boxes[4 * first], *b = &c.boxes[4 * second];
    const double extra = c.box_rule.plus_one;
    const double width = std::min(a[2], b[2]) - std::max(a[0], b[0]) + extra;
    const double height = std::min(a[3], b[3]) - std::max(a[1], b[1]) + extra;
    const double inside = std::max(width, 0.0) * std::max(height, 0.0);
    const double whole = poseras::BoxArea(a, extra) + poseras::BoxArea(b, extra) - inside;
    const double iou = whole > 0 ? inside / whole : 0;
    return c.box_rule.inclusive ? iou >= c.box_rule.threshold : iou > c.box_rule.threshold;
  }
  const double area = poseras::CommonArea(c.areas[first], c.areas[second]);
  double sum = 0, counted = 0;
  for (int64_t joint = 0; joint < c.joints; ++joint) {
    const double* a = &c.keypoints[(first * c.joints + joint) * c.values];
    const double* b = &c.keypoints[(second * c.joints + joint) * c.values];
    const double least = c.pose_rule.visibility_threshold;
    if (c.pose_rule.counted.first_must_be_visible && !(a[2] > least)) continue;
    if (c.pose_rule.counted.second_must_be_visible && !(b[2] > least)) continue;
    sum += poseras::JointNearness(a[0] - b[0], a[1] - b[1],
                                  poseras::JointVariance(c.sigmas[joint]), area);
    counted += 1;
  }
  return counted > 0 && sum / counted > c.pose_rule.threshold;
}

Result ByDefinition(const Case& c) {
  Result result{std::vector<int64_t>(c.images() * c.width, -1), std::vector<int64_t>(c.images())};
  for (int64_t image = 0; image < c.images(); ++image) {
    std::vector<int64_t> order, kept;
    bool refused = false;
    for (int64_t row = c.splits[image + 1] - 1; row >= c.splits[image]; --row) {
      order.push_back(row);
      refused = refused || std::isnan(c.scores[row]);
    }
    result.counts[image] = -1;
    if (refused) continue;
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return c.scores[a] > c.scores[b]; });
    for (const int64_t row : order) {
      const bool removed = std::any_of(kept.begin(), kept.end(),
                                       [&](int64_t better) { return Removes(c, better, row); });
      if (!removed) kept.push_back(row);
    }
    kept.resize(std::min<size_t>(kept.size(), c.width));
    result.counts[image] = static_cast<int64_t>(kept.size());
    std::copy(kept.begin(), kept.end(), result.kept.begin() + image * c.width);
  }
  return result;
}

// The arrays of a case and its workspace, on the device.
struct DeviceCase {
  const Case& c;
  cudaStream_t stream;
  OnDevice<double> boxes{c.boxes, stream}, scores{c.scores, stream};
  OnDevice<double> keypoints{c.keypoints, stream}, areas{c.areas, stream};
  OnDevice<double> sigmas{c.sigmas, stream};
  OnDevice<int64_t> kept{static_cast<size_t>(c.images() * c.width)};
  OnDevice<int64_t> counts{static_cast<size_t>(c.images())};
  OnDevice<char> workspace{poseras::CudaWorkspaceBytes(Job(nullptr))};

  CudaJob Job(void* memory) const {
    CudaJob job;
    job.row_splits = c.splits.data();
    job.images = c.images();
    job.width = c.width;
    job.kept = kept.data();
    job.counts = counts.data();
    job.workspace = memory;
    return job;
  }

  void Run() const {
    const CudaJob job = Job(workspace.data());
    Poses poses = c.PosesFrom(0, c.rows());
    poses.keypoints = keypoints.data();
    poses.scores = scores.data();
    poses.areas = areas.data();
    poses.sigmas = sigmas.data();
    const int error =
        c.has_poses()
            ? poseras::SuppressPosesOnGpu(poses, c.pose_rule, job, stream)
            : poseras::SuppressBoxesOnGpu(boxes.data(), scores.data(), c.box_rule, job, stream);
    Require(static_cast<cudaError_t>(error), "launch");
  }
};

Result OnGpu(const Case& c, cudaStream_t stream) {
  const DeviceCase device{c, stream};
  device.Run();
  return {device.kept.Read(stream), device.counts.Read(stream)};
}

// ---- cases --------------------------------------------------------------------------------------

enum class Scores { kDistinct, kTied, kSomeNaN };

void AddImage(Case& c, int64_t rows, double side, Scores scores, bool whole_px, Random& random) {
  c.splits.push_back(c.splits.back() + rows);
  c.width = std::max(c.width, rows);
  for (int64_t row = 0; row < rows; ++row) {
    const double tied = Integer(random, 0, 6) / 4.0;
    c.scores.push_back(scores == Scores::kDistinct ? Uniform(random, 0, 1) : tied);
    if (scores == Scores::kSomeNaN && Integer(random, 0, 20) == 0) {
      c.scores.back() = std::numeric_limits<double>::quiet_NaN();
    }
    const double x = Uniform(random, 0, side), y = Uniform(random, 0, side);
    if (!c.has_poses()) {
      for (const double edge : {x, y, x + Uniform(random, 0, 40), y + Uniform(random, 0, 40)}) {
        c.boxes.push_back(whole_px ? std::floor(edge) : edge);
      }
      continue;
    }
    c.areas.push_back(Uniform(random, 200, 4000));
    for (int64_t joint = 0; joint < c.joints; ++joint) {
      c.keypoints.push_back(x + Uniform(random, 0, 30));
      c.keypoints.push_back(y + Uniform(random, 0, 30));
      c.keypoints.push_back(Uniform(random, 0, 1));
    }
  }
}

Case MakeCase(int64_t number, Random& random) {
  Case c;
  const double thresholds[] = {0, 0.1, 0.3, 0.5, 0.7, 0.9, 1};
  const double threshold = thresholds[Integer(random, 0, 6)];
  const bool has_poses = number % 3 == 2;
  if (has_poses) {
    c.joints = Integer(random, 1, 20);
    for (int64_t joint = 0; joint < c.joints; ++joint) c.sigmas.push_back(Uniform(random, .03, .2));
    const int64_t counted = Integer(random, 0, 2);
    c.pose_rule = {threshold, 0.4, {counted == 2, counted >= 1}};
  } else {
    c.box_rule = {threshold, Integer(random, 0, 1) == 1, Integer(random, 0, 1) == 1};
  }
  const double sides[] = {0, 20, 200, 20000};  // all overlapping ... none overlapping
  const int64_t images = Integer(random, 0, 4);
  for (int64_t image = 0; image < images; ++image) {
    const int64_t sizes[] = {0, 1, 2, 63, 64, 65, 130, 257, Integer(random, 1, 700)};
    const int64_t kinds = Integer(random, 0, 9);
    const Scores scores =
        kinds == 0 ? Scores::kSomeNaN : kinds < 5 ? Scores::kTied : Scores::kDistinct;
    AddImage(c, sizes[Integer(random, 0, 8)], sides[Integer(random, 0, 3)], scores,
             Integer(random, 0, 1) == 1, random);
  }
  if (Integer(random, 0, 3) == 0) c.width = Integer(random, 0, 20);
  c.name = "case " + std::to_string(number);
  return c;
}

// More rows than one chunk of tiles, so that bits travel from chunk to chunk.
Case MakeLongCase(int64_t rows, double side, Random& random) {
  Case c;
  c.name = std::to_string(rows) + " boxes on " + std::to_string(static_cast<int>(side)) + " px";
  c.box_rule = {0.4, true, false};
  AddImage(c, 100, side, Scores::kTied, true, random);
  AddImage(c, rows, side, Scores::kTied, true, random);
  return c;
}

int Check(int64_t cases, cudaStream_t stream) {
  Random random(20240717);
  int64_t wrong = 0;
  for (int64_t number = 0; number < cases + 2; ++number) {
    const Case c = number < cases ? MakeCase(number, random)
                                  : MakeLongCase(4500, number == cases ? 400 : 4000, random);
    const Result gpu = OnGpu(c, stream), cpu = OnCpu(c), definition = ByDefinition(c);
    if (!(gpu == definition) || !(cpu == definition)) {
      std::printf("%s: %lld images, %lld rows: GPU %s, CPU %s\n", c.name.c_str(),
                  static_cast<long long>(c.images()), static_cast<long long>(c.rows()),
                  gpu == definition ? "right" : "WRONG", cpu == definition ? "right" : "WRONG");
      ++wrong;
    }
  }
  std::printf("%lld of %lld cases wrong\n", static_cast<long long>(wrong),
              static_cast<long long>(cases + 2));
  return wrong != 0;
}

// ---- time ---------------------------------------------------------------------------------------

void Time(Case c, cudaStream_t stream) {
  const DeviceCase device{c, stream};
  cudaEvent_t start, end;
  Require(cudaEventCreate(&start), "event");
  Require(cudaEventCreate(&end), "event");
  float best = std::numeric_limits<float>::max();
  for (int repeat = 0; repeat < 7; ++repeat) {
    Require(cudaEventRecord(start, stream), "event");
    device.Run();
    Require(cudaEventRecord(end, stream), "event");
    Require(cudaEventSynchronize(end), "run");
    float milliseconds = 0;
    Require(cudaEventElapsedTime(&milliseconds, start, end), "event");
    best = std::min(best, milliseconds);
  }
  const int64_t kept = device.counts.Read(stream)[0];
  std::printf("| %s | %lld | %.3f |\n", c.name.c_str(), static_cast<long long>(kept), best);
  cudaEventDestroy(start);
  cudaEventDestroy(end);
}

int TimeAll(cudaStream_t stream) {
  Random random(7);
  std::printf("| case | kept | ms |\n|---|---|---|\n");
  for (const int64_t rows : {1000, 10000, 100000}) {
    for (const bool dense : {false, true}) {
      Case c;
      c.name = std::to_string(rows) + (dense ? " boxes, dense" : " boxes, sparse");
      c.box_rule = {0.5, true, false};
      AddImage(c, rows, dense ? 60 : 200000, Scores::kDistinct, false, random);
      Time(c, stream);
    }
  }
  for (const int64_t rows : {1000, 10000}) {
    Case c;
    c.name = std::to_string(rows) + " poses";
    c.joints = 17;
    c.sigmas.assign(17, 0.07);
    c.pose_rule = {0.5, 0, {false, false}};
    AddImage(c, rows, 600, Scores::kDistinct, false, random);
    Time(c, stream);
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string what = count > 1 ? arguments[1] : "";
  if (what != "check" && what != "time") {
    std::fprintf(stderr, "usage: %s check [CASES] | time\n", arguments[0]);
    return 2;
  }
  cudaDeviceProp properties;
  Require(cudaGetDeviceProperties(&properties, 0), "no GPU");
  std::printf("%s\n", properties.name);
  cudaStream_t stream;
  Require(cudaStreamCreate(&stream), "stream");
  const int result = what == "check" ? Check(count > 2 ? std::atoll(arguments[2]) : 300, stream)
                                     : TimeAll(stream);
  cudaStreamDestroy(stream);
  return result;
}
