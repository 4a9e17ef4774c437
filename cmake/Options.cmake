# Options, and the flags that everything is compiled with.
if(DEFINED SKBUILD)
    set(default_extras OFF) # a wheel holds the extension only
else()
    set(default_extras ON)
endif()
option(FRAMECACHE_TOOLS "Build the command" ${default_extras})
option(FRAMECACHE_TESTS "Build the tests (needs cmocka and the command)" ${default_extras})
option(FRAMECACHE_EXAMPLES "Build the examples in C" ${default_extras})
option(FRAMECACHE_BENCH "Build the benchmarks (with LMDB, where it is installed)"
    ${default_extras})
option(FRAMECACHE_FUZZ "Build the fuzz targets (needs clang)" OFF)
option(FRAMECACHE_WERROR "Warnings are errors: for CI, not for who builds from source" OFF)
if(DEFINED SKBUILD)
    option(FRAMECACHE_PYTHON "Build the Python extension" ON)
else()
    option(FRAMECACHE_PYTHON "Build the Python extension" OFF)
endif()
set(FRAMECACHE_SANITIZE "" CACHE STRING "As -fsanitize=, for everything: address,undefined")

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

find_package(Threads REQUIRED)
find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED)

add_library(framecache_flags INTERFACE)
target_compile_definitions(framecache_flags INTERFACE _GNU_SOURCE)
target_compile_options(framecache_flags INTERFACE -Wall -Wextra
    $<$<BOOL:${FRAMECACHE_WERROR}>:-Werror> -fno-semantic-interposition)
target_include_directories(framecache_flags INTERFACE ${PROJECT_SOURCE_DIR}/include)
if(FRAMECACHE_SANITIZE)
    target_compile_options(framecache_flags INTERFACE -fsanitize=${FRAMECACHE_SANITIZE}
        -fno-sanitize-recover=all -fno-omit-frame-pointer)
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
        # With sanitizers gcc warns of what it would otherwise see to be fine; and it says
        # that the thread sanitizer does not know fences (which each have a comment).
        target_compile_options(framecache_flags INTERFACE -Wno-maybe-uninitialized
            -Wno-format-truncation)
        if(FRAMECACHE_SANITIZE STREQUAL "thread")
            target_compile_options(framecache_flags INTERFACE -Wno-tsan)
        endif()
    endif()
    target_link_options(framecache_flags INTERFACE -fsanitize=${FRAMECACHE_SANITIZE})
endif()
