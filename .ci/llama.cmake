# Shortens the compilation of llama-cpp-python. `.ci/setup` passes this file to CMake, which includes
# it after `project(llama_cpp)`. What computes (ggml-cpu, the quantised formats of ggml-base) and what
# scales images is compiled with all optimisations. The rest builds graphs, keeps tables and reads
# files, which takes as long with fewer: encoding an image and scoring prompts were measured.

# The binding loads libllama, libggml and libmtmd only, but forces LLAMA_BUILD_COMMON to ON in the
# cache, so that -DLLAMA_BUILD_COMMON=OFF has no effect. That library (command-line arguments, chat
# parsers, an HTTP client) is a third of the work. A normal variable hides the cache entry (CMP0126).
set(LLAMA_BUILD_COMMON OFF)

# Compiles the sources of a target in groups ("unity build"), except those given: fewer compilations
# that share their headers and templates.
function(idealprompt_compile_in_groups target size)
    get_target_property(folder ${target} SOURCE_DIR)
    get_target_property(sources ${target} SOURCES)
    list(TRANSFORM sources REPLACE "^([^/].*)$" "${folder}/\\1")
    set_source_files_properties(
        ${sources} TARGET_DIRECTORY ${target} PROPERTIES SKIP_UNITY_BUILD_INCLUSION OFF)
    list(TRANSFORM ARGN PREPEND "${folder}/" OUTPUT_VARIABLE alone)
    set_source_files_properties(
        ${alone} TARGET_DIRECTORY ${target} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${size})
endfunction()

# Compiles some sources of a target with another level of optimisation: the last option counts.
function(idealprompt_optimise target level)
    get_target_property(folder ${target} SOURCE_DIR)
    list(TRANSFORM ARGN PREPEND "${folder}/")
    set_property(SOURCE ${ARGN} TARGET_DIRECTORY ${target} APPEND PROPERTY COMPILE_OPTIONS ${level})
endfunction()

# Libraries that the user switched off (LLAMA_BUILD, LLAVA_BUILD) are no targets.
function(idealprompt_shorten)
    if(TARGET llama)
        idealprompt_compile_in_groups(llama 24 llama-kv-cache-dsv4.cpp)
        target_compile_options(llama PRIVATE -O1)
        idealprompt_optimise(ggml-base -Og
            gguf.cpp ggml-backend.cpp ggml-backend-meta.cpp ggml-opt.cpp)
    endif()
    if(TARGET mtmd)
        idealprompt_compile_in_groups(mtmd 48
            mtmd.cpp mtmd-audio.cpp mtmd-image.cpp mtmd-helper.cpp mtmd-helper-gen.cpp clip.cpp)
        target_compile_options(mtmd PRIVATE -O1)
        idealprompt_optimise(mtmd -O3 mtmd-image.cpp)
    endif()
    foreach(target ggml-base ggml-cpu ggml llama mtmd)
        if(TARGET ${target})
            set_property(TARGET ${target} PROPERTY VERSION)
            set_property(TARGET ${target} PROPERTY SOVERSION)
        endif()
    endforeach()
endfunction()

# The groups are checked for one version: names of another one may clash within a group.
file(STRINGS "${CMAKE_SOURCE_DIR}/llama_cpp/__init__.py" version REGEX "__version__")
if(version MATCHES "\"0.3.36\"" AND NOT MSVC)
    # One copy of each library in the wheel in place of six: llama.cpp's own folder is the binding's,
    # and there are no versioned names, which a wheel stores as copies.
    set(CMAKE_INSTALL_LIBDIR llama_cpp/lib)
    cmake_language(DEFER DIRECTORY "${CMAKE_SOURCE_DIR}" CALL idealprompt_shorten)
endif()

# The published chat templates that come with the sources, for `tests/engines/test_template_forms.py`.
install(
    DIRECTORY "${CMAKE_SOURCE_DIR}/vendor/llama.cpp/models/templates"
    DESTINATION "${SKBUILD_PLATLIB_DIR}/llama_cpp"
    FILES_MATCHING PATTERN "*.jinja")
