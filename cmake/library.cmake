# What is installed for C and C++: the libraries, their headers, a package for find_package and one for pkg-config.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

file(STRINGS pyproject.toml version REGEX "^version = ")
string(REGEX REPLACE "version = \"(.*)\"" "\\1" version "${version}")
file(STRINGS include/lstmcore.h api_version REGEX "^#define LSTMCORE_API_VERSION ")
string(REGEX REPLACE "#define LSTMCORE_API_VERSION ([0-9]+).*" "\\1" api_version "${api_version}")

set_target_properties(lstmcore PROPERTIES VERSION ${version} SOVERSION ${api_version})
set_target_properties(lstmcore_static PROPERTIES OUTPUT_NAME lstmcore EXPORT_NAME static)
set_target_properties(lstmcore PROPERTIES EXPORT_NAME shared)
foreach(library lstmcore lstmcore_static)
  target_include_directories(${library} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/lstmcore)
install(TARGETS lstmcore lstmcore_static EXPORT lstmcore ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES include/lstmcore.h include/lstmcore.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT lstmcore NAMESPACE lstmcore:: FILE lstmcoreTargets.cmake DESTINATION ${package})
set(find_openmp)
if(LSTMCORE_OPENMP AND OpenMP_CXX_FOUND)
  set(find_openmp "find_dependency(OpenMP)")  # of the static library
endif()
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/lstmcoreConfig.cmake
     "include(CMakeFindDependencyMacro)\n${find_openmp}\ninclude(\${CMAKE_CURRENT_LIST_DIR}/lstmcoreTargets.cmake)\n")
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/lstmcoreConfigVersion.cmake VERSION ${version}
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/lstmcoreConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/lstmcoreConfigVersion.cmake
        DESTINATION ${package})
configure_file(cmake/lstmcore.pc.in lstmcore.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/lstmcore.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
