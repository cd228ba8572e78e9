// Bitmask suppression in tiles of 64 x 64, the scan on the device too.
//
// The rows of an image, best first, are worked through in chunks, three launches each:
//   MarkPairs    a bit for each pair (row of the chunk, later row): does the first remove the other
//   KeepInOrder  one block an image walks through the chunk and keeps what no kept row removes
//   RemoveLater  the bits of the kept rows are joined into those of the rows behind the chunk
// Chunks bound the memory (a bit for all pairs of 100,000 rows would be 1.25 GB) and rows that are
// removed early cost nothing later. The number of launches follows from the row splits, which the
// host knows, so it never waits for the device.
#include "suppression_cuda.h"

#ifndef POSERAS_LAUNCH  // a harness may run the kernels without a GPU by giving its own
#include <cuda_runtime.h>
#define POSERAS_LAUNCH(kernel, grid, threads, stream, ...) \
  kernel<<<grid, threads, 0, static_cast<cudaStream_t>(stream)>>>(__VA_ARGS__)
#endif

#include <algorithm>
#include <cmath>

namespace poseras {
namespace {

constexpr int kTile = 64;       // rows to a word of bits
constexpr int kThreads = 256;   // of a block, but for MarkPairs
constexpr int kMostTiles = 64;  // of a chunk: 4,096 rows
constexpr int64_t kMarkBytes = int64_t{256} << 20;  // what the bits of a chunk may take
constexpr int kSplitsAtOnce = 256;                  // row splits that travel with one launch

// Where everything lies on the device.
struct Work {
  int64_t* row_splits;  // (images + 1)
  int32_t* order;       // (rows) rows of the input, image by image, best first
  int32_t* refused;     // (images) 1 where a number is unusable
  uint64_t* removed;    // (images, words) bit of each place of the order
  uint64_t* chunk_kept; // (images, tiles) bit of each row of the chunk
  uint64_t* marks;      // (images, tiles * kTile, words)
  int64_t images;
  int64_t rows;
  int64_t words;  // of the fullest image
  int64_t tiles;  // of a chunk
  int64_t width;
  int64_t* kept;
  int64_t* counts;
  size_t bytes;
};

int64_t CeilDivide(int64_t value, int64_t divisor) { return (value + divisor - 1) / divisor; }

template <typename T>
T* TakePart(void* workspace, size_t* bytes, int64_t count) {
  T* part = reinterpret_cast<T*>(static_cast<char*>(workspace) + *bytes);
  *bytes += CeilDivide(count * static_cast<int64_t>(sizeof(T)), 16) * 16;
  return part;
}

Work Plan(const CudaJob& job) {
  int64_t fullest = 0;
  for (int64_t image = 0; image < job.images; ++image) {
    fullest = std::max(fullest, job.row_splits[image + 1] - job.row_splits[image]);
  }
  Work work = {};
  work.images = job.images;
  work.rows = job.row_splits[job.images];
  work.words = CeilDivide(fullest, kTile);
  const int64_t tile_bytes = std::max<int64_t>(1, job.images * kTile * work.words * 8);
  work.tiles = std::min<int64_t>({kMostTiles, std::max<int64_t>(1, work.words),
                                  std::max<int64_t>(1, kMarkBytes / tile_bytes)});
  work.width = job.width;
  work.kept = job.kept;
  work.counts = job.counts;
  work.marks = TakePart<uint64_t>(job.workspace, &work.bytes,
                                  work.images * work.tiles * kTile * work.words);
  work.removed = TakePart<uint64_t>(job.workspace, &work.bytes, work.images * work.words);
  work.chunk_kept = TakePart<uint64_t>(job.workspace, &work.bytes, work.images * work.tiles);
  work.row_splits = TakePart<int64_t>(job.workspace, &work.bytes, work.images + 1);
  work.order = TakePart<int32_t>(job.workspace, &work.bytes, work.rows);
  work.refused = TakePart<int32_t>(job.workspace, &work.bytes, work.images);
  return work;
}

// ---- the rules ----------------------------------------------------------------------------------

// One box removes another when their IoU exceeds (inclusive: reaches) the threshold.
struct BoxPairs {
  const double* boxes;
  double extra;
  double threshold;
  bool one_removes_all;

  // The outer edges in single precision, rounded outward: most pairs are told apart by them alone,
  // which spares the double arithmetic that many GPUs are slow at.
  struct Item {
    double box[4];
    float low[2], high[2];
  };

  __device__ bool IsUsable(int64_t row) const { return IsBox(boxes + 4 * row); }

  __device__ Item Load(int64_t row) const {
    Item item;
    for (int i = 0; i < 4; ++i) item.box[i] = boxes[4 * row + i];
    for (int axis = 0; axis < 2; ++axis) {
      const double low = item.box[axis];
      // The sum may have been rounded downward: one step up covers it.
      const double high = nextafter(item.box[axis + 2] + extra, HUGE_VAL);
      item.low[axis] = static_cast<float>(low);
      if (item.low[axis] > low) item.low[axis] = nextafterf(item.low[axis], -HUGE_VALF);
      item.high[axis] = static_cast<float>(high);
      if (item.high[axis] < high) item.high[axis] = nextafterf(item.high[axis], HUGE_VALF);
    }
    return item;
  }

  __device__ bool Removes(const Item& first, const Item& second) const {
    if (one_removes_all) return true;
    for (int axis = 0; axis < 2; ++axis) {
      const float a = first.high[axis], b = second.high[axis], high = a < b ? a : b;
      const float c = first.low[axis], d = second.low[axis], low = c > d ? c : d;
      if (high <= low) return false;  // apart: their IoU is 0
    }
    const double *a = first.box, *b = second.box;
    const double inside = CommonSide(a[0], a[2], b[0], b[2], extra) *
                          CommonSide(a[1], a[3], b[1], b[3], extra);
    return Share(inside, BoxArea(a, extra) + BoxArea(b, extra) - inside) > threshold;
  }
};

// One pose removes another when their OKS exceeds the threshold.
struct PosePairs {
  Poses poses;
  PoseRule rule;

  using Item = int64_t;  // a row

  __device__ bool IsUsable(int64_t row) const {
    const double area = poses.areas[row];
    bool usable = IsFinite(area) && area >= 0;
    const int64_t numbers = poses.joints * poses.values;
    for (int64_t i = 0; i < numbers; ++i) {
      usable = usable && IsFinite(poses.keypoints[row * numbers + i]);
    }
    return usable;
  }

  __device__ Item Load(int64_t row) const { return row; }

  __device__ bool IsVisible(const double* joint) const {
    return joint[poses.values - 1] > rule.visibility_threshold;
  }

  __device__ bool Removes(Item first, Item second) const {
    const double* a = poses.keypoints + first * poses.joints * poses.values;
    const double* b = poses.keypoints + second * poses.joints * poses.values;
    const double area = CommonArea(poses.areas[first], poses.areas[second]);
    double sum = 0, counted = 0;
    for (int64_t joint = 0; joint < poses.joints; ++joint, a += poses.values, b += poses.values) {
      if (rule.counted.first_must_be_visible && !IsVisible(a)) continue;
      if (rule.counted.second_must_be_visible && !IsVisible(b)) continue;
      sum += JointNearness(a[0] - b[0], a[1] - b[1], JointVariance(poses.sigmas[joint]), area);
      counted += 1;
      if (CannotExceed(sum, counted, static_cast<double>(poses.joints - 1 - joint),
                       rule.threshold)) {
        return false;
      }
    }
    return Share(sum, counted) > rule.threshold;
  }
};

// ---- the kernels --------------------------------------------------------------------------------

struct SomeSplits {
  int64_t values[kSplitsAtOnce];
};

// The row splits come by value: a copy from host memory could outlive that memory.
__global__ void StoreSplits(SomeSplits some, int64_t first, int64_t count, int64_t* row_splits) {
  if (threadIdx.x < count) row_splits[first + threadIdx.x] = some.values[threadIdx.x];
}

__global__ void Clear(Work work) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (int64_t i = first; i < work.images * work.width; i += step) work.kept[i] = -1;
  for (int64_t i = first; i < work.images * work.words; i += step) work.removed[i] = 0;
  for (int64_t i = first; i < work.rows; i += step) work.order[i] = 0;
  for (int64_t i = first; i < work.images; i += step) {
    work.refused[i] = 0;
    work.counts[i] = 0;
  }
}

// order: a row's place is the number of rows of its image that come before it.
template <typename Pairs>
__global__ void SortByScore(Work work, Pairs pairs, const double* scores) {
  __shared__ double others[kThreads];
  for (int64_t image = blockIdx.y; image < work.images; image += gridDim.y) {
    const int64_t start = work.row_splits[image], end = work.row_splits[image + 1];
    const int64_t block_start = start + static_cast<int64_t>(blockIdx.x) * kThreads;
    if (block_start >= end) continue;
    const int64_t row = block_start + threadIdx.x;
    const double score = row < end ? scores[row] : 0;
    const bool usable = row >= end || (score == score && pairs.IsUsable(row));
    if (!usable) work.refused[image] = 1;
    int32_t before = 0;
    for (int64_t tile = start; tile < end; tile += kThreads) {
      __syncthreads();
      if (tile + threadIdx.x < end) others[threadIdx.x] = scores[tile + threadIdx.x];
      __syncthreads();
      const int64_t size = end - tile < kThreads ? end - tile : kThreads;
      for (int64_t i = 0; i < size; ++i) {
        before += others[i] > score || (others[i] == score && tile + i > row);
      }
    }
    if (row < end) work.order[start + before] = static_cast<int32_t>(row);
  }
}

// Nothing is left to do for this image.
__device__ bool IsDone(const Work& work, int64_t image, int64_t rows, int64_t chunk_start) {
  return work.refused[image] != 0 || chunk_start >= rows || work.counts[image] >= work.width;
}

// blockIdx: word of later rows, tile of the chunk, image; a thread for each row of the tile.
template <typename Pairs>
__global__ void MarkPairs(Work work, Pairs pairs, int64_t chunk_start) {
  __shared__ typename Pairs::Item later[kTile];
  for (int64_t image = blockIdx.z; image < work.images; image += gridDim.z) {
    const int64_t start = work.row_splits[image], rows = work.row_splits[image + 1] - start;
    const int64_t tile_start = chunk_start + static_cast<int64_t>(blockIdx.y) * kTile;
    const int64_t word = chunk_start / kTile + blockIdx.x, word_start = word * kTile;
    if (IsDone(work, image, rows, chunk_start) || tile_start >= rows || word_start >= rows ||
        word_start < tile_start) {
      continue;
    }
    __syncthreads();
    if (word_start + threadIdx.x < rows) {
      later[threadIdx.x] = pairs.Load(work.order[start + word_start + threadIdx.x]);
    }
    __syncthreads();
    const int64_t place = tile_start + threadIdx.x;
    const uint64_t removed = work.removed[image * work.words + tile_start / kTile];
    if (place >= rows || (removed >> threadIdx.x & 1)) continue;
    const typename Pairs::Item own = pairs.Load(work.order[start + place]);
    const int64_t size = rows - word_start < kTile ? rows - word_start : kTile;
    uint64_t marks = 0;
    for (int64_t i = 0; i < size; ++i) {
      if (word_start + i > place && pairs.Removes(own, later[i])) marks |= uint64_t{1} << i;
    }
    const int64_t chunk_row = static_cast<int64_t>(blockIdx.y) * kTile + threadIdx.x;
    work.marks[(image * work.tiles * kTile + chunk_row) * work.words + word] = marks;
  }
}

__device__ int CountBits(uint64_t bits) {
#ifdef __CUDA_ARCH__
  return __popcll(bits);
#else
  return __builtin_popcountll(bits);
#endif
}

// One block an image. Rows of a tile are decided one by one by the first thread, everything else
// by all.
__global__ void KeepInOrder(Work work, int64_t chunk_start) {
  __shared__ uint64_t removed[kMostTiles];
  __shared__ uint64_t diagonal[kTile];
  __shared__ uint64_t alive;
  __shared__ int64_t found;
  for (int64_t image = blockIdx.x; image < work.images; image += gridDim.x) {
    const int64_t start = work.row_splits[image], rows = work.row_splits[image + 1] - start;
    if (IsDone(work, image, rows, chunk_start)) continue;
    const int64_t first_word = chunk_start / kTile;
    const int64_t words = (rows - chunk_start + kTile - 1) / kTile;
    const unsigned tiles = static_cast<unsigned>(words < work.tiles ? words : work.tiles);
    const uint64_t* marks = work.marks + image * work.tiles * kTile * work.words + first_word;
    __syncthreads();
    if (threadIdx.x < tiles) {
      removed[threadIdx.x] = work.removed[image * work.words + first_word + threadIdx.x];
    }
    if (threadIdx.x == 0) found = work.counts[image];
    for (unsigned tile = 0; tile < tiles; ++tile) {
      __syncthreads();
      const int64_t place = chunk_start + tile * kTile + threadIdx.x;
      const bool has_row = threadIdx.x < kTile && place < rows;
      const bool is_open = has_row && !(removed[tile] >> threadIdx.x & 1);
      if (threadIdx.x < kTile) {
        diagonal[threadIdx.x] =
            is_open ? marks[(tile * kTile + threadIdx.x) * work.words + tile] : 0;
      }
      __syncthreads();
      if (threadIdx.x == 0) {
        const int64_t left = rows - chunk_start - tile * kTile;
        uint64_t gone = removed[tile];
        if (left < kTile) gone |= ~uint64_t{0} << left;
        for (int i = 0; i < kTile; ++i) {
          if (!(gone >> i & 1)) gone |= diagonal[i];
        }
        alive = ~gone;
      }
      __syncthreads();
      if (threadIdx.x < kTile && (alive >> threadIdx.x & 1)) {
        const uint64_t better = alive & ((uint64_t{1} << threadIdx.x) - 1);
        const int64_t target = found + CountBits(better);
        if (target < work.width) {
          work.kept[image * work.width + target] = work.order[start + place];
        }
      }
      if (threadIdx.x > tile && threadIdx.x < tiles) {  // a thread for each later word
        uint64_t joined = 0;
        for (int i = 0; i < kTile; ++i) {
          if (alive >> i & 1) joined |= marks[(tile * kTile + i) * work.words + threadIdx.x];
        }
        removed[threadIdx.x] |= joined;
      }
      __syncthreads();
      if (threadIdx.x == 0) {
        work.chunk_kept[image * work.tiles + tile] = alive;
        found += CountBits(alive);
      }
    }
    __syncthreads();
    if (threadIdx.x == 0) work.counts[image] = found < work.width ? found : work.width;
  }
}

// A thread for each word behind the chunk; blockIdx.y: image.
__global__ void RemoveLater(Work work, int64_t chunk_start) {
  for (int64_t image = blockIdx.y; image < work.images; image += gridDim.y) {
    const int64_t start = work.row_splits[image], rows = work.row_splits[image + 1] - start;
    const int64_t word = chunk_start / kTile + work.tiles +
                         static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (IsDone(work, image, rows, chunk_start) || word * kTile >= rows) continue;
    const uint64_t* marks = work.marks + image * work.tiles * kTile * work.words + word;
    uint64_t joined = 0;
    for (int64_t tile = 0; tile < work.tiles; ++tile) {
      const uint64_t alive = work.chunk_kept[image * work.tiles + tile];
      for (int i = 0; i < kTile; ++i) {
        if (alive >> i & 1) joined |= marks[(tile * kTile + i) * work.words];
      }
    }
    work.removed[image * work.words + word] |= joined;
  }
}

__global__ void Finish(Work work) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (int64_t image = first; image < work.images; image += step) {
    if (work.refused[image]) work.counts[image] = kRefused;
  }
}

// ---- the launches -------------------------------------------------------------------------------

unsigned BlocksFor(int64_t items, int64_t each) {
  return static_cast<unsigned>(
      std::min<int64_t>(65535, std::max<int64_t>(1, CeilDivide(items, each))));
}

template <typename Pairs>
int Launch(const Pairs& pairs, const double* scores, const CudaJob& job, void* stream) {
  if (job.images == 0) return 0;
  const Work work = Plan(job);
  for (int64_t first = 0; first <= job.images; first += kSplitsAtOnce) {
    SomeSplits some;
    const int64_t count = std::min<int64_t>(kSplitsAtOnce, job.images + 1 - first);
    std::copy(job.row_splits + first, job.row_splits + first + count, some.values);
    POSERAS_LAUNCH(StoreSplits, 1, kSplitsAtOnce, stream, some, first, count, work.row_splits);
  }
  const int64_t cells = std::max(
      {work.images * work.width, work.images * work.words, work.rows, work.images});
  POSERAS_LAUNCH(Clear, BlocksFor(cells, kThreads), kThreads, stream, work);
  const unsigned images = BlocksFor(work.images, 1);
  if (work.words > 0) {
    const unsigned blocks = static_cast<unsigned>(CeilDivide(work.words * kTile, kThreads));
    POSERAS_LAUNCH(SortByScore<Pairs>, dim3(blocks, images), kThreads, stream, work, pairs, scores);
  }
  for (int64_t word = 0; word < work.words; word += work.tiles) {
    const int64_t chunk_start = word * kTile, behind = work.words - word - work.tiles;
    const dim3 pair_blocks(static_cast<unsigned>(work.words - word),
                           static_cast<unsigned>(std::min(work.tiles, work.words - word)), images);
    POSERAS_LAUNCH(MarkPairs<Pairs>, pair_blocks, kTile, stream, work, pairs, chunk_start);
    POSERAS_LAUNCH(KeepInOrder, images, kThreads, stream, work, chunk_start);
    if (behind > 0) {
      const dim3 later_blocks(static_cast<unsigned>(CeilDivide(behind, kThreads)), images);
      POSERAS_LAUNCH(RemoveLater, later_blocks, kThreads, stream, work, chunk_start);
    }
  }
  POSERAS_LAUNCH(Finish, BlocksFor(work.images, kThreads), kThreads, stream, work);
  return static_cast<int>(cudaGetLastError());
}

}  // namespace

bool CudaCanRun(const CudaJob& job) {
  return job.row_splits[job.images] < int64_t{1} << 30;  // rows are 32-bit, tiles one grid
}

size_t CudaWorkspaceBytes(const CudaJob& job) { return Plan(job).bytes; }

int SuppressBoxesOnGpu(const double* boxes, const double* scores, const BoxRule& rule,
                       const CudaJob& job, void* stream) {
  const bool one_removes_all = rule.inclusive && rule.threshold == 0;
  // x >= t means x > the number before t.
  const double threshold = rule.inclusive ? std::nextafter(rule.threshold, -1.0) : rule.threshold;
  const BoxPairs pairs = {boxes, rule.plus_one ? 1.0 : 0.0, threshold, one_removes_all};
  return Launch(pairs, scores, job, stream);
}

int SuppressPosesOnGpu(const Poses& poses, const PoseRule& rule, const CudaJob& job, void* stream) {
  return Launch(PosePairs{poses, rule}, poses.scores, job, stream);
}

const char* CudaErrorText(int error) {
  return cudaGetErrorString(static_cast<cudaError_t>(error));
}

}  // namespace poseras
