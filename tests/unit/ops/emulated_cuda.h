// Just enough of CUDA to run the kernels of suppression_cuda.cu on a CPU, one block after another.
//
//   g++ -std=c++17 -x c++ -include emulated_cuda.h kernel.cu
//
// Each thread of a block is a fibre that runs until its next __syncthreads. The fibres are resumed
// in turn forward and backward, so that a missing barrier shows in the result, and a block whose
// threads do not all reach the same barriers ends the program.
#pragma once

#include <ucontext.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

inline dim3 gridDim, blockDim, blockIdx, threadIdx;

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define POSERAS_LAUNCH(kernel, grid, threads, stream, ...) \
  emulation::Run(grid, threads, [=] { kernel(__VA_ARGS__); })

namespace emulation {

constexpr size_t kStack = 64 * 1024;

struct Fibre {
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[kStack]};
  bool finished = false;
};

inline ucontext_t scheduler;
inline std::vector<Fibre> fibres;
inline size_t current;
inline std::function<void()> body;

inline void Enter() {
  body();
  fibres[current].finished = true;
  swapcontext(&fibres[current].context, &scheduler);
}

inline void Resume(size_t thread) {
  current = thread;
  threadIdx = dim3(static_cast<unsigned>(thread), 0, 0);
  swapcontext(&scheduler, &fibres[thread].context);
}

inline void RunBlock(size_t threads) {
  while (fibres.size() < threads) fibres.emplace_back();
  for (size_t thread = 0; thread < threads; ++thread) {
    Fibre& fibre = fibres[thread];
    fibre.finished = false;
    getcontext(&fibre.context);
    fibre.context.uc_stack.ss_sp = fibre.stack.get();
    fibre.context.uc_stack.ss_size = kStack;
    makecontext(&fibre.context, Enter, 0);
  }
  bool forward = true;
  for (size_t finished = 0; finished < threads; forward = !forward) {
    finished = 0;
    for (size_t i = 0; i < threads; ++i) Resume(forward ? i : threads - 1 - i);
    for (size_t thread = 0; thread < threads; ++thread) finished += fibres[thread].finished;
    if (finished != 0 && finished != threads) {
      std::fprintf(stderr, "%zu of %zu threads wait at a barrier that the others do not reach\n",
                   threads - finished, threads);
      std::abort();
    }
  }
}

inline void Run(dim3 grid, dim3 threads, std::function<void()> kernel) {
  body = std::move(kernel);
  gridDim = grid;
  blockDim = threads;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = dim3(x, y, z);
        RunBlock(threads.x);
      }
    }
  }
}

}  // namespace emulation

inline void __syncthreads() {
  swapcontext(&emulation::fibres[emulation::current].context, &emulation::scheduler);
}

// ---- the few host functions that the launcher and the harness call ------------------------------

using cudaError_t = int;
using cudaStream_t = void*;
using cudaEvent_t = std::chrono::steady_clock::time_point;
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };
constexpr cudaError_t cudaSuccess = 0;
struct cudaDeviceProp {
  char name[256];
};

inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t) { return "emulated"; }
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::strcpy(properties->name, "no GPU: emulated on the CPU");
  return cudaSuccess;
}
// Device memory begins as rubbish, as on a GPU.
template <typename T>
cudaError_t cudaMalloc(T** memory, size_t bytes) {
  *memory = static_cast<T*>(std::malloc(bytes));
  std::memset(*memory, 0xA5, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                                   cudaStream_t) {
  if (bytes > 0) std::memcpy(to, from, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = nullptr;
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaEventCreate(cudaEvent_t*) { return cudaSuccess; }
inline cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventRecord(cudaEvent_t& event, cudaStream_t) {
  event = std::chrono::steady_clock::now();
  return cudaSuccess;
}
inline cudaError_t cudaEventSynchronize(const cudaEvent_t&) { return cudaSuccess; }
inline cudaError_t cudaEventElapsedTime(float* ms, const cudaEvent_t& from, const cudaEvent_t& to) {
  *ms = std::chrono::duration<float, std::milli>(to - from).count();
  return cudaSuccess;
}
