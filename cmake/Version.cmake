# The version stands once, in the public header.
file(STRINGS ${CMAKE_CURRENT_SOURCE_DIR}/include/framecache/framecache.h version_lines
    REGEX "^#define FRAMECACHE_VERSION_(MAJOR|MINOR|PATCH) [0-9]+$")
list(TRANSFORM version_lines REPLACE "^.* " "")
list(JOIN version_lines "." FRAMECACHE_VERSION)
