# Warnings and hardening for every target. Flags follow the OpenSSF compiler hardening guide;
# each is probed, because the oldest compiler we support (GCC 11) lacks some.
include(CheckCCompilerFlag)
include(CheckLinkerFlag)
include(CheckPIESupported)
check_pie_supported()

add_library(yagura_options INTERFACE)
target_include_directories(yagura_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(yagura_options INTERFACE
    _GNU_SOURCE _FILE_OFFSET_BITS=64 YAGURA_VERSION="${YAGURA_VERSION}")
target_compile_options(yagura_options INTERFACE
    -include ${PROJECT_SOURCE_DIR}/common/banned.h
    -Wall -Wextra -Wformat=2 -Wconversion -Wno-sign-conversion -Wshadow -Wundef -Wvla
    -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wimplicit-fallthrough
    -Werror=implicit -Werror=incompatible-pointer-types -Werror=int-conversion
    -fno-strict-aliasing -fno-delete-null-pointer-checks -fno-strict-overflow)
if(YAGURA_WERROR)
    target_compile_options(yagura_options INTERFACE -Werror)
endif()

function(yagura_probe_flag flag)
    string(MAKE_C_IDENTIFIER "HAS${flag}" name)
    set(CMAKE_REQUIRED_FLAGS "-Werror -Wformat")
    check_c_compiler_flag("${flag}" ${name})
    if(${name})
        target_compile_options(yagura_options INTERFACE ${flag})
    endif()
endfunction()

function(yagura_probe_link_flag flag)
    string(MAKE_C_IDENTIFIER "LINK${flag}" name)
    check_linker_flag(C "${flag}" ${name})
    if(${name})
        target_link_options(yagura_options INTERFACE ${flag})
    endif()
endfunction()

foreach(flag -Wtrampolines -Wbidi-chars=any -Wlogical-op -Wduplicated-cond -Werror=format-security
        -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero
        -fstrict-flex-arrays=3 -fzero-init-padding-bits=all)
    yagura_probe_flag(${flag})
endforeach()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    yagura_probe_flag(-fcf-protection=full)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    yagura_probe_flag(-mbranch-protection=standard)
endif()
foreach(flag -Wl,-z,noexecstack -Wl,-z,relro -Wl,-z,now -Wl,--as-needed -Wl,--no-copy-dt-needed-entries)
    yagura_probe_link_flag(${flag})
endforeach()

if(YAGURA_SANITIZE)
    target_compile_options(yagura_options INTERFACE
        -fsanitize=${YAGURA_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(yagura_options INTERFACE -fsanitize=${YAGURA_SANITIZE})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    # _FORTIFY_SOURCE needs optimisation and hides findings from the sanitizers.
    target_compile_options(yagura_options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
# The same bytes wherever source and build stand.
add_compile_options($<$<NOT:$<CONFIG:Debug>>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.>
                    $<$<NOT:$<CONFIG:Debug>>:-ffile-prefix-map=${PROJECT_BINARY_DIR}=./build>)
if(YAGURA_FUZZ)
    target_compile_options(yagura_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(YAGURA_COVERAGE)
    target_compile_options(yagura_options INTERFACE --coverage -O0)
    target_link_options(yagura_options INTERFACE --coverage)
endif()
