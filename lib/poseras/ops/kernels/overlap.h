// How much two boxes or two poses cover the same place, in double precision.
//
// Every operation here has one IEEE result: no fused multiply-add (compile with
// -ffp-contract=off, nvcc with -fmad=false), no library function, sums in the order of the joints.
// So the CPU kernel, the CUDA kernel and the NumPy reference (overlap.py) agree to the last bit,
// and a pair exactly at the threshold is decided equally by all three.
#ifndef POSERAS_OPS_KERNELS_OVERLAP_H_
#define POSERAS_OPS_KERNELS_OVERLAP_H_

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define POSERAS_EVERYWHERE __host__ __device__ __forceinline__
#elif defined(__GNUC__)
#define POSERAS_EVERYWHERE inline __attribute__((always_inline))
#else
#define POSERAS_EVERYWHERE inline
#endif

namespace poseras {

// Which joints of a pair count: the two flags of overlap.py's CountedJoints.
struct CountedJoints {
  bool first_must_be_visible;
  bool second_must_be_visible;
};

POSERAS_EVERYWHERE bool IsFinite(double value) { return value - value == 0; }

// A box x1, y1, x2, y2 that the kernels accept.
POSERAS_EVERYWHERE bool IsBox(const double* box) {
  return IsFinite(box[0]) && IsFinite(box[1]) && IsFinite(box[2]) && IsFinite(box[3]) &&
         box[2] >= box[0] && box[3] >= box[1];
}

// `extra` is 1 where boxes count pixels (width = x2 - x1 + 1), otherwise 0.
POSERAS_EVERYWHERE double BoxArea(const double* box, double extra) {
  return (box[2] - box[0] + extra) * (box[3] - box[1] + extra);
}

// Length of the common part of two intervals, 0 where there is none.
POSERAS_EVERYWHERE double CommonSide(double low, double high, double other_low, double other_high,
                                     double extra) {
  const double side =
      (high < other_high ? high : other_high) - (low > other_low ? low : other_low) + extra;
  return side > 0 ? side : 0;
}

// part / whole, 0 where there is no whole (NaN after an overflow is no whole either).
POSERAS_EVERYWHERE double Share(double part, double whole) {
  const double share = part / whole;
  return whole > 0 ? share : 0;
}

POSERAS_EVERYWHERE double FromBits(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

POSERAS_EVERYWHERE uint64_t ToBits(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

// exp(x) for x <= 0, within two units of the last place; NaN stays NaN.
//
// x = k ln 2 + r with |r| <= ln 2 / 2, a Taylor polynomial of degree 13 in r (its remainder is
// below 1e-17), times 2^k. The two parts of ln 2 are those of fdlibm: k times the first is exact.
POSERAS_EVERYWHERE double PortableExp(double x) {
  const double bounded = x < -746.0 ? -746.0 : x;  // exp(-746) rounds to 0
  const double shift = 6755399441055744.0;         // 1.5 * 2^52: adding it rounds to whole numbers
  const double shifted = bounded * 1.4426950408889634 + shift;
  const double k = shifted - shift;
  const double r = bounded - k * 6.93147180369123816490e-01 - k * 1.90821492927058770002e-10;
  double sum = 1.0 / 6227020800.0;  // 1 / 13!
  sum = sum * r + 1.0 / 479001600.0;
  sum = sum * r + 1.0 / 39916800.0;
  sum = sum * r + 1.0 / 3628800.0;
  sum = sum * r + 1.0 / 362880.0;
  sum = sum * r + 1.0 / 40320.0;
  sum = sum * r + 1.0 / 5040.0;
  sum = sum * r + 1.0 / 720.0;
  sum = sum * r + 1.0 / 120.0;
  sum = sum * r + 1.0 / 24.0;
  sum = sum * r + 1.0 / 6.0;
  sum = sum * r + 0.5;
  sum = sum * r + 1.0;
  sum = sum * r + 1.0;
  // 2^(k + 54) is never subnormal; the last factor 2^-54 rounds once.
  const uint64_t exponent = ToBits(shifted) - ToBits(shift) + (1023 + 54);
  return sum * FromBits(exponent << 52) * 5.551115123125783e-17;
}

// (2 sigma)^2, the variance of one joint in units of the pose's area.
POSERAS_EVERYWHERE double JointVariance(double sigma) { return (2 * sigma) * (2 * sigma); }

// Mean area of two poses, never 0.
POSERAS_EVERYWHERE double CommonArea(double area, double other) {
  return (area + other) / 2 + 2.220446049250313e-16;
}

// How near one joint of two poses is, 0..1; dx and dy in px, area as CommonArea.
POSERAS_EVERYWHERE double JointNearness(double dx, double dy, double variance, double area) {
  const double distance = dx * dx + dy * dy;
  return PortableExp(-distance / variance / area / 2);
}

// No threshold can be reached any more: even if every remaining joint lay on its fellow, the mean
// would stay below it. The factor covers the rounding of the sums.
POSERAS_EVERYWHERE bool CannotExceed(double sum, double counted, double remaining,
                                     double threshold) {
  return sum + remaining < (1 - 1e-9) * threshold * (counted + remaining);
}

}  // namespace poseras

#endif  // POSERAS_OPS_KERNELS_OVERLAP_H_
