# The kernels: one object per instruction set, each exporting one symbol. Only these files get instruction-set flags; no link-time optimisation, and
# no contraction of multiply-adds beyond what the source's expressions say.
set(TIDEGATE_NATIVE "${CMAKE_CURRENT_LIST_DIR}")

# Adds the object of one instruction set to a target.
function(tidegate_kernels_for target isa)
  set(kernels kernels_${isa})
  set(copy "${CMAKE_CURRENT_BINARY_DIR}/kernels_${isa}.cpp")
  file(CONFIGURE OUTPUT "${copy}" CONTENT "#include \"${TIDEGATE_NATIVE}/kernels/kernels.cpp\"\n")
  add_library(${kernels} OBJECT "${copy}")
  target_compile_options(${kernels} PRIVATE -O3 -ffp-contract=fast -fno-exceptions -fno-rtti -Wall -Wextra ${ARGN})
  target_compile_definitions(${kernels} PRIVATE TIDEGATE_KERNELS=kernels_${isa} TIDEGATE_KERNELS_NAME="${isa}")
  set_target_properties(${kernels} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden INTERPROCEDURAL_OPTIMIZATION OFF)
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${kernels}>)
endfunction()

# Adds the objects of all instruction sets of this kind of processor, and sets `kernel_targets`.
macro(tidegate_kernels target)
  tidegate_kernels_for(${target} baseline)
  set(kernel_targets kernels_baseline)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND NOT CMAKE_OSX_ARCHITECTURES MATCHES "arm64")
    tidegate_kernels_for(${target} avx2 -mavx2 -mfma)
    tidegate_kernels_for(${target} avx512 -mavx512f -mavx512vl -mavx512dq -mavx512bw -mfma)
    list(APPEND kernel_targets kernels_avx2 kernels_avx512)
    target_compile_definitions(${target} PRIVATE TIDEGATE_AVX)
  endif()
endmacro()
