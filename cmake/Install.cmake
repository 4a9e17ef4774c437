# Headers, both libraries, the command, pkg-config and CMake package files.
include(CMakePackageConfigHelpers)

if(FRAMECACHE_TOOLS)
    install(TARGETS framecache_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(TARGETS framecache framecache_static EXPORT framecacheTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/framecache
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/framecache)
install(EXPORT framecacheTargets NAMESPACE framecache:: DESTINATION ${cmake_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/framecacheConfig.cmake.in
    ${PROJECT_BINARY_DIR}/framecacheConfig.cmake INSTALL_DESTINATION ${cmake_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/framecacheConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/framecacheConfig.cmake
    ${PROJECT_BINARY_DIR}/framecacheConfigVersion.cmake DESTINATION ${cmake_dir})

# pkg-config finds its prefix from where the file lies, so that the tree may be moved.
file(RELATIVE_PATH prefix_from_pc
    ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(${PROJECT_SOURCE_DIR}/cmake/framecache.pc.in
    ${PROJECT_BINARY_DIR}/framecache.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/framecache.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
