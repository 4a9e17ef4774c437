# Every test_*.c in tests/, tests/proc/ and tests/fault/ is a program and a ctest of its
# own, linked to framecache_internal and to what stands in tests/support*.c.
find_library(CMOCKA_LIBRARY cmocka REQUIRED)
find_path(CMOCKA_INCLUDE_DIR cmocka.h REQUIRED)

file(GLOB test_support CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/support*.c)
add_library(framecache_test_support STATIC EXCLUDE_FROM_ALL ${test_support})
target_include_directories(framecache_test_support PUBLIC ${PROJECT_SOURCE_DIR}/tests
    ${CMOCKA_INCLUDE_DIR})
target_link_libraries(framecache_test_support PUBLIC framecache_internal
    ${CMOCKA_LIBRARY})

# A timeout ends what hangs; a machine that has much else to do must not come near it.
function(framecache_test source label timeout)
    if(FRAMECACHE_SANITIZE) # many times slower, and more so on a busy machine
        math(EXPR timeout "${timeout} * 4")
    endif()
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    set_target_properties(${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    target_link_libraries(${name} PRIVATE framecache_test_support)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${timeout}
        ENVIRONMENT "FC_TEST_TOOL=$<TARGET_FILE:framecache_command>")
endfunction()

file(GLOB unit_tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/test_*.c)
foreach(source IN LISTS unit_tests)
    framecache_test(${source} unit 900)
endforeach()

file(GLOB process_tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/proc/test_*.c)
foreach(source IN LISTS process_tests)
    framecache_test(${source} proc 1200)
endforeach()

file(GLOB fault_tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fault/test_*.c)
foreach(source IN LISTS fault_tests)
    framecache_test(${source} fault 1800)
endforeach()

# The small protocols, exhaustively; `make models` checks the large ones too. The same whatever
# the build, so once is enough. Without spin it says so and counts as skipped.
if(NOT FRAMECACHE_SANITIZE)
    add_test(NAME models
        COMMAND ${PROJECT_SOURCE_DIR}/tests/model/run.sh budget attach wait)
    set_tests_properties(models PROPERTIES LABELS model TIMEOUT 1800 SKIP_RETURN_CODE 77)
endif()
