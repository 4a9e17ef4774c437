# One program a file of bench/, against the public library; bench/CMakeLists.txt takes
# over where there is one.
if(EXISTS ${PROJECT_SOURCE_DIR}/bench/CMakeLists.txt)
    add_subdirectory(bench)
else()
    find_library(LMDB_LIBRARY lmdb)
    file(GLOB benchmarks CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/*.c)
    foreach(source IN LISTS benchmarks)
        get_filename_component(name ${source} NAME_WE)
        add_executable(bench_${name} ${source})
        set_target_properties(bench_${name} PROPERTIES OUTPUT_NAME ${name}
            RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
        target_compile_definitions(bench_${name} PRIVATE _GNU_SOURCE)
        target_link_libraries(bench_${name} PRIVATE framecache m
            $<$<BOOL:${LMDB_LIBRARY}>:${LMDB_LIBRARY}>)
    endforeach()
endif()
