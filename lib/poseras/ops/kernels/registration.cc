// The TensorFlow operations PoserasBoxNms and PoserasOksNms.
//
// Wrong shapes, thresholds and row splits are an InvalidArgument in the words of arguments.py.
// Numbers that no result can be given for (NaN scores, infinite coordinates, negative widths or
// areas) are answered by a count of -1 for their image: on a GPU they are seen on the device only.
#include <algorithm>
#include <string>
#include <vector>

#include "suppression.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/lib/core/threadpool.h"
#ifdef POSERAS_CUDA
#include "suppression_cuda.h"
#include "xla/stream_executor/stream.h"
#endif

#ifndef POSERAS_IDENTITY
#error "Build with python -m poseras.ops.build, which says what the library was built from."
#endif

// Read by library.py from the file, before it is loaded.
extern "C" __attribute__((visibility("default"), used)) const char poseras_ops_identity[] =
    "poseras-ops-identity{" POSERAS_IDENTITY "}";

namespace poseras {
namespace {

using tensorflow::DEVICE_CPU;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Status;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::errors::InvalidArgument;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// kept (images, max_kept), counts (images); `splits` and `max_kept` are numbers of inputs. The
// kernels check ranks, because they say what was received.
Status InferShapes(InferenceContext* context, int splits, int max_kept) {
  auto images = context->UnknownDim();
  const ShapeHandle row_splits = context->input(splits);
  if (context->RankKnown(row_splits) && context->Rank(row_splits) == 1 &&
      context->Value(context->Dim(row_splits, 0)) != 0) {
    TF_RETURN_IF_ERROR(context->Subtract(context->Dim(row_splits, 0), 1, &images));
  }
  const Tensor* most = context->input_tensor(max_kept);
  const bool known =
      most != nullptr && most->dims() == 0 && most->scalar<int64_t>()() >= 0;
  const auto width = known ? context->MakeDim(most->scalar<int64_t>()()) : context->UnknownDim();
  context->set_output(0, context->Matrix(images, width));
  context->set_output(1, context->Vector(images));
  return tensorflow::OkStatus();
}

REGISTER_OP("PoserasBoxNms")
    .Input("boxes_xyxy: double")
    .Input("scores: double")
    .Input("row_splits: int64")
    .Input("threshold: double")
    .Input("max_kept: int64")
    .Attr("plus_one: bool = true")
    .Attr("inclusive: bool = false")
    .Output("kept: int64")
    .Output("counts: int64")
    .SetShapeFn([](InferenceContext* context) { return InferShapes(context, 2, 4); });

REGISTER_OP("PoserasOksNms")
    .Input("keypoints: double")
    .Input("scores: double")
    .Input("areas: double")
    .Input("row_splits: int64")
    .Input("threshold: double")
    .Input("max_kept: int64")
    .Input("sigmas: double")
    .Input("visibility_threshold: double")
    .Attr("counted: {'all', 'second_visible', 'both_visible'} = 'all'")
    .Output("kept: int64")
    .Output("counts: int64")
    .SetShapeFn([](InferenceContext* context) { return InferShapes(context, 3, 5); });

// As Python writes a tuple.
std::string Written(const TensorShape& shape) {
  std::string text = "(";
  for (int axis = 0; axis < shape.dims(); ++axis) {
    text += (axis ? ", " : "") + std::to_string(shape.dim_size(axis));
  }
  return text + (shape.dims() == 1 ? ",)" : ")");
}

// One value for each of `count` rows.
Status CheckOneEach(const char* name, const Tensor& values, int64_t count, const char* of) {
  if (values.dims() != 1) {
    return InvalidArgument(name, " must have shape (", count, ",). Received ",
                           Written(values.shape()), ".");
  }
  if (values.dim_size(0) != count) {
    return InvalidArgument(name, " must have one value per ", of, " (", count, "). Received ",
                           values.dim_size(0), ".");
  }
  return tensorflow::OkStatus();
}

Status CheckScalar(const char* name, const Tensor& value) {
  if (value.dims() == 0) return tensorflow::OkStatus();
  return InvalidArgument(name, " must be one number. Received shape ", Written(value.shape()), ".");
}

Status CheckRowSplits(const Tensor& tensor, int64_t rows) {
  if (tensor.dims() != 1 || tensor.dim_size(0) == 0) {
    return InvalidArgument("row_splits must have shape (images + 1,) and hold integers. ",
                           "Received shape ", Written(tensor.shape()), ", dtype int64.");
  }
  const auto splits = tensor.vec<int64_t>();
  const int64_t count = splits.size();
  bool rising = splits(0) == 0 && splits(count - 1) == rows;
  for (int64_t i = 1; i < count; ++i) rising = rising && splits(i) >= splits(i - 1);
  if (rising) return tensorflow::OkStatus();
  std::string shown = "[";
  for (int64_t i = 0; i < std::min<int64_t>(count, 8); ++i) {
    shown += (i ? ", " : "") + std::to_string(splits(i));
  }
  return InvalidArgument("row_splits must rise from 0 to the ", rows, " rows. Received ", shown,
                         count > 8 ? "]..." : "]", ".");
}

// What every op has: row splits, a threshold and a limit. They lie in host memory on each device.
struct Request {
  const int64_t* row_splits;
  int64_t images;
  int64_t width;  // of the output
  double threshold;
};

Status ReadRequest(const Tensor& row_splits, const Tensor& threshold, const Tensor& max_kept,
                   int64_t rows, Request* request) {
  TF_RETURN_IF_ERROR(CheckScalar("threshold", threshold));
  TF_RETURN_IF_ERROR(CheckScalar("max_kept", max_kept));
  request->threshold = threshold.scalar<double>()();
  if (!(request->threshold >= 0 && request->threshold <= 1)) {
    return InvalidArgument("threshold must be between 0 and 1. Received ", request->threshold, ".");
  }
  TF_RETURN_IF_ERROR(CheckRowSplits(row_splits, rows));
  const auto splits = row_splits.vec<int64_t>();
  request->row_splits = splits.data();
  request->images = splits.size() - 1;
  request->width = max_kept.scalar<int64_t>()();
  if (request->width < -1) {
    return InvalidArgument("max_kept must not be negative. Received ", request->width, ".");
  }
  if (request->width == -1) {  // as many as the fullest image holds
    request->width = 0;
    for (int64_t image = 0; image < request->images; ++image) {
      request->width = std::max(request->width, splits(image + 1) - splits(image));
    }
  }
  return tensorflow::OkStatus();
}

Status AllocateOutputs(OpKernelContext* context, const Request& request, Tensor** kept,
                       Tensor** counts) {
  TensorShape shape;
  TF_RETURN_IF_ERROR(
      TensorShape::BuildTensorShape({request.images, request.width}, &shape));
  TF_RETURN_IF_ERROR(context->allocate_output(0, shape, kept));
  return context->allocate_output(1, TensorShape({request.images}), counts);
}

// suppress(image, first row, rows, place for the kept rows) -> count, for all images in parallel.
template <typename Suppress>
void RunOnCpu(OpKernelContext* context, const Request& request, const Suppress& suppress) {
  Tensor *kept = nullptr, *counts = nullptr;
  OP_REQUIRES_OK(context, AllocateOutputs(context, request, &kept, &counts));
  int64_t* kept_rows = kept->flat<int64_t>().data();
  int64_t* kept_counts = counts->flat<int64_t>().data();
  const auto run = [&](int64_t first, int64_t end) {
    for (int64_t image = first; image < end; ++image) {
      const int64_t start = request.row_splits[image];
      kept_counts[image] = suppress(start, request.row_splits[image + 1] - start,
                                    kept_rows + image * request.width);
    }
  };
  const int64_t rows = request.images ? request.row_splits[request.images] : 0;
  const int64_t nanoseconds_per_row = 200;
  if (request.images < 2) {
    run(0, request.images);
  } else {
    context->device()->tensorflow_cpu_worker_threads()->workers->ParallelFor(
        request.images, nanoseconds_per_row * (1 + rows / request.images), run);
  }
}

Status CheckBoxes(const Tensor& boxes, const Tensor& scores) {
  if (boxes.dims() != 2 || boxes.dim_size(1) != 4) {
    return InvalidArgument("boxes_xyxy must have shape (boxes, 4). Received ",
                           Written(boxes.shape()), ".");
  }
  return CheckOneEach("scores", scores, boxes.dim_size(0), "box");
}

class BoxNms : public OpKernel {
 public:
  explicit BoxNms(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("plus_one", &plus_one_));
    OP_REQUIRES_OK(context, context->GetAttr("inclusive", &inclusive_));
  }

  void Compute(OpKernelContext* context) final {
    const Tensor &boxes = context->input(0), &scores = context->input(1);
    OP_REQUIRES_OK(context, CheckBoxes(boxes, scores));
    Request request;
    OP_REQUIRES_OK(context, ReadRequest(context->input(2), context->input(3), context->input(4),
                                        boxes.dim_size(0), &request));
    Run(context, request, boxes.flat<double>().data(), scores.flat<double>().data(),
        {request.threshold, plus_one_, inclusive_});
  }

 private:
  virtual void Run(OpKernelContext* context, const Request& request, const double* boxes,
                   const double* scores, const BoxRule& rule) = 0;

  bool plus_one_, inclusive_;
};

class BoxNmsOnCpu : public BoxNms {
  using BoxNms::BoxNms;

  void Run(OpKernelContext* context, const Request& request, const double* boxes,
           const double* scores, const BoxRule& rule) override {
    RunOnCpu(context, request, [&](int64_t start, int64_t rows, int64_t* kept) {
      return SuppressBoxes(boxes + 4 * start, scores + start, rows, start, rule, request.width,
                           kept);
    });
  }
};

REGISTER_KERNEL_BUILDER(Name("PoserasBoxNms").Device(DEVICE_CPU), BoxNmsOnCpu);

class OksNms : public OpKernel {
 public:
  explicit OksNms(OpKernelConstruction* context) : OpKernel(context) {
    std::string counted;
    OP_REQUIRES_OK(context, context->GetAttr("counted", &counted));
    counted_ = {counted == "both_visible", counted != "all"};
  }

  void Compute(OpKernelContext* context) final {
    const Tensor &keypoints = context->input(0), &visibility = context->input(7);
    OP_REQUIRES_OK(context, Check(context));
    Request request;
    OP_REQUIRES_OK(context, ReadRequest(context->input(3), context->input(4), context->input(5),
                                        keypoints.dim_size(0), &request));
    const auto data = [context](int input) { return context->input(input).flat<double>().data(); };
    Run(context, request,
        {data(0), data(1), data(2), data(6), keypoints.dim_size(0), keypoints.dim_size(1),
         keypoints.dim_size(2)},
        {request.threshold, visibility.scalar<double>()(), counted_});
  }

 private:
  virtual void Run(OpKernelContext* context, const Request& request, const Poses& poses,
                   const PoseRule& rule) = 0;

  Status Check(OpKernelContext* context) const {
    const Tensor& keypoints = context->input(0);
    const std::string received = ". Received " + Written(keypoints.shape()) + ".";
    if (keypoints.dims() != 3 || keypoints.dim_size(1) == 0 || keypoints.dim_size(2) < 2 ||
        keypoints.dim_size(2) > 3) {
      return InvalidArgument("keypoints must have shape (people, joints, 2 or 3)", received);
    }
    if (counted_.second_must_be_visible && keypoints.dim_size(2) != 3) {
      return InvalidArgument("keypoints must have shape (people, joints, 3) to count ",
                             counted_.first_must_be_visible ? "both_visible" : "second_visible",
                             " joints", received);
    }
    TF_RETURN_IF_ERROR(
        CheckOneEach("areas", context->input(2), keypoints.dim_size(0), "person"));
    TF_RETURN_IF_ERROR(CheckOneEach("sigmas", context->input(6), keypoints.dim_size(1), "joint"));
    TF_RETURN_IF_ERROR(CheckScalar("visibility_threshold", context->input(7)));
    return CheckOneEach("scores", context->input(1), keypoints.dim_size(0), "person");
  }

  CountedJoints counted_;
};

class OksNmsOnCpu : public OksNms {
  using OksNms::OksNms;

  void Run(OpKernelContext* context, const Request& request, const Poses& poses,
           const PoseRule& rule) override {
    RunOnCpu(context, request, [&](int64_t start, int64_t rows, int64_t* kept) {
      const Poses image = {poses.keypoints + start * poses.joints * poses.values,
                           poses.scores + start,
                           poses.areas + start,
                           poses.sigmas,
                           rows,
                           poses.joints,
                           poses.values};
      return SuppressPoses(image, start, rule, request.width, kept);
    });
  }
};

REGISTER_KERNEL_BUILDER(Name("PoserasOksNms").Device(DEVICE_CPU), OksNmsOnCpu);

#ifdef POSERAS_CUDA

// launch(job, stream) -> a CUDA error number; the job has everything but the rule's own inputs.
template <typename Launch>
void RunOnGpu(OpKernelContext* context, const Request& request, const Launch& launch) {
  Tensor *kept = nullptr, *counts = nullptr, workspace;
  OP_REQUIRES_OK(context, AllocateOutputs(context, request, &kept, &counts));
  CudaJob job;
  job.row_splits = request.row_splits;
  job.images = request.images;
  job.width = request.width;
  job.kept = kept->flat<int64_t>().data();
  job.counts = counts->flat<int64_t>().data();
  OP_REQUIRES(context, CudaCanRun(job),
              InvalidArgument("the GPU kernel takes fewer than 2^30 rows. Received ",
                              request.row_splits[request.images], "; use the CPU."));
  const TensorShape bytes({static_cast<int64_t>(CudaWorkspaceBytes(job))});
  OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_UINT8, bytes, &workspace));
  job.workspace = workspace.flat<uint8_t>().data();
  void* stream = context->op_device_context()->stream()->platform_specific_handle().stream;
  const int error = launch(job, stream);
  OP_REQUIRES(context, error == 0,
              tensorflow::errors::Internal("the NMS kernel could not be launched: ",
                                           CudaErrorText(error), "."));
}

class BoxNmsOnGpu : public BoxNms {
  using BoxNms::BoxNms;

  void Run(OpKernelContext* context, const Request& request, const double* boxes,
           const double* scores, const BoxRule& rule) override {
    RunOnGpu(context, request, [&](const CudaJob& job, void* stream) {
      return SuppressBoxesOnGpu(boxes, scores, rule, job, stream);
    });
  }
};

class OksNmsOnGpu : public OksNms {
  using OksNms::OksNms;

  void Run(OpKernelContext* context, const Request& request, const Poses& poses,
           const PoseRule& rule) override {
    RunOnGpu(context, request, [&](const CudaJob& job, void* stream) {
      return SuppressPosesOnGpu(poses, rule, job, stream);
    });
  }
};

REGISTER_KERNEL_BUILDER(Name("PoserasBoxNms")
                            .Device(tensorflow::DEVICE_GPU)
                            .HostMemory("row_splits")
                            .HostMemory("threshold")
                            .HostMemory("max_kept"),
                        BoxNmsOnGpu);
REGISTER_KERNEL_BUILDER(Name("PoserasOksNms")
                            .Device(tensorflow::DEVICE_GPU)
                            .HostMemory("row_splits")
                            .HostMemory("threshold")
                            .HostMemory("max_kept")
                            .HostMemory("visibility_threshold"),
                        OksNmsOnGpu);

#endif  // POSERAS_CUDA

}  // namespace
}  // namespace poseras
