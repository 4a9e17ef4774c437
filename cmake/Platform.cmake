# The one platform: others stop here, before anything fails that would be harder to understand.
if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
    message(FATAL_ERROR "framecache runs on 64-bit Linux only, not on ${CMAKE_SYSTEM_NAME}.")
endif()
enable_language(C)
if(NOT CMAKE_SIZEOF_VOID_P EQUAL 8)
    message(FATAL_ERROR "framecache runs on 64-bit Linux only, and this compiler makes "
        "programs whose pointers have ${CMAKE_SIZEOF_VOID_P} bytes.")
endif()
