# The three kinds of target in the tree, so that a folder's CMakeLists.txt only lists files.

# yagura_module(NAME SOURCES file... [USES target...]): a static library.
function(yagura_module name)
    cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
    add_library(${name} STATIC ${ARG_SOURCES})
    target_link_libraries(${name} PUBLIC yagura_options ${ARG_USES})
    set_property(GLOBAL APPEND PROPERTY YAGURA_MODULES ${name})
endfunction()

# yagura_program(NAME DIRECTORY install-dir PACKAGE package SOURCES file... [USES target...]): a program
# of the product, and the package that holds it (an install component of the same name).
function(yagura_program name)
    cmake_parse_arguments(ARG "" "DIRECTORY;PACKAGE" "SOURCES;USES" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE yagura_options ${ARG_USES})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
    install(TARGETS ${name} RUNTIME DESTINATION ${ARG_DIRECTORY} COMPONENT ${ARG_PACKAGE})
endfunction()

# yagura_static_program(NAME DIRECTORY install-dir PACKAGE package SOURCES file... [USES module...]
# [ARCHIVES name...]): a program that needs nothing of the system it runs on. USES names every module,
# also those that modules use, because what they link may exist as a shared library only; ARCHIVES are
# the libNAME.a that take its place. The sanitizers have no static form: then it is as any other.
function(yagura_static_program name)
    cmake_parse_arguments(ARG "" "DIRECTORY;PACKAGE" "SOURCES;USES;ARCHIVES" ${ARGN})
    if(YAGURA_SANITIZE OR YAGURA_COVERAGE)
        yagura_program(${name} DIRECTORY ${ARG_DIRECTORY} PACKAGE ${ARG_PACKAGE}
            SOURCES ${ARG_SOURCES} USES ${ARG_USES})
        return()
    endif()
    yagura_program(${name} DIRECTORY ${ARG_DIRECTORY} PACKAGE ${ARG_PACKAGE} SOURCES ${ARG_SOURCES})
    set(libraries "")
    foreach(module ${ARG_USES})
        if(TARGET ${module})
            list(APPEND libraries $<TARGET_FILE:${module}>)
            add_dependencies(${name} ${module})
        else()
            list(APPEND libraries ${module})
        endif()
    endforeach()
    list(TRANSFORM ARG_ARCHIVES REPLACE "(.+)" "-l:lib\\1.a" OUTPUT_VARIABLE archives)
    # Neither -pie nor -no-pie of CMake behind it: either gives a program with a loader.
    set_property(TARGET ${name} PROPERTY POSITION_INDEPENDENT_CODE)
    target_compile_options(${name} PRIVATE -fPIE)
    target_link_options(${name} PRIVATE -static-pie)
    target_link_libraries(${name} PRIVATE -Wl,--start-group ${libraries} ${archives} -Wl,--end-group)
    set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS ${libraries})
endfunction()

# yagura_unit_test(NAME SOURCES file... [USES target...] [WRAP symbol...]): one cmocka program,
# run by ctest under the label "unit". WRAP replaces a symbol by __wrap_symbol of the test.
function(yagura_unit_test name)
    cmake_parse_arguments(ARG "" "" "SOURCES;USES;WRAP" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE yagura_options ${ARG_USES} PkgConfig::CMOCKA)
    foreach(symbol ${ARG_WRAP})
        target_link_options(${name} PRIVATE -Wl,--wrap=${symbol})
    endforeach()
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/unit)
    add_test(NAME unit/${name} COMMAND ${name})
    set_tests_properties(unit/${name} PROPERTIES LABELS unit TIMEOUT 120 SKIP_RETURN_CODE 77)
endfunction()
