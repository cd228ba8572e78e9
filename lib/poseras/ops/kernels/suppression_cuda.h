// Greedy non-maximum suppression on a GPU, all images in one call; no TensorFlow in here, and no
// CUDA header either, so that a plain C++ compiler reads it.
//
// Nothing is allocated, no stream is made and the host waits for nothing.
#ifndef POSERAS_OPS_KERNELS_SUPPRESSION_CUDA_H_
#define POSERAS_OPS_KERNELS_SUPPRESSION_CUDA_H_

#include <cstddef>
#include <cstdint>

#include "suppression.h"

namespace poseras {

// What both forms of suppression have in common. Pointers are device memory but for row_splits.
struct CudaJob {
  const int64_t* row_splits = nullptr;  // (images + 1), host memory, read before the call returns
  int64_t images = 0;
  int64_t width = 0;          // of kept
  int64_t* kept = nullptr;    // (images, width), padded with -1
  int64_t* counts = nullptr;  // (images), kRefused where a number is unusable
  void* workspace = nullptr;  // CudaWorkspaceBytes(), aligned to 16 bytes
};

bool CudaCanRun(const CudaJob& job);
size_t CudaWorkspaceBytes(const CudaJob& job);

// boxes (rows, 4) and scores (rows) of all images. Returns a cudaError_t, 0 for success; `stream`
// is a cudaStream_t.
int SuppressBoxesOnGpu(const double* boxes, const double* scores, const BoxRule& rule,
                       const CudaJob& job, void* stream);

// The arrays of `poses` are those of all images.
int SuppressPosesOnGpu(const Poses& poses, const PoseRule& rule, const CudaJob& job, void* stream);

const char* CudaErrorText(int error);

}  // namespace poseras

#endif  // POSERAS_OPS_KERNELS_SUPPRESSION_CUDA_H_
