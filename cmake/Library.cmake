# libframecache: shared and static from the same objects; and framecache_internal, where
# unit tests see every function and can make system calls and allocations fail.
file(GLOB FRAMECACHE_SOURCES CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/src/*.c ${PROJECT_SOURCE_DIR}/frames/*.c)

if(DEFINED SKBUILD) # a wheel brings along what it needs, where there is a static one
    find_library(LZ4_LIBRARY NAMES liblz4.a lz4 REQUIRED)
else()
    find_library(LZ4_LIBRARY lz4 REQUIRED)
endif()
find_path(LZ4_INCLUDE_DIR lz4.h REQUIRED)

function(framecache_private_includes target)
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}
        ${PROJECT_SOURCE_DIR}/src ${XXHASH_INCLUDE_DIR} ${LZ4_INCLUDE_DIR})
endfunction()

add_library(framecache_objects OBJECT ${FRAMECACHE_SOURCES})
# A get crosses six files in twenty nanoseconds: optimised as one they take a fifth less.
# Fat objects, so that the static library serves linkers that know nothing of it.
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND NOT FRAMECACHE_SANITIZE)
    set(FRAMECACHE_LTO $<$<CONFIG:Release>:-flto=auto>)
    target_compile_options(framecache_objects PRIVATE ${FRAMECACHE_LTO}
        $<$<CONFIG:Release>:-ffat-lto-objects> $<$<CONFIG:Release>:-fno-plt>)
endif()
target_link_libraries(framecache_objects PRIVATE framecache_flags Threads::Threads)
framecache_private_includes(framecache_objects)

function(framecache_public_target target)
    target_link_libraries(${target} PUBLIC Threads::Threads PRIVATE
        $<BUILD_INTERFACE:${LZ4_LIBRARY}> $<INSTALL_INTERFACE:lz4>)
    target_include_directories(${target} PUBLIC
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    if(FRAMECACHE_SANITIZE)
        target_link_options(${target} PUBLIC
            $<BUILD_INTERFACE:-fsanitize=${FRAMECACHE_SANITIZE}>)
    endif()
endfunction()

# Exported frames may be released by any thread until the very end of a process, so the
# library never goes away once it is loaded.
add_library(framecache SHARED $<TARGET_OBJECTS:framecache_objects>)
set_target_properties(framecache PROPERTIES SOVERSION 0 VERSION ${PROJECT_VERSION})
target_link_options(framecache PRIVATE -Wl,-z,nodelete ${FRAMECACHE_LTO}
    $<$<CONFIG:Release>:-O3>)
framecache_public_target(framecache)
if(DEFINED SKBUILD) # the extension holds the static one
    set_target_properties(framecache PROPERTIES EXCLUDE_FROM_ALL ON)
endif()

add_library(framecache_static STATIC $<TARGET_OBJECTS:framecache_objects>)
set_target_properties(framecache_static PROPERTIES OUTPUT_NAME framecache)
framecache_public_target(framecache_static)

if(FRAMECACHE_TESTS OR FRAMECACHE_FUZZ)
    add_library(framecache_internal STATIC EXCLUDE_FROM_ALL ${FRAMECACHE_SOURCES})
    target_compile_definitions(framecache_internal PUBLIC FC_FAULTS)
    target_link_libraries(framecache_internal PUBLIC framecache_flags Threads::Threads
        ${LZ4_LIBRARY})
    target_include_directories(framecache_internal PUBLIC ${PROJECT_SOURCE_DIR}
        ${PROJECT_SOURCE_DIR}/src ${XXHASH_INCLUDE_DIR} ${LZ4_INCLUDE_DIR})
endif()
