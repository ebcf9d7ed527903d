// What native/tensors.hpp takes from nanobind for DLPack; the struct is `DLTensor` of the standard.
#pragma once
#include <cstdint>

namespace nanobind {
namespace device {
struct cpu {
  static constexpr int32_t value = 1;
};
}  // namespace device

namespace dlpack {
struct dtype {
  uint8_t code, bits;
  uint16_t lanes;
  bool operator==(const dtype& other) const { return code == other.code && bits == other.bits && lanes == other.lanes; }
};
struct device {
  int32_t device_type, device_id;
};
struct dltensor {
  void* data;
  device device;
  int32_t ndim;
  dlpack::dtype dtype;
  int64_t* shape;
  int64_t* strides;
  uint64_t byte_offset;
};
}  // namespace dlpack

template <class T>
dlpack::dtype dtype();
template <>
inline dlpack::dtype dtype<float>() {
  return {2, 32, 1};
}
}  // namespace nanobind
